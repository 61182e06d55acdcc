//! What the commands of macOS print, read: `ps`, `lsof` and `netstat`.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::process::{Command, Stdio};

use super::processes::Process;

/// What a command prints on standard output.
///
/// # Errors
/// It can't be run. That it found nothing is none: `ps` and `lsof` exit with code 1 then.
pub fn output(command: &str, arguments: &[&str]) -> io::Result<String> {
    let run = Command::new(command).args(arguments).stdin(Stdio::null()).stderr(Stdio::null()).output();
    let output = run.map_err(|error| io::Error::new(error.kind(), format!("{command} can't be run: {error}")))?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The columns of `ps -o` that [`parse_process`] reads.
pub const PROCESS: &str = "pid=,ppid=,pgid=,stat=";

/// Reads a line of `ps -o` [`PROCESS`].
pub fn parse_process(line: &str) -> Option<Process> {
    let mut fields = line.split_whitespace();
    let mut number = || fields.next()?.parse().ok();
    let (id, parent, group) = (number()?, number()?, number()?);
    Some(Process { id, parent, group, state: fields.next()?.chars().next()? })
}

/// A socket as `lsof` lists it.
#[derive(Debug, PartialEq, Eq)]
pub struct OpenSocket {
    /// The process that has it open.
    pub process: u32,
    /// What lsof calls its device, the kernel's address of it: the same for all processes that have it open.
    pub device: u64,
    /// The local address, where it was asked for.
    pub address: Option<SocketAddr>,
}

/// Reads what `lsof -nP -i -F pfdtn` lists, or less: a line for each field, named by its first letter. `p` is the
/// process, for all descriptors that follow; `f` begins a descriptor, `t` is IPv4 or IPv6, `d` the device, `n` the
/// addresses.
pub fn parse_lsof(listed: &str) -> Vec<OpenSocket> {
    let mut sockets: Vec<OpenSocket> = Vec::new();
    let (mut process, mut device, mut is_v6) = (None, None, false);
    for line in listed.lines().filter(|line| line.is_char_boundary(1)) {
        match line.split_at(1) {
            ("p", id) => process = id.parse().ok(),
            ("f", _) => (device, is_v6) = (None, false),
            ("t", kind) => is_v6 = kind == "IPv6",
            ("d", text) => {
                let number =
                    text.strip_prefix("0x").map_or_else(|| text.parse(), |digits| u64::from_str_radix(digits, 16));
                device = number.ok();
                if let (Some(process), Some(device)) = (process, device) {
                    sockets.push(OpenSocket { process, device, address: None });
                }
            }
            ("n", name) => {
                if let (Some(socket), Some(_)) = (sockets.last_mut(), device) {
                    let local = name.split("->").next().unwrap_or(name);
                    socket.address = local.rsplit_once(':').and_then(|(host, port)| parse_address(host, port, is_v6));
                }
            }
            _ => {}
        }
    }
    sockets
}

/// The length and the limit of a listener's queue, as `netstat -Lan` lists them.
#[derive(Debug, PartialEq, Eq)]
pub struct Queue {
    /// Where it listens.
    pub address: SocketAddr,
    /// How many connections wait.
    pub waiting: usize,
    /// How many may.
    pub backlog: usize,
}

/// Reads a line of `netstat -Lan`: `tcp4  0/0/128  127.0.0.1.8888`, where the numbers are the connections that wait,
/// those of them that are not complete, and how many may wait. Older systems leave out the first word.
pub fn parse_queue(line: &str) -> Option<Queue> {
    let fields: Vec<_> = line.split_whitespace().collect();
    let (at, numbers) = fields.iter().enumerate().find_map(|(at, field)| {
        let numbers: Option<Vec<usize>> = field.split('/').map(|number| number.parse().ok()).collect();
        Some((at, <[usize; 3]>::try_from(numbers?).ok()?))
    })?;
    let (host, port) = fields.get(at + 1)?.rsplit_once('.')?;
    let is_v6 = at > 0 && fields[0].contains('6') || host.contains(':');
    let [waiting, _, backlog] = numbers;
    Some(Queue { address: parse_address(host, port, is_v6)?, waiting, backlog })
}

/// An address as these commands write it: `*` stands for all of the machine's, and brackets may be around IPv6.
fn parse_address(host: &str, port: &str, is_v6: bool) -> Option<SocketAddr> {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let host: IpAddr = match host {
        "*" if is_v6 => Ipv6Addr::UNSPECIFIED.into(),
        "*" => Ipv4Addr::UNSPECIFIED.into(),
        _ => host.split('%').next()?.parse().ok()?,
    };
    Some((host.to_canonical(), port.parse().ok()?).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn a_line_of_ps_is_read() {
        let zombie = Process { id: 9102, parent: 9099, group: 9099, state: 'Z' };
        assert_eq!(parse_process(" 9102  9099  9099 Z+"), Some(zombie));
        assert_eq!(parse_process(""), None);
        if let Ok(listed) = output("ps", &["-axo", PROCESS]) {
            let here = std::process::id();
            assert!(listed.lines().filter_map(parse_process).any(|process| process.id == here), "{listed}");
        }
    }

    #[test]
    fn the_fields_of_lsof_are_read() {
        let listed = "p501\nf4\ntIPv4\nd0x7a3f1c2b9d4e5f60\nn127.0.0.1:8888\nf5\ntIPv6\nd0x1\nn*:8080\n\
                      p502\nf7\ntIPv4\nd0x7a3f1c2b9d4e5f60\nn127.0.0.1:8888\nf8\ntIPv6\nd4711\nn[::1]:9000\n\
                      f9\ntIPv4\nd0x2\nn127.0.0.1:8888->127.0.0.1:50000\nf10\nn*:*\n\u{e4}\n\n";
        let socket = |process, device, at| OpenSocket { process, device, address: Some(address(at)) };
        let expected = [
            socket(501, 0x7a3f_1c2b_9d4e_5f60, "127.0.0.1:8888"),
            socket(501, 1, "[::]:8080"),
            socket(502, 0x7a3f_1c2b_9d4e_5f60, "127.0.0.1:8888"),
            socket(502, 4711, "[::1]:9000"),
            socket(502, 2, "127.0.0.1:8888"),
        ];
        assert_eq!(parse_lsof(listed), expected);
    }

    #[test]
    fn lsof_knows_a_listener_by_the_same_number_as_the_kernel() {
        let socket = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = Some(socket.local_addr().unwrap());
        let Ok(listed) = output("lsof", &["-nP", "-iTCP", "-sTCP:LISTEN", "-F", "pfdtn"]) else { return };
        let found = parse_lsof(&listed).into_iter().find(|found| found.address == address).unwrap();
        let listeners = crate::kernel::sockets::listeners().unwrap();
        let known = listeners.iter().find(|listener| Some(listener.address) == address).unwrap();
        assert_eq!((found.process, found.device), (std::process::id(), known.inode));
    }

    #[test]
    fn the_queues_of_netstat_are_read() {
        let listed = "Current listen queue sizes (qlen/incqlen/maxqlen)\n\
                      Proto Listen           Local Address\n\
                      tcp4  3/0/5            127.0.0.1.8888\n\
                      tcp6  0/0/128          *.8080\n\
                      0/0/128        *.7000\n\
                      tcp6  1/0/128          ::1.9000\n\
                      tcp6  0/0/8            fe80::1%lo0.9001\n\
                      unix  0/0/128          /var/run/mDNSResponder\n";
        let queue = |at, waiting, backlog| Queue { address: address(at), waiting, backlog };
        let expected = [
            queue("127.0.0.1:8888", 3, 5),
            queue("[::]:8080", 0, 128),
            queue("0.0.0.0:7000", 0, 128),
            queue("[::1]:9000", 1, 128),
            queue("[fe80::1]:9001", 0, 8),
        ];
        assert_eq!(listed.lines().filter_map(parse_queue).collect::<Vec<_>>(), expected);
    }
}
