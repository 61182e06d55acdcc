//! What the kernel's tables say of a process: its name, its open descriptors and its children.

use std::io::{self, ErrorKind};

use nix::errno::Errno;
use nix::sys::signal::kill;
use nix::unistd::Pid;

use crate::output::printable;

/// The children of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Children {
    /// Those that run, sleep or are stopped.
    pub alive: usize,
    /// Those that have ended, and whose parent has not waited for them: `Z` in `ps`, `<defunct>`.
    pub zombies: usize,
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

/// Counts the children of process `pid`.
///
/// # Errors
/// There is no such process, or the tables can't be read.
pub fn children(pid: u32) -> io::Result<Children> {
    let children = children_of(pid)?;
    let zombies = children.iter().filter(|child| child.is_zombie()).count();
    Ok(Children { alive: children.len() - zombies, zombies })
}

/// The ids of those children of process `pid` that are alive.
///
/// # Errors
/// There is no such process, or the tables can't be read.
pub fn alive_children(pid: u32) -> io::Result<Vec<u32>> {
    Ok(children_of(pid)?.iter().filter(|child| !child.is_zombie()).map(|child| child.id).collect())
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

/// Process `pid`, if it is there, all that descend from it, and all of its process group: what has come of a command
/// that was started as `pid`, in a group of its own. A descendant whose parent has ended and that has left the group
/// can't be told from anybody else's.
///
/// # Errors
/// The tables can't be read.
pub fn family(pid: u32) -> io::Result<Vec<Process>> {
    let (mut family, mut others): (Vec<_>, Vec<_>) =
        all()?.into_iter().partition(|process| pid > 0 && [process.id, process.group].contains(&pid));
    loop {
        let is_child = |process: &Process| family.iter().any(|member| member.id == process.parent);
        let (children, rest): (Vec<_>, Vec<_>) = others.into_iter().partition(is_child);
        if children.is_empty() {
            return Ok(family);
        }
        family.extend(children);
        others = rest;
    }
}

/// Whether process `pid` is there: alive, or a zombie.
pub fn exists(pid: u32) -> bool {
    i32::try_from(pid).is_ok_and(|id| id > 0 && kill(Pid::from_raw(id), None) != Err(Errno::ESRCH))
}

/// The error that there is no process `pid`.
pub(super) fn no_such_process(pid: u32) -> io::Error {
    io::Error::new(ErrorKind::NotFound, format!("there is no process {pid}"))
}

/// The error that process `pid` may not be looked at.
fn not_to_be_looked_at(pid: u32) -> io::Error {
    io::Error::new(ErrorKind::PermissionDenied, format!("process {pid} is another user's, and may not be looked at"))
}

/// What it means that process `pid` can't be looked at. Systems differ, and where another user's processes are hidden
/// (`hidepid`, proc(5)), they look as if they weren't there.
pub(super) fn why_not(pid: u32, error: io::Error) -> io::Error {
    let has_ended = || one(pid).is_ok_and(|process| process.is_zombie());
    match error.raw_os_error().map(Errno::from_raw) {
        _ if !exists(pid) => no_such_process(pid),
        // A zombie has nothing open, and its files belong to root.
        Some(Errno::EACCES | Errno::EPERM | Errno::ENOENT | Errno::ESRCH) if has_ended() => no_such_process(pid),
        Some(Errno::EACCES | Errno::EPERM | Errno::ENOENT) => not_to_be_looked_at(pid),
        Some(Errno::ESRCH) => no_such_process(pid),
        _ => error,
    }
}

/// The name of the program that process `pid` runs, fit for a terminal; for an interpreter with the name of the script:
/// `python3 webserver3f.py`.
///
/// # Errors
/// There is no such process.
pub fn name(pid: u32) -> io::Result<String> {
    let (short, arguments) = names(pid).map_err(|error| why_not(pid, error))?;
    Ok(program_name(&short, &arguments))
}

/// What stands behind the last slash.
fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// The name to show. `short` is the kernel's, which Linux cuts at 15 bytes and a program may change; `arguments` are
/// what the program was started with, which it may have overwritten.
fn program_name(short: &str, arguments: &[String]) -> String {
    const INTERPRETERS: [&str; 7] = ["python", "ruby", "perl", "node", "php", "bash", "sh"];

    let mut arguments = arguments.iter().map(String::as_str);
    let first = file_name(arguments.next().unwrap_or_default()).trim_start_matches('-'); // a login shell has one
    let without_version = first.trim_end_matches(|character: char| character.is_ascii_digit() || character == '.');
    let shown = if INTERPRETERS.contains(&without_version) {
        let is_option = |argument: &&str| argument.starts_with('-') && !["-m", "-c", "-e"].contains(argument);
        let mut rest = arguments.skip_while(is_option);
        match (rest.next(), rest.next()) {
            (Some("-m"), Some(module)) => format!("{first} -m {module}"),
            (Some(script), _) if !script.starts_with('-') => format!("{first} {}", file_name(script)),
            _ => first.to_owned(),
        }
    } else if first.starts_with(short) {
        first.to_owned()
    } else {
        short.to_owned()
    };
    printable(shown.as_bytes()).replace(['\n', '\t'], " ")
}

/// Counts the open descriptors of process `pid`.
///
/// # Errors
/// There is no such process, or this user may not look at it.
pub fn descriptors(pid: u32) -> io::Result<usize> {
    match count_descriptors(pid) {
        Ok(0) if one(pid).is_ok_and(|process| process.is_zombie()) => Err(no_such_process(pid)),
        Ok(count) => Ok(count),
        Err(error) => Err(why_not(pid, error)),
    }
}

/// How many descriptors process `pid` may have open: its soft limit (getrlimit(2)); `None` if it has no limit, or on
/// macOS, which does not tell.
///
/// # Errors
/// There is no such process.
pub fn descriptor_limit(pid: u32) -> io::Result<Option<u64>> {
    read_descriptor_limit(pid).map_err(|error| why_not(pid, error))
}

/// The sockets that process `pid` has open, by the number that the kernel knows each by.
///
/// # Errors
/// There is no such process, or this user may not look at it.
pub fn sockets(pid: u32) -> io::Result<Vec<u64>> {
    read_sockets(pid).map_err(|error| why_not(pid, error))
}

#[cfg(target_os = "linux")]
pub use self::linux::all;
#[cfg(target_os = "linux")]
pub(super) use self::linux::one;
#[cfg(target_os = "linux")]
use self::linux::{children_of, count_descriptors, names, read_descriptor_limit, read_sockets};
#[cfg(not(target_os = "linux"))]
pub use self::others::all;
#[cfg(not(target_os = "linux"))]
pub(super) use self::others::one;
#[cfg(not(target_os = "linux"))]
use self::others::{children_of, count_descriptors, names, read_descriptor_limit, read_sockets};

/// Linux: the files of proc(5).
#[cfg(target_os = "linux")]
mod linux {
    use std::fs::{self, File};
    use std::io::{self, Read};
    use std::sync::OnceLock;

    use super::{Process, why_not};

    /// All processes. One that ends while the others are read is left out.
    ///
    /// # Errors
    /// The tables can't be read.
    pub fn all() -> io::Result<Vec<Process>> {
        let ids = fs::read_dir("/proc")?.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok());
        Ok(ids.filter_map(|id| one(id).ok()).collect())
    }

    /// Process `pid`.
    pub fn one(pid: u32) -> io::Result<Process> {
        // What is looked at stands within the first 64 bytes or so, whatever the name is: one read, for there may be
        // hundreds of processes, several times a second.
        let mut stat = [0; 256];
        let length = File::open(format!("/proc/{pid}/stat"))?.read(&mut stat)?;
        parse_stat(&String::from_utf8_lossy(&stat[..length])).ok_or_else(|| io::ErrorKind::InvalidData.into())
    }

    /// The children of process `pid`, zombies too. The kernel keeps a list of them for each thread, which spares
    /// reading of all the other processes. It hands the list out page by page, about 700 children at a time, and may
    /// miss some when others are reaped between two pages; a look at a server that is at rest misses none.
    pub fn children_of(pid: u32) -> io::Result<Vec<Process>> {
        // Not every kernel is built with it (CONFIG_PROC_CHILDREN).
        static HAS_LISTS: OnceLock<bool> = OnceLock::new();
        let children: Vec<_> = if *HAS_LISTS.get_or_init(|| fs::exists("/proc/thread-self/children").unwrap_or(false)) {
            let mut lists = String::new();
            for thread in fs::read_dir(format!("/proc/{pid}/task")).map_err(|error| why_not(pid, error))? {
                // A thread may have ended since.
                lists += &read(&format!("{}/children", thread?.path().display())).unwrap_or_default();
            }
            lists.split_whitespace().filter_map(|id| one(id.parse().ok()?).ok()).collect()
        } else {
            one(pid).map_err(|error| why_not(pid, error))?;
            all()?
        };
        Ok(children.into_iter().filter(|process| process.parent == pid).collect())
    }

    pub fn count_descriptors(pid: u32) -> io::Result<usize> {
        // The size of the folder would be cheaper (Linux 6.2), but counts the number that a waiting accept has taken
        // in advance.
        Ok(fs::read_dir(format!("/proc/{pid}/fd"))?.count())
    }

    pub fn read_descriptor_limit(pid: u32) -> io::Result<Option<u64>> {
        let limits = read(&format!("/proc/{pid}/limits"))?;
        let line = limits.lines().find_map(|line| line.strip_prefix("Max open files"));
        Ok(line.and_then(|line| line.split_whitespace().next()?.parse().ok()))
    }

    pub fn read_sockets(pid: u32) -> io::Result<Vec<u64>> {
        let entries = fs::read_dir(format!("/proc/{pid}/fd"))?;
        let links = entries.filter_map(|entry| fs::read_link(entry.ok()?.path()).ok());
        Ok(links.filter_map(|link| link.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()).collect())
    }

    pub fn names(pid: u32) -> io::Result<(String, Vec<String>)> {
        let short = read(&format!("/proc/{pid}/comm"))?;
        let arguments = read(&format!("/proc/{pid}/cmdline"))?; // nothing for a zombie
        let arguments = arguments.split_terminator('\0').map(str::to_owned).collect();
        Ok((short.trim_end_matches('\n').to_owned(), arguments))
    }

    fn read(path: &str) -> io::Result<String> {
        Ok(String::from_utf8_lossy(&fs::read(path)?).into_owned())
    }

    /// Reads /proc/PID/stat: `id (name) state parent group ...`, where the name may hold spaces and parentheses.
    pub fn parse_stat(stat: &str) -> Option<Process> {
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
}

/// macOS: `ps` and `lsof`.
#[cfg(not(target_os = "linux"))]
mod others {
    use std::io;

    use super::{Process, exists, file_name, no_such_process};
    use crate::kernel::commands::{self, output};

    /// All processes.
    ///
    /// # Errors
    /// `ps` can't be run.
    pub fn all() -> io::Result<Vec<Process>> {
        Ok(output("ps", &["-axo", commands::PROCESS])?.lines().filter_map(commands::parse_process).collect())
    }

    pub fn one(pid: u32) -> io::Result<Process> {
        let printed = output("ps", &["-o", commands::PROCESS, "-p", &pid.to_string()])?;
        printed.lines().find_map(commands::parse_process).ok_or_else(|| no_such_process(pid))
    }

    pub fn children_of(pid: u32) -> io::Result<Vec<Process>> {
        let all = all()?;
        if all.iter().all(|process| process.id != pid) {
            return Err(no_such_process(pid));
        }
        Ok(all.into_iter().filter(|process| process.parent == pid).collect())
    }

    pub fn count_descriptors(pid: u32) -> io::Result<usize> {
        // -d leaves out what is no descriptor, such as the program's text; -F f prints a line `fN` for each.
        let listed = output("lsof", &["-a", "-p", &pid.to_string(), "-d", "0-1048576", "-F", "f"])?;
        match listed.lines().filter(|line| line.starts_with('f')).count() {
            0 => Err(nix::errno::Errno::EACCES.into()),
            count => Ok(count),
        }
    }

    pub fn read_descriptor_limit(pid: u32) -> io::Result<Option<u64>> {
        if exists(pid) { Ok(None) } else { Err(no_such_process(pid)) }
    }

    pub fn read_sockets(pid: u32) -> io::Result<Vec<u64>> {
        let listed = output("lsof", &["-nP", "-a", "-p", &pid.to_string(), "-i", "-F", "pd"])?;
        if listed.is_empty() {
            count_descriptors(pid)?; // it may not be looked at
        }
        Ok(commands::parse_lsof(&listed).into_iter().map(|socket| socket.device).collect())
    }

    pub fn names(pid: u32) -> io::Result<(String, Vec<String>)> {
        let printed = |column| output("ps", &["-o", column, "-p", &pid.to_string()]);
        let (path, arguments) = (printed("comm=")?, printed("args=")?);
        match file_name(path.trim()) {
            "" => Err(no_such_process(pid)),
            short => Ok((short.to_owned(), arguments.split_whitespace().map(str::to_owned).collect())),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::CommandExt;

    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn a_stat_line_is_read_whatever_the_program_is_called() {
        let zombie = Process { id: 9102, parent: 9099, group: 9099, state: 'Z' };
        let parse_stat = linux::parse_stat;
        assert_eq!(parse_stat("9102 (webserver3d) Z 9099 9099 3148 34816 9099 4228 0"), Some(zombie));
        assert_eq!(parse_stat("9102 (a) S (b) Z 9099 9099 3148 34816 9099 4228 0"), Some(zombie));
        assert_eq!(parse_stat("garbage"), None);
    }

    fn kind<T: std::fmt::Debug>(outcome: io::Result<T>) -> ErrorKind {
        outcome.unwrap_err().kind()
    }

    #[test]
    fn this_process_has_the_three_standard_descriptors() {
        assert!(descriptors(std::process::id()).unwrap() >= 3);
    }

    #[test]
    fn a_process_that_is_not_there_is_not_found() {
        for pid in [0, i32::MAX.unsigned_abs(), u32::MAX] {
            assert_eq!(kind(descriptors(pid)), ErrorKind::NotFound);
            assert_eq!(kind(descriptor_limit(pid)), ErrorKind::NotFound);
            assert_eq!(kind(children(pid)), ErrorKind::NotFound);
            assert_eq!(kind(sockets(pid)), ErrorKind::NotFound);
            assert_eq!(kind(name(pid)), ErrorKind::NotFound);
            assert_eq!(family(pid).unwrap(), []);
        }
    }

    #[test]
    fn a_child_is_counted_while_it_lives_and_when_it_is_a_zombie() {
        let mut sleep = std::process::Command::new("sleep");
        let mut child = sleep.arg("60").process_group(0).spawn().unwrap();
        let here = std::process::id();
        assert!(alive_children(here).unwrap().contains(&child.id()));
        assert!(family(here).unwrap().iter().any(|process| process.id == child.id()));
        child.kill().unwrap();
        let is_zombie = || children_of(here).unwrap().iter().any(|one| one.id == child.id() && one.is_zombie());
        let limit = std::time::Duration::from_secs(10);
        assert!(crate::wait::until(limit, || is_zombie().then_some(())).is_some());
        assert!(!alive_children(here).unwrap().contains(&child.id()));
        assert_eq!(kind(descriptors(child.id())), ErrorKind::NotFound, "it has ended");
        child.wait().unwrap();
        assert!(children_of(here).unwrap().iter().all(|one| one.id != child.id()));
    }

    #[test]
    fn a_program_has_a_name_that_says_what_runs() {
        for (short, arguments, shown) in [
            ("webserver3g", "target/debug/webserver3g --port 0", "webserver3g"),
            ("a-long-name-for", "./a-long-name-for-a-server", "a-long-name-for-a-server"),
            ("python3", "python3 -u ./part3/webserver3f.py 8888", "python3 webserver3f.py"),
            ("webserver3f.py", "/usr/bin/python3.11 ./webserver3f.py", "python3.11 webserver3f.py"),
            ("python3", "python3 -m http.server", "python3 -m http.server"),
            ("python3", "python3 -c pass", "python3"),
            ("python3", "python3", "python3"),
            ("MainThread", "node server.js", "node server.js"),
            ("bash", "-bash", "bash"),
            ("nginx", "nginx:_master_process /usr/sbin/nginx", "nginx:_master_process"),
            ("kthreadd", "", "kthreadd"),
            ("renamed", "server", "renamed"),
            ("bad\x1b\nname", "", "bad\\u{1b} name"),
        ] {
            let arguments: Vec<_> = arguments.split_whitespace().map(str::to_owned).collect();
            assert_eq!(program_name(short, &arguments), shown);
        }
    }

    #[test]
    fn this_process_has_a_name() {
        let path = std::env::current_exe().unwrap();
        assert_eq!(name(std::process::id()).unwrap(), path.file_name().unwrap().to_str().unwrap());
    }
}
