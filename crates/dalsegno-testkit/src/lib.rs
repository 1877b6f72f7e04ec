//! Development only: throwaway sites, a judge of rows and files that shares no code with the
//! program, faults, and a way to run the program as a user does.
//!
//! It knows nothing of the crates it helps to test: what it sees of them is the binary, its exit
//! codes and what it leaves on disk. Everything here panics when the test cannot go on.

mod answer;
mod authority;
mod bank;
mod bookshop;
mod call;
mod companion;
mod database_url;
mod fault;
mod faulty;
mod judge;
mod ledger;
mod mariadb;
mod masking;
mod plain;
mod postgres;
mod python;
pub mod replay;
pub mod shim;
mod site;
mod state;

pub use answer::Answer;
pub use authority::{Authority, Identity};
pub use bank::{BANK_SUM, Bank, bank_sum};
pub use call::{Call, Running, Signal, is_root, with_own_mounts};
pub use companion::Companion;
pub use fault::{damage, flip_byte, noise};
pub use faulty::{Blow, Fault, Struck};
pub use judge::Judge;
pub use ledger::{Ledger, LedgerBook, Worked};
pub use mariadb::MariadbServer;
pub use masking::{Masks, masked};
pub use postgres::PostgresServer;
pub use python::{prove, python, run_python};
pub use site::Site;
pub use state::{State, assert_same};
