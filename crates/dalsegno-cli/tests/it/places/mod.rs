//! Where media lie and whose they are: mounts, links, layers, owners, and names left out by rule.

mod kinds;
mod left_out;
mod mounts;
mod owners;
mod refused;
