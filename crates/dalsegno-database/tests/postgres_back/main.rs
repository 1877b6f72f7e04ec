//! `PostgreSQL`, the way back: staged copies, the switch, its reversal, and every instant at which
//! a process can die in between.
#![allow(missing_docs, clippy::unwrap_used)]

mod child;
mod crash;
mod hazards;
mod load;
mod rights;
mod shop;
mod switch;
