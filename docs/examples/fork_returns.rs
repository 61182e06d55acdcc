//! What does fork return? It is called once, and returns twice: in the parent and in its child.

use std::io::Result;

use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, fork, getpid, getppid};

fn main() -> Result<()> {
    println!("I am {}, and call fork once", getpid());
    // SAFETY: fork copies only the thread that calls it, and this program starts no other.
    match unsafe { fork() }? {
        ForkResult::Child => println!("in the child, {}, it returned Child; my parent is {}", getpid(), getppid()),
        ForkResult::Parent { child } => {
            waitpid(child, None)?; // so that the child's line comes first
            println!("in the parent, {}, it returned the child's id, {child}", getpid());
        }
    }
    Ok(())
}
