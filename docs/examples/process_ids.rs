//! By which numbers does the kernel know this process and the one that started it?

use nix::unistd::{getpid, getppid};

fn main() {
    println!("my process id is {}", getpid());
    println!("my parent's is {}", getppid());
}
