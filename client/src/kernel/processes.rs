//! What the kernel's tables say of a process: its open descriptors and its children.
//!
//! Linux shows them as files in /proc (proc(5)). macOS has no /proc, so `ps` and `lsof` are asked there.

use std::io;

/// The children of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Children {
    /// Those that run, sleep or are stopped.
    pub alive: usize,
    /// Those that have ended, and whose parent has not waited for them: `Z` in `ps`, `<defunct>`.
    pub zombies: usize,
}

/// Counts the children of process `pid`.
///
/// # Errors
/// The tables can't be read.
pub fn children(pid: u32) -> io::Result<Children> {
    let (zombies, alive): (Vec<_>, Vec<_>) =
        all()?.into_iter().filter(|process| process.parent == pid).partition(Process::is_zombie);
    Ok(Children { alive: alive.len(), zombies: zombies.len() })
}

/// The ids of those children of process `pid` that are alive.
///
/// # Errors
/// The tables can't be read.
pub fn alive_children(pid: u32) -> io::Result<Vec<u32>> {
    Ok(alive(|process| process.parent == pid)?.iter().map(|process| process.id).collect())
}

/// The ids of the processes of group `group` that are alive.
///
/// # Errors
/// The tables can't be read.
pub fn alive_in_group(group: u32) -> io::Result<Vec<u32>> {
    Ok(alive(|process| process.group == group)?.iter().map(|process| process.id).collect())
}

/// Whether every living process of group `group` is stopped.
///
/// # Errors
/// The tables can't be read.
pub fn group_is_stopped(group: u32) -> io::Result<bool> {
    Ok(alive(|process| process.group == group)?.iter().all(|process| process.state == 'T'))
}

/// Those of the wanted processes that are alive.
fn alive(wanted: impl Fn(&Process) -> bool) -> io::Result<Vec<Process>> {
    Ok(all()?.into_iter().filter(|process| wanted(process) && !process.is_zombie()).collect())
}

/// What is looked at of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Process {
    /// Its id.
    pub id: u32,
    /// The id of its parent.
    pub parent: u32,
    /// Its process group.
    pub group: u32,
    /// `R`, `S`, `Z` and so on, as in `ps`.
    pub state: char,
}

impl Process {
    /// Whether it has ended, and its parent has not waited for it.
    pub fn is_zombie(&self) -> bool {
        self.state == 'Z'
    }
}

/// Counts the open descriptors of process `pid`.
///
/// # Errors
/// There is no such process, or this user may not look at it.
#[cfg(target_os = "linux")]
pub fn descriptors(pid: u32) -> io::Result<usize> {
    Ok(std::fs::read_dir(format!("/proc/{pid}/fd"))?.count())
}

/// Counts the open descriptors of process `pid`.
///
/// # Errors
/// `lsof` can't be run, or lists nothing: no such process, or this user may not look at it.
#[cfg(not(target_os = "linux"))]
pub fn descriptors(pid: u32) -> io::Result<usize> {
    // -d leaves out what is no descriptor, such as the program's text; -F f prints a line `fN` for each.
    let listed = output("lsof", &["-a", "-p", &pid.to_string(), "-d", "0-1048576", "-F", "f"])?;
    match listed.lines().filter(|line| line.starts_with('f')).count() {
        0 => Err(io::Error::new(io::ErrorKind::NotFound, format!("lsof shows no descriptor of process {pid}"))),
        count => Ok(count),
    }
}

/// How many descriptors process `pid` may have open: its soft limit (getrlimit(2)); `None` if it has no limit.
///
/// # Errors
/// There is no such process, or this user may not look at it.
#[cfg(target_os = "linux")]
pub fn descriptor_limit(pid: u32) -> io::Result<Option<u64>> {
    let limits = std::fs::read_to_string(format!("/proc/{pid}/limits"))?;
    let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
    Ok(line.and_then(|line| line.split_whitespace().next()?.parse().ok()))
}

/// The name of the program that process `pid` runs, as `ps -o comm` shows it: 15 bytes at most on Linux.
///
/// # Errors
/// There is no such process.
#[cfg(target_os = "linux")]
pub fn name(pid: u32) -> io::Result<String> {
    Ok(std::fs::read_to_string(format!("/proc/{pid}/comm"))?.trim_end().to_owned())
}

/// The sockets that process `pid` has open, by the number that the kernel knows each by.
///
/// # Errors
/// There is no such process, or this user may not look at it.
#[cfg(target_os = "linux")]
pub fn sockets(pid: u32) -> io::Result<Vec<u64>> {
    let links =
        std::fs::read_dir(format!("/proc/{pid}/fd"))?.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok());
    Ok(links.filter_map(|link| link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()).collect())
}

/// All processes. One that ends while the others are read is left out.
///
/// # Errors
/// The tables can't be read.
#[cfg(target_os = "linux")]
pub fn all() -> io::Result<Vec<Process>> {
    let ids = std::fs::read_dir("/proc")?.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
    Ok(ids.filter_map(|id| parse_stat(&std::fs::read_to_string(format!("/proc/{id}/stat")).ok()?)).collect())
}

/// All processes.
///
/// # Errors
/// `ps` can't be run.
#[cfg(not(target_os = "linux"))]
pub fn all() -> io::Result<Vec<Process>> {
    Ok(output("ps", &["-axo", "pid=,ppid=,pgid=,stat="])?.lines().filter_map(parse_ps).collect())
}

/// What a command prints.
#[cfg(not(target_os = "linux"))]
fn output(command: &str, arguments: &[&str]) -> io::Result<String> {
    let output = std::process::Command::new(command).args(arguments).output()?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Reads /proc/PID/stat: `id (name) state parent group ...`, where the name may hold spaces and parentheses.
#[cfg_attr(not(any(target_os = "linux", test)), allow(dead_code))]
fn parse_stat(stat: &str) -> Option<Process> {
    let (id, rest) = stat.split_once(" (")?;
    let mut fields = rest.rsplit_once(") ")?.1.split(' ');
    let state = fields.next()?.chars().next()?;
    Some(Process {
        id: id.parse().ok()?,
        parent: fields.next()?.parse().ok()?,
        group: fields.next()?.parse().ok()?,
        state,
    })
}

/// Reads a line of `ps -axo pid=,ppid=,pgid=,stat=`.
#[cfg_attr(not(any(not(target_os = "linux"), test)), allow(dead_code))]
fn parse_ps(line: &str) -> Option<Process> {
    let mut fields = line.split_whitespace();
    let mut number = || fields.next()?.parse().ok();
    let (id, parent, group) = (number()?, number()?, number()?);
    Some(Process { id, parent, group, state: fields.next()?.chars().next()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stat_line_is_read_whatever_the_program_is_called() {
        let zombie = Process { id: 9102, parent: 9099, group: 9099, state: 'Z' };
        assert_eq!(parse_stat("9102 (webserver3d) Z 9099 9099 3148 34816 9099 4228 0").as_ref(), Some(&zombie));
        assert_eq!(parse_stat("9102 (a) S (b) Z 9099 9099 3148 34816 9099 4228 0").as_ref(), Some(&zombie));
        assert_eq!(parse_stat("garbage"), None);
    }

    #[test]
    fn a_line_of_ps_is_read() {
        let zombie = Process { id: 9102, parent: 9099, group: 9099, state: 'Z' };
        assert_eq!(parse_ps(" 9102  9099  9099 Z+").as_ref(), Some(&zombie));
        assert_eq!(parse_ps(""), None);
    }

    #[test]
    fn this_process_has_the_three_standard_descriptors() {
        assert!(descriptors(std::process::id()).unwrap() >= 3);
    }
}
