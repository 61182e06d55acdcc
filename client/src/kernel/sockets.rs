//! The sockets that listen on this machine: their ports, their queues, and the process that has them open.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::processes::{self, Process};

/// A socket that listens for TCP connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listener {
    /// Where it listens; the unspecified address stands for all of this machine's.
    pub address: SocketAddr,
    /// The number that the kernel knows it by: the `inode` behind `socket:` in /proc/PID/fd. Processes with the same
    /// number have the same socket open.
    pub inode: u64,
    /// How many connections wait in its queue to be accepted.
    pub waiting: usize,
    /// How many may wait: what listen(2) was told, or what the system allows at most if that is less. (Linux lets one
    /// more wait.) `None` where that can't be found out.
    pub backlog: Option<usize>,
    /// The id of the user that it belongs to; `None` where that can't be found out.
    pub user: Option<u32>,
}

impl Listener {
    /// Where a client on this machine can connect to it.
    pub fn reachable(&self) -> SocketAddr {
        let host = match self.address.ip() {
            host if !host.is_unspecified() => host,
            IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
            IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
        };
        (host, self.address.port()).into()
    }

    /// How near it is to `address`, if it takes connections to that: 0 when it listens there, 1 when it listens on all
    /// addresses, 2 when it does so for IPv6 and may take IPv4 as well (ipv6(7), `IPV6_V6ONLY`).
    fn distance(&self, address: SocketAddr) -> Option<u8> {
        let (here, there) = (self.address.ip(), address.ip().to_canonical());
        match here {
            _ if self.address.port() != address.port() => None,
            _ if here == there => Some(0),
            _ if !here.is_unspecified() => None,
            _ if here.is_ipv4() == there.is_ipv4() => Some(1),
            _ => here.is_ipv6().then_some(2),
        }
    }
}

/// All sockets that listen for TCP connections on this machine (or in this container).
///
/// # Errors
/// The tables can't be read.
#[cfg(target_os = "linux")]
pub fn listeners() -> io::Result<Vec<Listener>> {
    super::netlink::listeners().or_else(|_| files::listeners())
}

/// All sockets that listen for TCP connections on this machine.
///
/// # Errors
/// `netstat` or `lsof` can't be run.
#[cfg(not(target_os = "linux"))]
pub fn listeners() -> io::Result<Vec<Listener>> {
    use super::commands::{Queue, output, parse_queue};

    let queues: Vec<_> = output("netstat", &["-Lan"])?.lines().filter_map(parse_queue).collect();
    let mut listeners: Vec<Listener> = Vec::new();
    for socket in open_listeners()? {
        let known = listeners.iter().any(|listener| listener.inode == socket.device);
        if let (false, Some(address)) = (known, socket.address) {
            let queue = queues.iter().find(|queue| queue.address == address);
            let (waiting, backlog) = queue.map_or((0, None), |queue| (queue.waiting, Some(queue.backlog)));
            listeners.push(Listener { address, inode: socket.device, waiting, backlog, user: None });
        }
    }
    // What lsof does not show is another user's.
    for Queue { address, waiting, backlog } in queues {
        if listeners.iter().all(|listener| listener.address != address) {
            listeners.push(Listener { address, inode: 0, waiting, backlog: Some(backlog), user: None });
        }
    }
    Ok(listeners)
}

/// What `lsof` shows of sockets that listen: for each process that has one open.
#[cfg(not(target_os = "linux"))]
fn open_listeners() -> io::Result<Vec<super::commands::OpenSocket>> {
    let listed = super::commands::output("lsof", &["-nP", "-iTCP", "-sTCP:LISTEN", "-F", "pfdtn"])?;
    Ok(super::commands::parse_lsof(&listed))
}

/// What those of `processes` that may be looked at listen on, each process with each of its listeners. With
/// [`processes::family`] it tells on which port a command listens that has been started without one being known.
///
/// # Errors
/// The tables can't be read.
pub fn listening(processes: &[Process]) -> io::Result<Vec<(Process, Listener)>> {
    let listeners = listeners()?;
    let mut found = Vec::new();
    for (process, inode) in open_sockets(processes)? {
        let listener = listeners.iter().find(|listener| listener.inode == inode);
        // A process may have several descriptors of one socket.
        found.extend(listener.map(|listener| (process, *listener)).filter(|one| !found.contains(one)));
    }
    Ok(found)
}

/// The sockets that `processes` have open, as far as they may be looked at.
#[cfg(target_os = "linux")]
fn open_sockets(processes: &[Process]) -> io::Result<Vec<(Process, u64)>> {
    let open = |process: &Process| processes::sockets(process.id).unwrap_or_default();
    Ok(processes.iter().flat_map(|process| open(process).into_iter().map(|inode| (*process, inode))).collect())
}

/// The sockets that `processes` listen on, as far as they may be looked at.
#[cfg(not(target_os = "linux"))]
fn open_sockets(processes: &[Process]) -> io::Result<Vec<(Process, u64)>> {
    let of = |id| processes.iter().find(|process| process.id == id).copied();
    Ok(open_listeners()?.into_iter().filter_map(|socket| Some((of(socket.process)?, socket.device))).collect())
}

/// The process that listens on `port`, at whatever address. Of several, it is the one whose parent does not: a server
/// that forks has its listener open in its children too, at least for a moment.
///
/// # Errors
/// The tables can't be read; [`ErrorKind::PermissionDenied`]: there is one, and it is another user's.
pub fn owner(port: u16) -> io::Result<Option<u32>> {
    owner_of(listeners()?.into_iter().filter(|listener| listener.address.port() == port).collect())
}

/// The process that takes connections to `address`, which is one of this machine's.
///
/// # Errors
/// Those of [`owner`].
pub fn owner_at(address: SocketAddr) -> io::Result<Option<u32>> {
    owner_of(nearest(listeners()?, address))
}

/// The socket that takes connections to `address`, which is one of this machine's.
///
/// # Errors
/// The tables can't be read.
pub fn listener_at(address: SocketAddr) -> io::Result<Option<Listener>> {
    Ok(nearest(listeners()?, address).first().copied())
}

/// Those of `listeners` that take connections to `address`; there may be several (socket(7), `SO_REUSEPORT`).
fn nearest(mut listeners: Vec<Listener>, address: SocketAddr) -> Vec<Listener> {
    let least = listeners.iter().filter_map(|listener| listener.distance(address)).min();
    listeners.retain(|listener| least.is_some() && listener.distance(address) == least);
    listeners
}

fn owner_of(listeners: Vec<Listener>) -> io::Result<Option<u32>> {
    let Some(first) = listeners.first() else { return Ok(None) };
    let mut owners = open_sockets(&processes::all()?)?;
    owners.retain(|(_, inode)| listeners.iter().any(|listener| listener.inode == *inode));
    match topmost(owners.iter().map(|(process, _)| process)) {
        Some(process) => Ok(Some(process.id)),
        None => {
            let whose = first.user.map_or_else(String::new, |user| format!(" (user id {user})"));
            let port = first.address.port();
            let why = format!("what listens on port {port} is another user's{whose}, and may not be looked at");
            Err(io::Error::new(ErrorKind::PermissionDenied, why))
        }
    }
}

/// The first of `processes` whose parent is not one of them.
pub fn topmost<'a>(processes: impl Iterator<Item = &'a Process> + Clone) -> Option<&'a Process> {
    processes.clone().find(|process| processes.clone().all(|other| other.id != process.parent))
}

/// Whether process `pid` has `listener` open, such as a child that has not closed its copy.
///
/// # Errors
/// There is no such process, or this user may not look at it.
pub fn has_open(pid: u32, listener: &Listener) -> io::Result<bool> {
    Ok(processes::sockets(pid)?.contains(&listener.inode))
}

/// Linux: /proc/net/tcp and tcp6 (proc(5)), for where netlink is refused.
#[cfg(target_os = "linux")]
mod files {
    use std::fs;
    use std::io;
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

    use super::Listener;

    pub fn listeners() -> io::Result<Vec<Listener>> {
        let mut tables = fs::read_to_string("/proc/net/tcp")?;
        tables.push_str(&fs::read_to_string("/proc/net/tcp6").unwrap_or_default()); // there may be no IPv6
        Ok(tables.lines().filter_map(parse_listener).collect())
    }

    /// Reads a line of the table:
    /// `0: 0100007F:22B8 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 4711 ...`
    /// with the local address, the remote one, the state (0A: it listens), both queues, the user as the eighth field and
    /// the inode as the tenth.
    pub fn parse_listener(line: &str) -> Option<Listener> {
        let fields: Vec<_> = line.split_whitespace().collect();
        if fields.get(3) != Some(&"0A") {
            return None;
        }
        let (address, port) = fields[1].split_once(':')?;
        let words: Option<Vec<u32>> = address
            .as_bytes()
            .chunks(8)
            .map(|digits| u32::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok().map(u32::to_ne_bytes))
            .map(|bytes| bytes.map(u32::from_be_bytes))
            .collect();
        let address: IpAddr = match words?[..] {
            [word] => Ipv4Addr::from(word).into(),
            [a, b, c, d] => {
                let bits = [a, b, c, d].iter().fold(0, |bits, word| bits << 32 | u128::from(*word));
                Ipv6Addr::from(bits).into()
            }
            _ => return None,
        };
        let waiting = fields.get(4)?.split_once(':')?.1;
        Some(Listener {
            address: (address.to_canonical(), u16::from_str_radix(port, 16).ok()?).into(),
            inode: fields.get(9)?.parse().ok()?,
            waiting: usize::from_str_radix(waiting, 16).ok()?,
            backlog: None,
            user: fields.get(7)?.parse().ok(),
        })
    }

    #[cfg(test)]
    mod tests {
        use std::net::SocketAddr;

        use super::*;

        #[test]
        fn a_line_of_the_table_is_read() {
            let line =
                "   0: 0100007F:22B8 00000000:0000 0A 00000000:00000003 00:00000000 00000000  1000        0 4711 1";
            let listener = parse_listener(line).unwrap();
            assert_eq!((listener.address, listener.inode), (SocketAddr::from(([127, 0, 0, 1], 8888)), 4711));
            assert_eq!((listener.waiting, listener.user), (3, Some(1000)));
            let line = "   0: 00000000000000000000000001000000:22B8 00000000000000000000000000000000:0000 0A \
                        00000000:00000000 00:00000000 00000000     0        0 4712 1";
            assert_eq!(parse_listener(line).unwrap().address, SocketAddr::from((Ipv6Addr::LOCALHOST, 8888)));
            assert_eq!(parse_listener("  sl  local_address rem_address   st tx_queue rx_queue"), None);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    /// A listener on a free port, as the kernel's tables have it.
    fn listening_here() -> (TcpListener, Listener) {
        let socket = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = socket.local_addr().unwrap();
        let listener = listeners().unwrap().into_iter().find(|listener| listener.address == address).unwrap();
        (socket, listener)
    }

    #[test]
    fn the_owner_of_a_port_is_found() {
        let (_socket, listener) = listening_here();
        let here = std::process::id();
        assert_eq!(owner(listener.address.port()).unwrap(), Some(here));
        assert_eq!(owner_at(listener.address).unwrap(), Some(here));
        assert_eq!(listener_at(listener.address).unwrap(), Some(listener));
        assert_eq!(owner_at((Ipv4Addr::from([127, 0, 0, 2]), listener.address.port()).into()).unwrap(), None);
        assert!(has_open(here, &listener).unwrap() && !has_open(1, &listener).unwrap_or(false));
        let found = listening(&processes::family(here).unwrap()).unwrap();
        assert!(found.iter().any(|(process, found)| process.id == here && found.address == listener.address));
    }

    #[test]
    fn what_waits_and_what_may_wait_is_known() {
        let (socket, listener) = listening_here();
        assert_eq!(listener.waiting, 0);
        nix::sys::socket::listen(&socket, nix::sys::socket::Backlog::new(7).unwrap()).unwrap();
        let _waiting = [0; 3].map(|_| TcpStream::connect(listener.address).unwrap());
        let listener = listeners().unwrap().into_iter().find(|other| other.inode == listener.inode).unwrap();
        assert_eq!(listener.waiting, 3);
        assert!(listener.backlog.is_none_or(|backlog| backlog == 7), "{listener:?}");
        assert!(listener.user.is_none_or(|user| user == nix::unistd::geteuid().as_raw()), "{listener:?}");
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn both_tables_say_the_same() {
        let (_socket, listener) = listening_here();
        let found = files::listeners().unwrap().into_iter().find(|other| other.inode == listener.inode).unwrap();
        assert_eq!(Listener { backlog: listener.backlog, ..found }, listener);
    }

    #[test]
    fn of_a_server_and_its_children_the_server_is_topmost() {
        let process = |id, parent| Process { id, parent, group: 10, state: 'S' };
        let processes = [process(12, 11), process(11, 10), process(13, 11)];
        assert_eq!(topmost(processes.iter()), Some(&processes[1]));
        assert_eq!(topmost([].iter()), None);
    }

    #[test]
    fn the_nearest_listener_takes_a_connection() {
        let address = |text: &str| text.parse::<SocketAddr>().unwrap();
        let distance = |here, there| {
            Listener { address: address(here), inode: 1, waiting: 0, backlog: None, user: None }
                .distance(address(there))
        };
        assert_eq!(distance("127.0.0.1:80", "127.0.0.1:80"), Some(0));
        assert_eq!(distance("127.0.0.1:80", "127.0.0.1:81"), None);
        assert_eq!(distance("127.0.0.1:80", "127.0.0.2:80"), None);
        assert_eq!(distance("0.0.0.0:80", "127.0.0.2:80"), Some(1));
        assert_eq!(distance("0.0.0.0:80", "[::1]:80"), None);
        assert_eq!(distance("[::]:80", "[::1]:80"), Some(1));
        assert_eq!(distance("[::]:80", "127.0.0.1:80"), Some(2));
        assert_eq!(distance("[::1]:80", "127.0.0.1:80"), None);
    }

    #[test]
    fn a_client_can_connect_where_it_listens_on_all_addresses() {
        for (here, there) in [("0.0.0.0:80", "127.0.0.1:80"), ("[::]:80", "[::1]:80"), ("127.0.0.2:80", "127.0.0.2:80")]
        {
            let address = here.parse().unwrap();
            let listener = Listener { address, inode: 1, waiting: 0, backlog: None, user: None };
            assert_eq!(listener.reachable(), there.parse().unwrap());
        }
    }
}
