//! What a power cut leaves: a program's changes to a folder are recorded, and the folder is made
//! again as it could be after a crash at any instant, with what was not synced lost.
//!
//! [`Recording::of`] runs a program under `shim/record.c`, [`Recording::crashes`] goes through the
//! prefixes of its log and hands out each state that a crash could leave, [`Crash::lay_out`] puts one
//! on disk. Whether such a state is good is for the test to say.
//!
//! The rules are those of POSIX, and no file system's:
//!
//! - `fsync` of a file makes its content, its size and its attributes durable, never a name of it;
//!   `fdatasync` its content and size.
//! - `fsync` of a folder makes the names in it durable, not what they lead to.
//! - `syncfs` and `sync` make everything on the file system, or on all, durable.
//!
//! Two favours are done, without which nothing could be built on any file system: a rename is one
//! change, so that the old and the new name are never both there, nor both missing, nor half of an
//! exchange; and a folder is never in two places, so that a later move of it implies the earlier.
//!
//! Not modelled: what `mmap` writes (only SQLite's `-shm` may be mapped, which need not survive),
//! extended attributes, times that nobody set, and disks that lie about a sync.

mod crash;
mod inodes;
mod log;
mod picture;
mod recording;
#[cfg(test)]
mod tests;
mod world;

pub use crash::Loss;
pub use recording::{Crash, Recording};
