//! `restore`: the site is the backup's afterwards, or what it was.

mod elsewhere;
mod serving;
mod trouble;
mod unverified;
mod whole;
