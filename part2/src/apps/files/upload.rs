//! Uploads: the files of a form become files of a directory, all of them or none.

use std::ffi::OsStr;
use std::fmt::Write;
use std::io::{self, ErrorKind};

use cap_std::fs::Dir;
use nix::errno::Errno;

use super::form::{Form, FormError, drain};
use super::page::{Escaped, Page, is_obeyed, size};
use super::path::{Place, bytes, encoded};
use super::store::{NewFile, Published};
use crate::{Environ, Input};

/// The most files that a form may have: each is a descriptor until all are there.
const FILES_LIMIT: usize = 500;
/// The longest name that file systems allow (NAME_MAX), in bytes.
const NAME_LIMIT: usize = 255;

/// The form that a listing of `place` gets; `most` is how many bytes the server takes at once.
pub fn form(place: &Place, most: u64) -> String {
    format!(
        "<form method=\"post\" enctype=\"multipart/form-data\" action=\"{}\" data-most=\"{most}\">\n\
         <p><label>Files to upload to this directory (up to {} at once):<br>\n\
         <input type=\"file\" name=\"file\" multiple required></label></p>\n\
         <button>Upload</button>\n<progress hidden value=\"0\"></progress>\n<output></output>\n</form>\n",
        Escaped(place.link()),
        size(most)
    )
}

/// Why nothing was stored.
enum Trouble {
    /// The client is told by this page.
    Page(Page),
    /// The body did not come as it should have.
    Input(io::Error),
}

/// Stores the files of the form that `environ` brings in `folder`, and makes the page that says so. Whatever goes
/// wrong, nothing of the form is stored then.
///
/// # Errors
/// The body ended too early, or came too slowly. There is nobody to be shown a page.
pub fn store(environ: Environ, place: &Place, folder: &Dir) -> io::Result<Page> {
    match read_form(&environ, folder) {
        Ok(files) => Ok(result(place, files)),
        Err(Trouble::Page(page)) => {
            drain(&mut environ.input.clone());
            Ok(page)
        }
        Err(Trouble::Input(error)) => Err(io::Error::new(error.kind(), format!("an upload is given up: {error}"))),
    }
}

fn read_form<'a>(environ: &Environ, folder: &'a Dir) -> Result<Vec<Published<'a>>, Trouble> {
    let mut input = environ.input.clone();
    let mut form = Form::new(&environ.text("CONTENT_TYPE"), Input::clone(&input))?;
    let mut files: Vec<(String, NewFile)> = Vec::new();
    while let Some(mut part) = form.next_part()? {
        let sent_name = part.file_name()?.map(str::to_owned);
        let mut block = part.next_block()?;
        let Some(sent_name) = sent_name.filter(|name| !name.is_empty() || block.is_some()) else {
            while block.is_some() {
                block = part.next_block()?; // no file, or none was chosen
            }
            continue;
        };
        if files.len() == FILES_LIMIT {
            return Err(problem("400 Bad Request", &format!("A form may have {FILES_LIMIT} files at most.")));
        }
        let name = file_name(&sent_name).map_err(|why| problem("400 Bad Request", &why))?;
        let mut file = NewFile::new(folder)?;
        while let Some(bytes) = block {
            file.write_all(&bytes)?;
            block = part.next_block()?;
        }
        files.push((name, file));
    }
    drop(form);
    drain(&mut input); // what stands behind the last part means nothing
    if files.is_empty() {
        return Err(problem("400 Bad Request", "No file was chosen."));
    }
    let publish = |(name, file): (String, NewFile<'a>)| file.publish(OsStr::new(&name));
    Ok(files.into_iter().map(publish).collect::<io::Result<_>>()?)
}

/// The name that a file is stored by. Of a path, that is the last part. What a terminal or a browser would obey becomes
/// `_`, and so does a dot in front: it would hide the file, and the names of many programs' settings begin with it.
fn file_name(sent: &str) -> Result<String, String> {
    let last = sent.rsplit(['/', '\\']).next().unwrap_or_default().trim();
    let mut name: String = last.chars().map(|character| if is_obeyed(character) { '_' } else { character }).collect();
    if name.starts_with('.') {
        name.replace_range(..1, "_");
    }
    match name.len() {
        0 => Err(format!("{sent:?} can't be the name of a file.")),
        1..=NAME_LIMIT => Ok(name),
        _ => Err(format!("The name of a file may have {NAME_LIMIT} bytes at most, and {name:?} has {}.", name.len())),
    }
}

/// The page that lists what was stored.
fn result(place: &Place, files: Vec<Published>) -> Page {
    let title =
        if files.len() == 1 { "1 file is stored".to_owned() } else { format!("{} files are stored", files.len()) };
    let mut page = Page::new("201 Created", title);
    let folder = place.link();
    if let [file] = &files[..] {
        page = page.with("Location", folder.clone() + &encoded(bytes(&file.name)));
    }
    page.content.push_str("<table>\n<thead><tr><th>Name<th class=\"size\">Size</tr></thead>\n<tbody>\n");
    for file in files {
        let link = encoded(bytes(&file.name));
        let name = file.name.to_string_lossy();
        let length = file.length;
        let _ = writeln!(
            page.content,
            "<tr><td><a href=\"{}{link}\"><bdi>{}</bdi></a><td class=\"size\" title=\"{length} bytes\">{}",
            Escaped(&folder),
            Escaped(name),
            size(length)
        );
        file.keep();
    }
    let _ =
        write!(page.content, "</tbody>\n</table>\n<p><a href=\"{}\">Back to the directory</a></p>", Escaped(folder));
    page
}

fn problem(status: &'static str, sentence: &str) -> Trouble {
    Trouble::Page(Page::problem(status, &format!("{sentence} Nothing was stored.")))
}

impl From<FormError> for Trouble {
    fn from(error: FormError) -> Trouble {
        match error {
            FormError::NoForm => problem(
                "415 Unsupported Media Type",
                "An upload is a form of the type multipart/form-data (curl -F file=@NAME sends one).",
            ),
            FormError::Broken(why) => problem("400 Bad Request", &format!("The form can't be read: {why}.")),
            FormError::Input(error) => Trouble::Input(error),
        }
    }
}

impl From<io::Error> for Trouble {
    /// What went wrong with a file.
    fn from(error: io::Error) -> Trouble {
        match error.raw_os_error().map(Errno::from_raw) {
            Some(Errno::ENOSPC) => problem("507 Insufficient Storage", "The disk is full."),
            Some(Errno::EDQUOT) => problem("507 Insufficient Storage", "The quota of disk space is used up."),
            Some(Errno::EFBIG) => problem("507 Insufficient Storage", "A file is larger than files may be here."),
            Some(Errno::EACCES | Errno::EPERM | Errno::EROFS) => {
                problem("403 Forbidden", "This server may not write to this directory.")
            }
            Some(Errno::EMFILE | Errno::ENFILE) => {
                problem("503 Service Unavailable", "These are more files than the server can open: send fewer at once.")
            }
            Some(Errno::ENAMETOOLONG) => problem("400 Bad Request", "The name of a file is too long."),
            Some(Errno::ENOENT) => problem("404 Not Found", "The directory is gone."),
            _ => {
                crate::report_application(&format!("an upload can't be stored: {error}"));
                let kind = if error.kind() == ErrorKind::Other { String::new() } else { format!(": {}", error.kind()) };
                problem("500 Internal Server Error", &format!("The file can't be stored{kind}."))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_made_of_what_was_sent_that_does_no_harm() {
        for (sent, name) in [
            ("a.txt", "a.txt"),
            ("A b \u{e9}.txt", "A b \u{e9}.txt"),
            ("C:\\fakepath\\a.txt", "a.txt"),
            ("/etc/passwd", "passwd"),
            ("../../a", "a"),
            ("..\\..\\a", "a"),
            (".bashrc", "_bashrc"),
            ("..", "_."),
            ("a/..", "_."),
            (".", "_"),
            ("...", "_.."),
            ("a\0b", "a_b"),
            ("a\r\nb\x1b[2J", "a__b_[2J"),
            ("\u{202e}txt.exe", "_txt.exe"),
            ("  a  ", "a"),
            ("-rf", "-rf"),
            ("<b>\"&", "<b>\"&"),
            ("%2e%2e%2fa", "%2e%2e%2fa"), // a name is not decoded
        ] {
            assert_eq!(file_name(sent).as_deref(), Ok(name), "{sent:?}");
        }
        for sent in ["", " ", "a/", "/", "\\", "a\\", &"x".repeat(256), &"\u{e9}".repeat(128)] {
            assert!(file_name(sent).is_err(), "{sent:?}");
        }
        assert_eq!(file_name(&"x".repeat(255)), Ok("x".repeat(255)));
    }
}
