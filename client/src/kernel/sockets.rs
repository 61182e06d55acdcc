//! The sockets that listen on this machine: their ports, their queues, and the process that has them open.
//!
//! Linux shows them in /proc/net/tcp and tcp6 (proc(5)), and who has one open as a link in /proc/PID/fd.

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::processes;

/// A socket that listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listener {
    /// Where it listens; the unspecified address stands for all of this machine's.
    pub address: SocketAddr,
    /// The number that the kernel knows it by: the `inode` behind `socket:` in /proc/PID/fd.
    pub inode: u64,
    /// How many connections wait in its queue to be accepted.
    pub waiting: usize,
    /// How many may wait, as listen(2) was told; `None` where that can't be found out.
    pub backlog: Option<usize>,
}

/// All sockets that listen for TCP connections on this machine.
///
/// # Errors
/// The tables can't be read.
#[cfg(target_os = "linux")]
pub fn listeners() -> io::Result<Vec<Listener>> {
    let mut tables = fs::read_to_string("/proc/net/tcp")?;
    tables.push_str(&fs::read_to_string("/proc/net/tcp6").unwrap_or_default()); // there may be no IPv6
    Ok(tables.lines().filter_map(parse_listener).collect())
}

/// The process that listens on `port`. Of several, it is the one whose parent does not: a server that forks has its
/// listener open in its children too, at least for a moment.
///
/// # Errors
/// The tables can't be read.
#[cfg(target_os = "linux")]
pub fn owner(port: u16) -> io::Result<Option<u32>> {
    let inodes: Vec<u64> =
        listeners()?.iter().filter(|socket| socket.address.port() == port).map(|socket| socket.inode).collect();
    let mut owners = Vec::new();
    for process in processes::all()? {
        if processes::sockets(process.id).is_ok_and(|open| open.iter().any(|inode| inodes.contains(inode))) {
            owners.push(process);
        }
    }
    let is_child = |parent: u32| owners.iter().any(|other| other.id == parent);
    Ok(owners.iter().find(|process| !is_child(process.parent)).map(|process| process.id))
}

/// Reads a line of /proc/net/tcp: `0: 0100007F:22B8 00000000:0000 0A 00000000:00000000 00:00000000 00000000 0 0 4711 ...`
/// with the local address, the remote one, the state (0A: it listens), both queues, and the inode as the tenth field.
fn parse_listener(line: &str) -> Option<Listener> {
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
        address: (address, u16::from_str_radix(port, 16).ok()?).into(),
        inode: fields.get(9)?.parse().ok()?,
        waiting: usize::from_str_radix(waiting, 16).ok()?,
        backlog: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_table_is_read() {
        let line = "   0: 0100007F:22B8 00000000:0000 0A 00000000:00000003 00:00000000 00000000     0        0 4711 1";
        let listener = parse_listener(line).unwrap();
        assert_eq!((listener.address, listener.inode), (SocketAddr::from(([127, 0, 0, 1], 8888)), 4711));
        assert_eq!(listener.waiting, 3);
        let line = "   0: 00000000000000000000000001000000:22B8 00000000000000000000000000000000:0000 0A \
                    00000000:00000000 00:00000000 00000000     0        0 4712 1";
        assert_eq!(parse_listener(line).unwrap().address, SocketAddr::from((Ipv6Addr::LOCALHOST, 8888)));
        assert_eq!(parse_listener("  sl  local_address rem_address   st tx_queue rx_queue"), None);
    }

    #[test]
    fn the_owner_of_a_port_is_found() {
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        assert_eq!(owner(port).unwrap(), Some(std::process::id()));
    }
}
