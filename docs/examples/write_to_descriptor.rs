//! `println!` ends in a call of write(2), which takes a number. So it can be called by hand: 1 is standard output.

use std::io::Result;
use std::os::fd::BorrowedFd;

use nix::unistd::write;

fn main() -> Result<()> {
    // SAFETY: 1 is open for as long as this program runs, for nothing here closes it.
    let standard_output = unsafe { BorrowedFd::borrow_raw(1) };
    let written = write(standard_output, b"hello\n")?;
    println!("write has written {written} bytes");
    Ok(())
}
