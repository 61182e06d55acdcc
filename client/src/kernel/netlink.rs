//! The sockets that listen, as the kernel tells by netlink: sock_diag(7) knows what /proc/net/tcp does not, how many
//! connections may wait.
//!
//! A question is one datagram; the answer is several, each with one or more messages (netlink(7)), up to one that says
//! that it is done. The numbers are in the machine's byte order, but addresses and ports in that of the network.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{
    AddressFamily, MsgFlags, NetlinkAddr, SockFlag, SockProtocol, SockType, recv, sendto, setsockopt, socket, sockopt,
};
use nix::sys::time::TimeVal;

use super::sockets::Listener;

/// The lengths of struct nlmsghdr, struct inet_diag_req_v2 and struct inet_diag_msg (linux/inet_diag.h).
const HEADER: usize = 16;
const REQUEST: usize = 56;
const SOCKET: usize = 72;

/// The number of a listening socket's state (enum in linux/tcp_states.h), and of the message (linux/sock_diag.h).
const TCP_LISTEN: u32 = 10;
const SOCK_DIAG_BY_FAMILY: u16 = 20;

/// More than the kernel puts into one datagram of a dump (16 KB, or as much as there is room for, up to 32 KB).
const BUFFER: usize = 64 * 1024;

/// The kernel answers at once; but what poses as one (gVisor, for example) might not.
const PATIENCE: Duration = Duration::from_secs(1);

/// How often it is asked again when sockets came and went meanwhile.
const TRIES: usize = 3;

/// All sockets that listen for TCP connections.
///
/// # Errors
/// The kernel does not answer such questions: some containers forbid netlink, some kernels lack `inet_diag`.
pub fn listeners() -> io::Result<Vec<Listener>> {
    let netlink =
        socket(AddressFamily::Netlink, SockType::Datagram, SockFlag::SOCK_CLOEXEC, SockProtocol::NetlinkSockDiag)?;
    let patience = TimeVal::new(PATIENCE.as_secs().cast_signed(), 0);
    setsockopt(&netlink, sockopt::ReceiveTimeout, &patience)?;
    let mut listeners = Vec::new();
    for (family, sequence) in [(libc::AF_INET, 0), (libc::AF_INET6, TRIES as u32)] {
        let tries = sequence..sequence + TRIES as u32;
        let consistent = tries.map(|sequence| dump(&netlink, family as u8, sequence)).find_map(Result::transpose);
        listeners.extend(consistent.unwrap_or_else(|| Err(Errno::EAGAIN.into()))?);
    }
    Ok(listeners)
}

/// Asks once, with a number that the answers repeat; `None` if the tables changed meanwhile.
fn dump(netlink: &OwnedFd, family: u8, sequence: u32) -> io::Result<Option<Vec<Listener>>> {
    let kernel = NetlinkAddr::new(0, 0);
    let question = question(family, sequence);
    retried(|| sendto(netlink.as_raw_fd(), &question, &kernel, MsgFlags::empty()))?;
    let mut answer = Answer { sequence, listeners: Vec::new(), is_consistent: true };
    let mut datagram = vec![0; BUFFER];
    loop {
        // MSG_TRUNC: the length that it has, not the one that there was room for.
        let length = retried(|| recv(netlink.as_raw_fd(), &mut datagram, MsgFlags::MSG_TRUNC))?;
        if answer.take(datagram.get(..length).ok_or(Errno::EMSGSIZE)?)? {
            return Ok(answer.is_consistent.then_some(answer.listeners));
        }
    }
}

/// Makes a call again when a signal has interrupted it.
fn retried(mut call: impl FnMut() -> nix::Result<usize>) -> nix::Result<usize> {
    loop {
        match call() {
            Err(Errno::EINTR) => {}
            outcome => return outcome,
        }
    }
}

/// The question for all listening sockets of a family: a struct nlmsghdr and a struct inet_diag_req_v2.
fn question(family: u8, sequence: u32) -> Vec<u8> {
    let flags = (libc::NLM_F_REQUEST | libc::NLM_F_DUMP) as u16;
    let mut bytes = Vec::with_capacity(HEADER + REQUEST);
    bytes.extend(((HEADER + REQUEST) as u32).to_ne_bytes());
    bytes.extend(SOCK_DIAG_BY_FAMILY.to_ne_bytes());
    bytes.extend(flags.to_ne_bytes());
    bytes.extend(sequence.to_ne_bytes());
    bytes.extend([0; 4]); // from a port that the kernel chooses
    bytes.extend([family, libc::IPPROTO_TCP as u8, 0, 0]);
    bytes.extend((1_u32 << TCP_LISTEN).to_ne_bytes());
    bytes.resize(HEADER + REQUEST, 0); // whatever their addresses
    bytes
}

/// What has come so far of the answer to a question.
struct Answer {
    sequence: u32,
    listeners: Vec<Listener>,
    is_consistent: bool,
}

impl Answer {
    /// Takes a datagram. Returns whether it was the last one.
    fn take(&mut self, mut datagram: &[u8]) -> io::Result<bool> {
        let malformed = || io::Error::from(io::ErrorKind::InvalidData);
        while !datagram.is_empty() {
            let length = u32_at(datagram, 0).ok_or_else(malformed)? as usize;
            let message = datagram.get(..length).filter(|_| length >= HEADER).ok_or_else(malformed)?;
            datagram = datagram.get(length.next_multiple_of(4)..).unwrap_or_default();
            if u32_at(message, 8) != Some(self.sequence) {
                continue; // what is left of a question that was given up
            }
            let kind_and_flags = u32_at(message, 4).ok_or_else(malformed)?.to_ne_bytes();
            let [kind, flags] = [[0, 1], [2, 3]].map(|at| u16::from_ne_bytes(at.map(|at| kind_and_flags[at])));
            self.is_consistent &= i32::from(flags) & libc::NLM_F_DUMP_INTR == 0;
            // A number behind the header, 0 or negative, is why it could not be done, or not to the end.
            let errno = || u32_at(message, HEADER).map_or(0, u32::cast_signed).wrapping_neg();
            match i32::from(kind) {
                libc::NLMSG_DONE if errno() > 0 => return Err(Errno::from_raw(errno()).into()),
                libc::NLMSG_DONE => return Ok(true),
                libc::NLMSG_ERROR if errno() > 0 => return Err(Errno::from_raw(errno()).into()),
                libc::NLMSG_OVERRUN => return Err(Errno::ENOBUFS.into()),
                _ if kind == SOCK_DIAG_BY_FAMILY => {
                    self.listeners.push(parse_socket(&message[HEADER..]).ok_or_else(malformed)?);
                }
                _ => {}
            }
        }
        Ok(false)
    }
}

/// Reads a struct inet_diag_msg.
fn parse_socket(bytes: &[u8]) -> Option<Listener> {
    let bytes: &[u8; SOCKET] = bytes.first_chunk()?;
    let port = u16::from_be_bytes([bytes[4], bytes[5]]);
    let address = bytes[8..].first_chunk::<16>()?;
    let address: IpAddr = match i32::from(bytes[0]) {
        libc::AF_INET => Ipv4Addr::from(*address.first_chunk()?).into(),
        libc::AF_INET6 => Ipv6Addr::from(*address).into(),
        _ => return None,
    };
    Some(Listener {
        address: (address.to_canonical(), port).into(),
        waiting: u32_at(bytes, 56)? as usize,
        backlog: Some(u32_at(bytes, 60)? as usize),
        user: u32_at(bytes, 64),
        inode: u32_at(bytes, 68)?.into(),
    })
}

/// The number at `offset`, in the machine's byte order.
fn u32_at(bytes: &[u8], offset: usize) -> Option<u32> {
    bytes.get(offset..)?.first_chunk().map(|bytes| u32::from_ne_bytes(*bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(kind: i32, flags: i32, sequence: u32, payload: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend(((HEADER + payload.len()) as u32).to_ne_bytes());
        bytes.extend((kind as u16).to_ne_bytes());
        bytes.extend((flags as u16).to_ne_bytes());
        bytes.extend(sequence.to_ne_bytes());
        bytes.extend([0; 4]);
        bytes.extend(payload);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
        bytes
    }

    fn socket(family: i32, port: u16, address: &[u8]) -> Vec<u8> {
        let mut bytes = vec![family as u8, TCP_LISTEN as u8, 0, 0];
        bytes.extend(port.to_be_bytes());
        bytes.resize(8, 0);
        bytes.extend(address);
        bytes.resize(56, 0);
        for number in [3_u32, 5, 1000, 4711] {
            bytes.extend(number.to_ne_bytes());
        }
        bytes
    }

    fn answer() -> Answer {
        Answer { sequence: 7, listeners: Vec::new(), is_consistent: true }
    }

    const SOCKET_KIND: i32 = SOCK_DIAG_BY_FAMILY as i32;

    #[test]
    fn sockets_are_read_up_to_the_end_of_the_answer() {
        let mut answer = answer();
        let mapped = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 127, 0, 0, 1];
        let first = [
            message(SOCKET_KIND, libc::NLM_F_MULTI, 6, &socket(libc::AF_INET, 1, &[127, 0, 0, 1])), // asked before
            message(SOCKET_KIND, libc::NLM_F_MULTI, 7, &socket(libc::AF_INET, 8888, &[127, 0, 0, 1])),
            message(libc::NLMSG_NOOP, 0, 7, &[]),
            message(SOCKET_KIND, libc::NLM_F_MULTI, 7, &socket(libc::AF_INET6, 8889, &mapped)),
        ];
        assert!(!answer.take(&first.concat()).unwrap());
        let second = message(SOCKET_KIND, libc::NLM_F_MULTI, 7, &socket(libc::AF_INET6, 8890, &[0; 16]));
        assert!(!answer.take(&second).unwrap());
        assert!(answer.take(&message(libc::NLMSG_DONE, libc::NLM_F_MULTI, 7, &[0; 4])).unwrap());
        let read: Vec<_> = answer.listeners.iter().map(|listener| listener.address.to_string()).collect();
        assert_eq!(read, ["127.0.0.1:8888", "127.0.0.1:8889", "[::]:8890"]);
        let address = answer.listeners[0].address;
        let expected = Listener { address, inode: 4711, waiting: 3, backlog: Some(5), user: Some(1000) };
        assert_eq!((answer.listeners[0], answer.is_consistent), (expected, true));
    }

    #[test]
    fn tables_that_changed_meanwhile_are_noticed() {
        for flags in [libc::NLM_F_DUMP_INTR, libc::NLM_F_DUMP_INTR | libc::NLM_F_MULTI] {
            let mut answer = answer();
            assert!(answer.take(&message(libc::NLMSG_DONE, flags, 7, &[0; 4])).unwrap());
            assert!(!answer.is_consistent);
        }
    }

    #[test]
    fn an_error_is_passed_on() {
        let refusal = (-(Errno::EPERM as i32)).to_ne_bytes();
        for kind in [libc::NLMSG_ERROR, libc::NLMSG_DONE] {
            let error = answer().take(&message(kind, 0, 7, &refusal)).unwrap_err();
            assert_eq!(error.raw_os_error(), Some(Errno::EPERM as i32));
        }
        assert!(answer().take(&message(libc::NLMSG_OVERRUN, 0, 7, &[])).is_err());
    }

    #[test]
    fn what_is_cut_off_is_an_error() {
        let whole = message(SOCKET_KIND, 0, 7, &socket(libc::AF_INET, 8888, &[127, 0, 0, 1]));
        for length in 1..whole.len() {
            assert!(answer().take(&whole[..length]).is_err(), "{length}");
        }
        assert!(answer().take(&[0; 64]).is_err(), "a length of 0 would never end");
        assert!(answer().take(&message(SOCKET_KIND, 0, 7, &[0; SOCKET])).is_err(), "no address family");
    }

    #[test]
    fn the_kernel_answers() {
        let socket = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        nix::sys::socket::listen(&socket, nix::sys::socket::Backlog::new(7).unwrap()).unwrap();
        let address = socket.local_addr().unwrap();
        // Some containers forbid it; then the files in /proc are what is read.
        let Ok(listeners) = listeners() else { return };
        let found = listeners.iter().find(|listener| listener.address == address).unwrap();
        assert_eq!(found.backlog, Some(7));
    }
}
