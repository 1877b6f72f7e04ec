//! The `dalsegno` binary.
fn main() {}
