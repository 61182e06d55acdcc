//! A file that comes into being all at once: it has no name before it is complete, and never takes the place of
//! another.

use std::collections::hash_map::RandomState;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::hash::BuildHasher;
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::MetadataExt;

use cap_std::fs::{Dir, OpenOptions, OpenOptionsExt};

use super::path::bytes;

/// A file that is being written in a directory. Dropped before it is published, it is gone.
///
/// Where the system has files without a name (O_TMPFILE, open(2): Linux, on most file systems), nothing is left of one
/// even when the process is killed. Elsewhere it has a name that is shown to nobody, and what a killed process leaves
/// is removed before the next file is made in that directory.
pub struct NewFile<'a> {
    folder: &'a Dir,
    file: File,
    temporary: Option<Temporary<'a>>,
}

/// A name that is removed when this is dropped.
struct Temporary<'a> {
    folder: &'a Dir,
    name: OsString,
}

impl Drop for Temporary<'_> {
    fn drop(&mut self) {
        let _ = self.folder.remove_file(&self.name);
    }
}

/// A name that a file has got, and which is taken away again when this is dropped before it is kept.
pub struct Published<'a> {
    folder: &'a Dir,
    /// The name.
    pub name: OsString,
    /// How many bytes the file has.
    pub length: u64,
    identity: (u64, u64),
    is_kept: bool,
}

impl Published<'_> {
    /// Leaves the file where it is.
    pub fn keep(mut self) {
        self.is_kept = true;
    }
}

impl Drop for Published<'_> {
    fn drop(&mut self) {
        let is_same = || {
            use cap_std::fs::MetadataExt;
            let there = self.folder.symlink_metadata(&self.name);
            there.is_ok_and(|there| (there.dev(), there.ino()) == self.identity)
        };
        if !self.is_kept && is_same() {
            let _ = self.folder.remove_file(&self.name);
        }
    }
}

impl<'a> NewFile<'a> {
    /// Makes an empty file in `folder`.
    ///
    /// # Errors
    /// Those of open(2): EACCES, EROFS, ENOSPC, EMFILE and others.
    pub fn new(folder: &'a Dir) -> io::Result<NewFile<'a>> {
        match without_a_name(folder)? {
            Some(file) => Ok(NewFile { folder, file, temporary: None }),
            None => NewFile::with_a_name(folder),
        }
    }

    /// The same where there are no files without a name.
    fn with_a_name(folder: &'a Dir) -> io::Result<NewFile<'a>> {
        remove_leftovers(folder);
        loop {
            let name = OsString::from(format!("{PREFIX}{:016x}{SUFFIX}", RandomState::new().hash_one(0)));
            let options = OpenOptions::new().write(true).create_new(true).mode(0o666).clone();
            let file = match folder.open_with(&name, &options) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => continue,
                file => file?.into_std(),
            };
            let temporary = Temporary { folder, name };
            // Whoever clears up leaves a file alone that is locked. If one has come in between, the name is gone.
            let _ = file.try_lock();
            if file.metadata()?.nlink() > 0 {
                return Ok(NewFile { folder, file, temporary: Some(temporary) });
            }
        }
    }

    /// Writes what comes next.
    ///
    /// # Errors
    /// Those of write(2): ENOSPC, EDQUOT, EFBIG and others.
    pub fn write_all(&mut self, block: &[u8]) -> io::Result<()> {
        self.file.write_all(block)
    }

    /// Gives the file its name: `name`, or if that is taken, `name_`, `name__` and so on.
    ///
    /// # Errors
    /// Those of fsync(2), by which a disk that is full or broken has told so, and of link(2) or rename(2).
    pub fn publish(self, name: &OsStr) -> io::Result<Published<'a>> {
        self.file.sync_all()?;
        let metadata = self.file.metadata()?;
        let mut name = name.to_owned();
        loop {
            let outcome = match &self.temporary {
                None => link(&self.file, self.folder, &name),
                Some(temporary) => rename(temporary, self.folder, &name),
            };
            match outcome {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => name.push("_"),
                outcome => {
                    let identity = (metadata.dev(), metadata.ino());
                    let folder = self.folder;
                    return outcome.map(|()| Published {
                        folder,
                        name,
                        length: metadata.len(),
                        identity,
                        is_kept: false,
                    });
                }
            }
        }
    }
}

/// Makes a file without a name; `None` where there is no such thing.
#[cfg(target_os = "linux")]
fn without_a_name(folder: &Dir) -> io::Result<Option<File>> {
    use nix::errno::Errno;
    use nix::fcntl::{OFlag, openat};
    use nix::sys::stat::Mode;

    // The only way to give it a name later that needs no privilege leads through /proc.
    if !std::path::Path::new("/proc/self/fd").exists() {
        return Ok(None);
    }
    let flags = OFlag::O_TMPFILE | OFlag::O_WRONLY | OFlag::O_CLOEXEC;
    match openat(folder, ".", flags, Mode::from_bits_truncate(0o666)) {
        Ok(file) => Ok(Some(file.into())),
        Err(Errno::EOPNOTSUPP | Errno::EISDIR | Errno::EINVAL) => Ok(None),
        Err(errno) => Err(errno.into()),
    }
}

/// Makes a file without a name; `None` where there is no such thing.
#[cfg(not(target_os = "linux"))]
fn without_a_name(_folder: &Dir) -> io::Result<Option<File>> {
    Ok(None)
}

/// Gives a file without a name one that is not taken (linkat(2), where O_TMPFILE is described in open(2)).
#[cfg(target_os = "linux")]
fn link(file: &File, folder: &Dir, name: &OsStr) -> io::Result<()> {
    use nix::fcntl::{AT_FDCWD, AtFlags};
    use nix::unistd::linkat;
    use std::os::fd::AsRawFd;

    let file = format!("/proc/self/fd/{}", file.as_raw_fd());
    Ok(linkat(AT_FDCWD, file.as_str(), folder, name, AtFlags::AT_SYMLINK_FOLLOW)?)
}

#[cfg(not(target_os = "linux"))]
fn link(_file: &File, _folder: &Dir, _name: &OsStr) -> io::Result<()> {
    Err(ErrorKind::Unsupported.into())
}

/// Gives a file another name, which is not taken. rename(2) replaces what is there, and not every file system can
/// link; so an empty file takes the name first, if it is free, and is then replaced.
fn rename(temporary: &Temporary, folder: &Dir, name: &OsStr) -> io::Result<()> {
    folder.open_with(name, OpenOptions::new().write(true).create_new(true))?;
    folder.rename(&temporary.name, folder, name).inspect_err(|_| {
        let _ = folder.remove_file(name);
    })
}

const PREFIX: &str = ".upload-";
const SUFFIX: &str = ".part";

/// Whether `name` is one that [`NewFile`] gives to files that are not complete.
pub fn is_temporary(name: &[u8]) -> bool {
    let random = name.strip_prefix(PREFIX.as_bytes()).and_then(|rest| rest.strip_suffix(SUFFIX.as_bytes()));
    random.is_some_and(|random| random.len() == 16 && random.iter().all(u8::is_ascii_hexdigit))
}

/// Removes what processes have left that were killed: whoever still writes holds a lock.
fn remove_leftovers(folder: &Dir) {
    for entry in folder.entries().into_iter().flatten().flatten() {
        let name = entry.file_name();
        if is_temporary(bytes(&name))
            && entry.file_type().is_ok_and(|kind| kind.is_file())
            && let Ok(file) = folder.open(&name)
            && file.into_std().try_lock().is_ok()
        {
            let _ = folder.remove_file(&name);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cap_std::ambient_authority;

    /// A directory, and the names in it.
    fn folder() -> (tempfile::TempDir, Dir) {
        let folder = tempfile::tempdir().unwrap();
        let dir = Dir::open_ambient_dir(folder.path(), ambient_authority()).unwrap();
        (folder, dir)
    }

    fn names(dir: &Dir) -> Vec<String> {
        let mut names: Vec<_> =
            dir.entries().unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// Makes a file in one of both ways.
    fn make(dir: &Dir, with_a_name: bool) -> NewFile<'_> {
        if with_a_name { NewFile::with_a_name(dir).unwrap() } else { NewFile::new(dir).unwrap() }
    }

    #[test]
    fn a_file_gets_its_name_when_it_is_complete_and_takes_no_others_place() {
        for with_a_name in [false, true] {
            let (_guard, dir) = folder();
            dir.write("a", "old").unwrap();
            for (content, name) in [("first", "a_"), ("second", "a__")] {
                let mut file = make(&dir, with_a_name);
                file.write_all(content.as_bytes()).unwrap();
                assert!(!names(&dir).contains(&name.to_owned()));
                let published = file.publish(OsStr::new("a")).unwrap();
                assert_eq!((published.name.to_str(), published.length), (Some(name), content.len() as u64));
                published.keep();
                assert_eq!(dir.read_to_string(name).unwrap(), content);
            }
            assert_eq!(dir.read_to_string("a").unwrap(), "old");
            assert_eq!(names(&dir), ["a", "a_", "a__"]);
        }
    }

    #[test]
    fn a_file_that_is_given_up_leaves_nothing() {
        for with_a_name in [false, true] {
            let (_guard, dir) = folder();
            let mut file = make(&dir, with_a_name);
            file.write_all(b"something").unwrap();
            drop(file);
            assert!(names(&dir).is_empty());

            let published = make(&dir, with_a_name).publish(OsStr::new("a")).unwrap();
            assert_eq!(names(&dir), ["a"]);
            drop(published); // the next file of the same form failed
            assert!(names(&dir).is_empty());
        }
    }

    #[test]
    fn a_name_that_is_a_link_to_nothing_is_taken() {
        for with_a_name in [false, true] {
            let (guard, dir) = folder();
            std::os::unix::fs::symlink("../outside", guard.path().join("a")).unwrap();
            make(&dir, with_a_name).publish(OsStr::new("a")).unwrap().keep();
            assert_eq!(names(&dir), ["a", "a_"]);
            assert!(!guard.path().join("../outside").exists());
        }
    }

    #[test]
    fn what_a_killed_process_left_is_removed_and_what_is_being_written_is_not() {
        let (_guard, dir) = folder();
        dir.write(".upload-0123456789abcdef.part", "left").unwrap();
        dir.write(".upload-mine.part", "no name of ours").unwrap();
        let first = NewFile::with_a_name(&dir).unwrap();
        let second = NewFile::with_a_name(&dir).unwrap();
        assert_eq!(names(&dir).len(), 3, "{:?}", names(&dir));
        assert!(!dir.exists(".upload-0123456789abcdef.part"));
        drop((first, second));
        assert_eq!(names(&dir), [".upload-mine.part"]);
    }
}
