//! The listing of a directory.

use std::ffi::OsString;
use std::fmt::Write;
use std::io;
use std::time::SystemTime;

use cap_std::fs::Dir;

use super::page::{Escaped, Page, size};
use super::path::{Place, bytes, encoded};
use super::store::is_temporary;
use crate::date::Date;

/// What a listing says of something in the directory.
struct Entry {
    name: OsString,
    is_link: bool,
    /// What it is, or what it leads to; none if that can't be got at: a link that leads out or nowhere, or something
    /// that this user may not look at.
    what: Option<What>,
    modified: Option<SystemTime>,
}

/// What can be asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum What {
    Folder,
    /// A file of so many bytes.
    File(u64),
    /// A device, a FIFO, a socket.
    Special,
}

/// The page that lists what is in `folder`, sorted as Python's http.server does it: by name, upper and lower case
/// alike. `/` stands behind directories, and `@` behind links.
///
/// # Errors
/// The directory can't be read.
pub fn page(folder: &Dir, place: &Place) -> io::Result<Page> {
    let mut entries = Vec::new();
    for entry in folder.entries()? {
        let entry = entry?;
        let name = entry.file_name();
        if is_temporary(bytes(&name)) {
            continue;
        }
        let is_link = entry.file_type().is_ok_and(|kind| kind.is_symlink());
        let metadata = if is_link { folder.metadata(&name).ok() } else { entry.metadata().ok() };
        let modified = metadata.as_ref().and_then(|metadata| Some(metadata.modified().ok()?.into_std()));
        let what = metadata.map(|metadata| match metadata.file_type() {
            kind if kind.is_dir() => What::Folder,
            kind if kind.is_file() => What::File(metadata.len()),
            _ => What::Special,
        });
        entries.push(Entry { name, is_link, what, modified });
    }
    entries.sort_by_cached_key(|entry| (entry.name.to_string_lossy().to_lowercase(), entry.name.clone()));

    let path: Vec<_> = place.names().map(String::from_utf8_lossy).collect();
    let slash = if path.is_empty() { "" } else { "/" };
    let mut page = Page::new("200 OK", format!("Directory listing for /{}{slash}", path.join("/")));
    page.heading = Some(heading(place));
    let content = &mut page.content;
    if entries.is_empty() && path.is_empty() {
        content.push_str("<p class=\"faint\">There is nothing in this directory.</p>");
        return Ok(page);
    }
    content.push_str(
        "<table>\n<thead><tr><th>Name<th class=\"size\">Size<th class=\"date\">Modified (UTC)</tr></thead>\n<tbody>\n",
    );
    if !path.is_empty() {
        content.push_str("<tr><td><a href=\"../\">../</a><td class=\"size\"><td class=\"date\">\n");
    }
    for entry in &entries {
        entry.write(content);
    }
    content.push_str("</tbody>\n</table>");
    Ok(page)
}

/// The path of the directory, of which each part is a link but the last.
fn heading(place: &Place) -> String {
    let names = place.names();
    let count = names.len();
    if count == 0 {
        return "Directory listing for /".to_owned();
    }
    let mut heading = format!("Directory listing for <a href=\"{}\">/</a>", "../".repeat(count));
    for (at, name) in names.enumerate() {
        let name = String::from_utf8_lossy(name);
        let _ = match count - 1 - at {
            0 => write!(heading, "<bdi>{}</bdi>/", Escaped(name)),
            above => write!(heading, "<a href=\"{}\"><bdi>{}</bdi>/</a>", "../".repeat(above), Escaped(name)),
        };
    }
    heading
}

impl Entry {
    fn write(&self, content: &mut String) {
        let name = self.name.to_string_lossy();
        let (sign, end) = match self.what {
            Some(What::Folder) => ("/", "/"),
            _ => ("", ""),
        };
        let sign = if self.is_link { "@" } else { sign };
        let shown = format!("<bdi>{}</bdi>{sign}", Escaped(name));
        let _ = match self.what {
            Some(What::Folder | What::File(_)) => {
                write!(content, "<tr><td><a href=\"{}{end}\">{shown}</a>", encoded(bytes(&self.name)))
            }
            _ => write!(content, "<tr><td>{shown}"),
        };
        let _ = match self.what {
            Some(What::File(length)) => {
                write!(content, "<td class=\"size\" title=\"{length} bytes\">{}", size(length))
            }
            _ => write!(content, "<td class=\"size\">"),
        };
        let date = self.modified.map(|time| Date::of(time).minutes()).unwrap_or_default();
        let _ = writeln!(content, "<td class=\"date\">{date}");
    }
}
