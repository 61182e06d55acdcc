//! `files:app` shows the files of a directory, as `python -m http.server` does; `files:upload` takes files too.
//!
//! Nothing outside the directory is read or written. That is not left to a look at the path: [`cap_std`] opens what the
//! path means so that no link leads out of the directory, not even one that is put there while it looks.
//!
//! - [`path`]: the path of a request as a place in the directory
//! - [`listing`]: the listing of a directory; [`page`]: what all pages have in common
//! - [`conditional`]: whether what the client has is what there is
//! - [`ranges`]: parts of a file
//! - [`send`]: the body of a response that comes from a file
//! - [`upload`]: files that come; [`form`]: how they come; [`store`]: how they get their names; [`origin`]: from where

pub mod conditional;
pub mod form;
pub mod listing;
pub mod origin;
pub mod page;
pub mod path;
pub mod ranges;
pub mod send;
pub mod store;
pub mod upload;

use std::fs::{File, Metadata};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use cap_std::ambient_authority;
use cap_std::fs::{Dir, OpenOptions, OpenOptionsExt};
use nix::errno::Errno;
use nix::libc;

use self::conditional::{Validators, Verdict};
use self::page::Page;
use self::path::Place;
use self::ranges::{Multipart, Wanted, content_range};
use self::send::{Blocks, Piece};
use crate::{Application, Body, Environ, StartResponse};

/// An application that serves the files of a directory.
#[derive(Debug)]
pub struct Files {
    directory: PathBuf,
    /// How many bytes an upload may have; none if there are no uploads.
    uploads: Option<u64>,
}

impl Files {
    /// Serves the files of `directory`.
    ///
    /// # Errors
    /// It is not there, is no directory, or may not be looked at.
    pub fn new(directory: &Path) -> io::Result<Files> {
        // The server may be told a relative path, and is not to follow if somebody moves it.
        let directory = directory.canonicalize()?;
        Dir::open_ambient_dir(&directory, ambient_authority())?;
        Ok(Files { directory, uploads: None })
    }

    /// Takes uploads too, of `most` bytes each at most; it is the server that holds clients to that.
    pub fn with_uploads(self, most: u64) -> Files {
        Files { uploads: Some(most), ..self }
    }

    /// The methods that are answered, as Allow has them (RFC 9110, section 10.2.1).
    fn methods(&self) -> &'static str {
        if self.uploads.is_some() { "GET, HEAD, OPTIONS, POST" } else { "GET, HEAD, OPTIONS" }
    }

    /// The directory. It is opened for each request, so that one that was made anew is found.
    fn root(&self) -> io::Result<Dir> {
        Dir::open_ambient_dir(&self.directory, ambient_authority())
    }

    fn get<'a>(&self, environ: &Environ, start_response: &'a StartResponse) -> io::Result<Body<'a>> {
        let Some(place) = place(environ) else { return Ok(no_path().send(start_response)) };
        let root = self.root()?;
        match open(&root, &place.relative())? {
            Found::File(file, metadata) if !place.ends_with_slash => {
                self.send(environ, (file, metadata), &place, start_response)
            }
            Found::File(..) => Err(Errno::ENOTDIR.into()),
            // Relative links of a page that has no slash at its end would lead beside the directory.
            Found::Folder if !place.ends_with_slash => {
                let query = environ.text("QUERY_STRING");
                let mark = if query.is_empty() { "" } else { "?" };
                let page = Page::problem("301 Moved Permanently", "A directory has a slash at its end.");
                Ok(page.with("Location", format!("{}{mark}{query}", place.link())).send(start_response))
            }
            Found::Folder => {
                for name in ["index.html", "index.htm"] {
                    match open(&root, &place.relative().join(name)) {
                        // Where there is such a file there would be no form; this is how to get to it.
                        Ok(_) if self.uploads.is_some() && environ.text("QUERY_STRING") == "upload" => break,
                        Ok(Found::File(file, metadata)) => {
                            let index = Place::of(name.as_bytes()).unwrap_or(place);
                            return self.send(environ, (file, metadata), &index, start_response);
                        }
                        Ok(Found::Folder) => {}
                        Err(error) if error.kind() == ErrorKind::NotFound => {}
                        Err(error) => return Err(error),
                    }
                }
                let mut page = listing::page(&root.open_dir(place.relative())?, &place)?;
                if let Some(most) = self.uploads {
                    page.has_form = true;
                    page.content.insert_str(0, &upload::form(&place, most));
                }
                Ok(page.send(start_response))
            }
        }
    }

    /// Answers with a file, or the part of it that the client lacks.
    fn send<'a>(
        &self,
        environ: &Environ,
        (file, metadata): (File, Metadata),
        place: &Place,
        start_response: &'a StartResponse,
    ) -> io::Result<Body<'a>> {
        let length = metadata.len();
        let current = Validators::of(&metadata, SystemTime::now());
        let content_type = content_type(place);
        let mut fields = vec![
            ("ETag", current.etag.clone()),
            ("Last-Modified", current.last_modified.clone()),
            // A browser that has a copy asks whether it still is what there is. Left to itself it may guess.
            ("Cache-Control", "no-cache".to_owned()),
        ];
        match conditional::evaluate(environ, &current) {
            Verdict::Proceed => {}
            Verdict::NotModified => {
                start_response.start("304 Not Modified", &fields);
                return Ok(Body::empty());
            }
            Verdict::PreconditionFailed => {
                let page = Page::problem("412 Precondition Failed", "The file is not, or no more, as you want it.");
                return Ok(page.send(start_response));
            }
        }
        fields.push(("Accept-Ranges", "bytes".to_owned()));
        fields.push(("X-Content-Type-Options", "nosniff".to_owned()));
        // Anybody may have uploaded it. A page that runs a script of theirs must not count as one of this server's.
        if self.uploads.is_some() && (content_type.starts_with("text/html") || content_type.contains("xml")) {
            fields.push(("Content-Security-Policy", "sandbox allow-scripts allow-forms allow-popups".to_owned()));
        }
        // Ranges are defined for GET only (RFC 9110, section 14.2).
        let is_get = environ.get("REQUEST_METHOD") == Some(b"GET");
        let range = environ.get("HTTP_RANGE").filter(|_| is_get && conditional::if_range(environ, &current));
        let (status, content_type, content_length, pieces) = match range.map(|range| ranges::wanted(range, length)) {
            Some(Wanted::Nothing) => {
                let page = Page::problem("416 Range Not Satisfiable", "The file ends before what you ask for begins.");
                return Ok(page.with("Content-Range", format!("bytes */{length}")).send(start_response));
            }
            None | Some(Wanted::Whole) => ("200 OK", content_type, length, vec![Piece::Part(0..length)]),
            Some(Wanted::Parts(parts)) if parts.len() == 1 => {
                let part = parts[0].clone();
                fields.push(("Content-Range", content_range(&part, length)));
                ("206 Partial Content", content_type, part.end - part.start, vec![Piece::Part(part)])
            }
            Some(Wanted::Parts(parts)) => {
                let multipart = Multipart::new(&parts, length, &content_type);
                let (heads, end) = (multipart.heads(), multipart.end());
                let text: usize = heads.iter().map(String::len).sum::<usize>() + end.len();
                let content_length = text as u64 + parts.iter().map(|part| part.end - part.start).sum::<u64>();
                let heads = heads.iter().cloned().map(Piece::Text);
                let pieces = heads.zip(parts).flat_map(|(head, part)| [head, Piece::Part(part)]);
                let pieces = pieces.chain([Piece::Text(end)]).collect();
                ("206 Partial Content", multipart.content_type(), content_length, pieces)
            }
        };
        fields.push(("Content-Type", content_type));
        fields.push(("Content-Length", content_length.to_string()));
        start_response.start(status, &fields);
        Ok(if is_get { Body::of_blocks(Blocks::new(file, pieces)) } else { Body::empty() })
    }

    fn post<'a>(&self, environ: Environ, start_response: &'a StartResponse) -> io::Result<Body<'a>> {
        if let Some(objection) = origin::objection(&environ) {
            return Ok(Page::problem("403 Forbidden", objection).send(start_response));
        }
        let Some(place) = place(&environ) else { return Ok(no_path().send(start_response)) };
        let folder = match self.root()?.open_dir(place.relative()) {
            Err(error) if error.kind() == ErrorKind::NotADirectory => {
                let page = Page::problem("405 Method Not Allowed", "Files are uploaded to a directory.");
                return Ok(page.with("Allow", "GET, HEAD, OPTIONS").send(start_response));
            }
            folder => folder?,
        };
        match upload::store(environ, &place, &folder) {
            Ok(page) => Ok(page.send(start_response)),
            Err(error) => Ok(Body::failed(error)),
        }
    }
}

impl Application for Files {
    fn call<'a>(&'a self, environ: Environ, start_response: &'a StartResponse) -> Body<'a> {
        let answer = match (environ.get("REQUEST_METHOD").unwrap_or_default(), self.uploads) {
            (b"GET" | b"HEAD", _) => self.get(&environ, start_response),
            (b"POST", Some(_)) => self.post(environ, start_response),
            (b"OPTIONS", _) => {
                start_response.start("204 No Content", &[("Allow", self.methods())]);
                Ok(Body::empty())
            }
            _ => {
                let page = Page::problem("405 Method Not Allowed", "This server shows files and directories.");
                Ok(page.with("Allow", self.methods()).send(start_response))
            }
        };
        answer.unwrap_or_else(|error| failed(&error).send(start_response))
    }
}

/// The place that a request is about.
fn place(environ: &Environ) -> Option<Place> {
    Place::of(environ.get("PATH_INFO").unwrap_or_default())
}

fn no_path() -> Page {
    Page::problem("400 Bad Request", "A path has no . or .. in it.")
}

/// What there is at a place.
enum Found {
    /// A regular file, open for reading.
    File(File, Metadata),
    /// A directory.
    Folder,
}

/// Opens what is at `path` below `root`. Links that stay below it are followed, and no others.
///
/// A FIFO, a socket or a device is not opened: that might wait for ever, or do something. Should one take the place of
/// a file in between, O_NONBLOCK has open(2) return all the same.
fn open(root: &Dir, path: &Path) -> io::Result<Found> {
    let name = path.file_name().unwrap_or_default();
    if store::is_temporary(path::bytes(name)) {
        return Err(ErrorKind::NotFound.into());
    }
    let no_file = || io::Error::new(ErrorKind::PermissionDenied, "neither a file nor a directory");
    let kind = root.metadata(path)?.file_type();
    if kind.is_dir() {
        return Ok(Found::Folder);
    }
    if !kind.is_file() {
        return Err(no_file());
    }
    let mut options = OpenOptions::new();
    let file = root.open_with(path, options.read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY))?.into_std();
    let metadata = file.metadata()?;
    if metadata.is_file() { Ok(Found::File(file, metadata)) } else { Err(no_file()) }
}

/// The page that says why there is not what was asked for.
fn failed(error: &io::Error) -> Page {
    match (error.kind(), error.raw_os_error().map(Errno::from_raw)) {
        (ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::InvalidFilename, _)
        | (_, Some(Errno::ELOOP | Errno::ENXIO | Errno::EISDIR | Errno::ENAMETOOLONG)) => {
            Page::problem("404 Not Found", "There is no such file or directory here.")
        }
        (ErrorKind::PermissionDenied, _) => {
            Page::problem("403 Forbidden", "This server may not show what is there, or it is no file.")
        }
        (_, Some(Errno::EMFILE | Errno::ENFILE)) => {
            Page::problem("503 Service Unavailable", "The server has too many files open. Try again in a moment.")
        }
        _ => {
            crate::report_application(&error.to_string());
            Page::problem("500 Internal Server Error", "The file can't be read.")
        }
    }
}

/// The media type of a file, by its name. Text is taken to be UTF-8, as nearly all of it is.
fn content_type(place: &Place) -> String {
    let name = String::from_utf8_lossy(place.name().unwrap_or_default());
    let guess = mime_guess::from_path(Path::new(&*name)).first_or_octet_stream();
    let is_text = guess.type_() == "text" || matches!(guess.subtype().as_str(), "javascript" | "json");
    if is_text { format!("{guess}; charset=utf-8") } else { guess.to_string() }
}
