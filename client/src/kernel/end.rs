//! How a process ended that is not a child of this one: wait(2) tells only a parent.

use std::fmt::{self, Display};
use std::io;
use std::mem::zeroed;

use nix::errno::Errno;
use nix::libc;
use nix::sys::signal::Signal;

#[cfg(target_os = "linux")]
use self::linux::Handle;
#[cfg(not(target_os = "linux"))]
use self::others::Handle;
use super::processes;

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It has ended, and this system does not tell how.
    Unknown,
    /// It has exited, with this code.
    Exited(i32),
    /// This signal has ended it.
    Killed(i32),
}

impl End {
    /// How child `pid` of this process has ended, if it has. It stays a zombie, so its id is given to nobody else yet.
    pub fn of_child(pid: u32) -> Option<End> {
        // SAFETY: it is made of numbers and pointers, for which 0 is as good as any.
        let mut info: libc::siginfo_t = unsafe { zeroed() };
        let flags = libc::WEXITED | libc::WNOHANG | libc::WNOWAIT;
        // SAFETY: waitid(2) only writes to `info`; if the child lives, it leaves the numbers 0.
        Errno::result(unsafe { libc::waitid(libc::P_PID, pid, &mut info, flags) }).ok()?;
        // SAFETY: waitid(2) has filled it in as for SIGCHLD, or left the number 0.
        let status = unsafe { info.si_status() };
        match info.si_code {
            libc::CLD_EXITED => Some(End::Exited(status)),
            libc::CLD_KILLED | libc::CLD_DUMPED => Some(End::Killed(status)),
            _ => None,
        }
    }

    /// Takes a status apart as wait(2) returns it.
    #[cfg_attr(not(target_os = "linux"), allow(dead_code))]
    fn from_status(status: i32) -> End {
        match status & 0x7f {
            0 => End::Exited(status >> 8 & 0xff),
            signal => End::Killed(signal),
        }
    }
}

/// In words that fit behind the name of the process.
impl Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            End::Unknown => write!(f, "ended, and only its parent can tell how"),
            End::Exited(code) => write!(f, "exited with code {code}"),
            End::Killed(number) => match Signal::try_from(*number) {
                Ok(signal) => write!(f, "was killed by {signal}"),
                Err(_) => write!(f, "was killed by signal {number}"),
            },
        }
    }
}

/// A process whose end is watched. It stays that very process, even if its id is given to another one later.
#[derive(Debug)]
pub struct Watched {
    pid: u32,
    handle: Handle,
}

impl Watched {
    /// Watches process `pid` from now on.
    ///
    /// # Errors
    /// There is no such process (or it is a zombie, which has ended already); the system can't watch it.
    pub fn of(pid: u32) -> io::Result<Watched> {
        let handle = Handle::of(pid).map_err(|error| processes::why_not(pid, error))?;
        if processes::one(pid).map_err(|error| processes::why_not(pid, error))?.is_zombie() {
            return Err(processes::no_such_process(pid));
        }
        Ok(Watched { pid, handle })
    }

    /// Its id.
    pub fn id(&self) -> u32 {
        self.pid
    }

    /// How it has ended, if it has. A zombie has.
    pub fn ended(&self) -> Option<End> {
        self.handle.ended(self.pid)
    }
}

/// Linux: a descriptor that stands for the process, pidfd_open(2).
#[cfg(target_os = "linux")]
mod linux {
    use std::fs;
    use std::io;
    use std::mem::zeroed;
    use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

    use nix::errno::Errno;
    use nix::libc;
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

    use super::End;
    use crate::kernel::processes;

    #[derive(Debug)]
    pub enum Handle {
        Descriptor(OwnedFd),
        /// Where the kernel has none to give (before Linux 5.3, or in a container that forbids it): when the process
        /// was started, in ticks since the machine was. No two processes have that and the id in common.
        Start(u64),
    }

    impl Handle {
        pub fn of(pid: u32) -> io::Result<Handle> {
            // SAFETY: pidfd_open(2) takes two numbers.
            let descriptor = Errno::result(unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) });
            match descriptor {
                // SAFETY: the kernel has just made it for this process, and nobody else knows of it.
                Ok(number) => Ok(Handle::Descriptor(unsafe { OwnedFd::from_raw_fd(number as i32) })),
                Err(Errno::ENOSYS | Errno::EPERM | Errno::EACCES) => Handle::start_of(pid),
                Err(errno) => Err(thread_of(pid).unwrap_or_else(|| errno.into())),
            }
        }

        pub fn start_of(pid: u32) -> io::Result<Handle> {
            Ok(Handle::Start(Stat::of(pid)?.start))
        }

        pub fn ended(&self, pid: u32) -> Option<End> {
            match self {
                Handle::Descriptor(descriptor) => is_readable(descriptor)
                    .then(|| status(descriptor).or_else(|| status_of_zombie(pid)).or_else(|| status(descriptor)))
                    .map(|status| status.map_or(End::Unknown, End::from_status)),
                Handle::Start(start) => match Stat::of(pid) {
                    Ok(stat) if stat.start != *start => Some(End::Unknown),
                    Ok(stat) => stat.status.map(End::from_status),
                    Err(_) => (!processes::exists(pid)).then_some(End::Unknown),
                },
            }
        }
    }

    /// The error that `pid` is no process but a thread of one; tools such as htop show both.
    fn thread_of(pid: u32) -> Option<io::Error> {
        let status = fs::read(format!("/proc/{pid}/status")).ok()?;
        let status = String::from_utf8_lossy(&status);
        let process: u32 = status.lines().find_map(|line| line.strip_prefix("Tgid:"))?.trim().parse().ok()?;
        let text = format!("there is no process {pid}, it is a thread of process {process}");
        (process != pid).then(|| io::Error::new(io::ErrorKind::NotFound, text))
    }

    /// A pidfd becomes readable when its process ends.
    fn is_readable(descriptor: &OwnedFd) -> bool {
        let mut polled = [PollFd::new(descriptor.as_fd(), PollFlags::POLLIN)];
        matches!(poll(&mut polled, PollTimeout::ZERO), Ok(1..))
    }

    /// The status of a process that has ended and been waited for: since Linux 6.15 the kernel keeps it for those who
    /// have a pidfd.
    fn status(descriptor: &OwnedFd) -> Option<i32> {
        // SAFETY: it is made of numbers only, for which 0 is as good as any.
        let mut info: libc::pidfd_info = unsafe { zeroed() };
        info.mask = libc::PIDFD_INFO_EXIT.into();
        // SAFETY: the call is given what its number says, and writes no more than that.
        Errno::result(unsafe { libc::ioctl(descriptor.as_raw_fd(), libc::PIDFD_GET_INFO, &mut info) }).ok()?;
        (info.mask & u64::from(libc::PIDFD_INFO_EXIT) != 0).then_some(info.exit_code)
    }

    /// The status of a process that has ended and that nobody has waited for. (The kernel says 0 to whom it does not
    /// trust with it, but so it does with the process's descriptors.)
    fn status_of_zombie(pid: u32) -> Option<i32> {
        Stat::of(pid).ok()?.status
    }

    /// What /proc/PID/stat says besides (proc(5)).
    struct Stat {
        /// The 22nd field.
        start: u64,
        /// The last one, the 52nd, of a process that has ended.
        status: Option<i32>,
    }

    impl Stat {
        fn of(pid: u32) -> io::Result<Stat> {
            let stat = String::from_utf8_lossy(&fs::read(format!("/proc/{pid}/stat"))?).into_owned();
            Stat::parse(&stat).ok_or_else(|| io::ErrorKind::InvalidData.into())
        }

        fn parse(stat: &str) -> Option<Stat> {
            // The third field is the first one behind the name, which may hold spaces and parentheses.
            let fields: Vec<_> = stat.trim_end().rsplit_once(") ")?.1.split(' ').collect();
            let has_ended = matches!(fields[0], "Z" | "X");
            let status = fields.get(52 - 3).filter(|_| has_ended).and_then(|status| status.parse().ok());
            Some(Stat { start: fields.get(22 - 3)?.parse().ok()?, status })
        }
    }
}

/// macOS: kqueue(2) tells of the end of any process of this user; how it ended, only of a child.
#[cfg(not(target_os = "linux"))]
mod others {
    use std::cell::Cell;
    use std::io;

    use nix::libc;
    use nix::sys::event::{EvFlags, EventFilter, FilterFlag, KEvent, Kqueue};

    use super::End;
    use crate::kernel::processes;

    const NOW: libc::timespec = libc::timespec { tv_sec: 0, tv_nsec: 0 };

    #[derive(Debug)]
    pub struct Handle {
        queue: Kqueue,
        /// kqueue says it once.
        has_ended: Cell<bool>,
    }

    impl Handle {
        pub fn of(pid: u32) -> io::Result<Handle> {
            let queue = Kqueue::new()?;
            let (add, end) = (EvFlags::EV_ADD, FilterFlag::NOTE_EXIT);
            let change = KEvent::new(pid as usize, EventFilter::EVFILT_PROC, add, end, 0, 0);
            queue.kevent(&[change], &mut [], Some(NOW))?;
            Ok(Handle { queue, has_ended: Cell::new(false) })
        }

        pub fn ended(&self, pid: u32) -> Option<End> {
            let nothing = KEvent::new(0, EventFilter::EVFILT_PROC, EvFlags::empty(), FilterFlag::empty(), 0, 0);
            if matches!(self.queue.kevent(&[], &mut [nothing], Some(NOW)), Ok(1..)) || !processes::exists(pid) {
                self.has_ended.set(true);
            }
            self.has_ended.get().then_some(End::Unknown)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command};
    use std::time::Duration;

    use super::*;
    use crate::wait;

    fn sleeping() -> Child {
        Command::new("sleep").arg("60").spawn().unwrap()
    }

    /// Whether this is Linux 6.15 or later.
    fn tells_how() -> bool {
        let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let mut numbers = release.split('.').map(|number| number.parse().unwrap_or(0));
        (numbers.next(), numbers.next()) >= (Some(6), Some(15))
    }

    fn end_of(watched: &Watched) -> Option<End> {
        wait::until(Duration::from_secs(10), || watched.ended())
    }

    #[test]
    fn a_process_that_lives_has_not_ended() {
        assert_eq!(Watched::of(std::process::id()).unwrap().ended(), None);
    }

    #[test]
    fn a_process_that_is_not_there_or_has_ended_can_not_be_watched() {
        let mut child = sleeping();
        child.kill().unwrap();
        let refused = || Watched::of(child.id()).err().filter(|error| error.kind() == io::ErrorKind::NotFound);
        assert!(wait::until(Duration::from_secs(10), refused).is_some(), "a zombie");
        child.wait().unwrap();
        assert_eq!(Watched::of(child.id()).unwrap_err().kind(), io::ErrorKind::NotFound);
        assert_eq!(Watched::of(0).unwrap_err().kind(), io::ErrorKind::NotFound);
        assert_eq!(Watched::of(u32::MAX).unwrap_err().kind(), io::ErrorKind::NotFound);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_thread_is_no_process() {
        let thread = || nix::unistd::gettid().as_raw().cast_unsigned();
        let error = std::thread::spawn(move || Watched::of(thread()).unwrap_err()).join().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        assert!(error.to_string().ends_with(&format!("a thread of process {}", std::process::id())), "{error}");
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn how_a_zombie_ended_is_known() {
        let mut child = sleeping();
        let watched = Watched::of(child.id()).unwrap();
        child.kill().unwrap();
        assert_eq!(end_of(&watched), Some(End::Killed(9)));
        child.wait().unwrap();
    }

    #[test]
    fn that_a_process_has_ended_is_known_when_it_has_been_waited_for() {
        let mut child = sleeping();
        let watched = Watched::of(child.id()).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        let expected = if tells_how() { End::Killed(9) } else { End::Unknown };
        assert_eq!(end_of(&watched), Some(expected));
        assert_eq!(watched.ended(), Some(expected), "and again");
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn without_a_pidfd_the_start_of_a_process_tells_it_from_others() {
        let mut child = sleeping();
        let Handle::Start(start) = Handle::start_of(child.id()).unwrap() else { panic!("a start") };
        let watched = |start| Watched { pid: child.id(), handle: Handle::Start(start) };
        assert_eq!((watched(start).ended(), watched(start + 1).ended()), (None, Some(End::Unknown)));
        let watched = watched(start);
        child.kill().unwrap();
        assert_eq!(end_of(&watched), Some(End::Killed(9)), "a zombie");
        child.wait().unwrap();
        assert_eq!(end_of(&watched), Some(End::Unknown));
    }

    #[test]
    fn how_a_child_ended_is_known_before_it_is_waited_for() {
        let mut child = sleeping();
        assert_eq!(End::of_child(child.id()), None);
        child.kill().unwrap();
        let end = || wait::until(Duration::from_secs(10), || End::of_child(child.id()));
        assert_eq!([end(), end()], [Some(End::Killed(9)); 2], "it stays");
        child.wait().unwrap();
        assert_eq!(End::of_child(child.id()), None, "nobody's any more");
        let mut child = Command::new("sh").args(["-c", "exit 3"]).spawn().unwrap();
        assert_eq!(wait::until(Duration::from_secs(10), || End::of_child(child.id())), Some(End::Exited(3)));
        child.wait().unwrap();
    }

    #[test]
    fn an_end_is_told_in_words() {
        assert_eq!(End::from_status(0x100).to_string(), "exited with code 1");
        assert_eq!(End::from_status(9).to_string(), "was killed by SIGKILL");
        assert_eq!(End::from_status(11 | 0x80).to_string(), "was killed by SIGSEGV", "with a core");
        assert_eq!(End::Killed(34).to_string(), "was killed by signal 34");
    }
}
