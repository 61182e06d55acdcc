//! What does wait return? Which child has ended, and how. Without children left, it fails.

use std::io::Result;

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::wait;
use nix::unistd::{ForkResult, fork, pause};

fn main() -> Result<()> {
    // SAFETY: fork copies only the thread that calls it, and this program starts no other.
    if let ForkResult::Child = unsafe { fork() }? {
        std::process::exit(7);
    }
    println!("{:?}", wait()?);

    // SAFETY: as above.
    match unsafe { fork() }? {
        ForkResult::Child => pause(), // until it is killed
        ForkResult::Parent { child } => kill(child, Signal::SIGKILL)?,
    }
    println!("{:?}", wait()?);

    println!("{:?}", wait());
    Ok(())
}
