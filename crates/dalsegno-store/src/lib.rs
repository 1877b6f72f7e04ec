//! Where backups lie.
//!
//! A store holds immutable objects under plain names: putting one is all or nothing, and nothing
//! existing is ever overwritten. This crate knows no archive, no manifest and no database; it moves
//! bytes and makes them durable. The local folder is the one store so far.

mod error;
mod folder;
mod hold;
mod leftover;
mod local;
mod name;
mod owner;
mod store;

pub use error::StoreError;
pub use folder::{FolderOptions, LocalFolder, Staged};
pub use hold::{Hold, Life};
pub use leftover::{Leftover, Swept, leftovers, sweep};
pub use local::is_local;
pub use name::ObjectName;
pub use owner::{Owner, create_folders, sync_folder};
pub use store::{Listing, Store};
