//! Tasks of the repository: `cargo xtask tidy` checks what no compiler, formatter or linter does.
//! It changes no file and is no part of what is installed.

mod tidy;

use std::io::{Write, stderr, stdout};
use std::process::ExitCode;

use anyhow::Result;

const USAGE: &str = "usage: cargo xtask tidy";

fn main() -> Result<ExitCode> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if words != ["tidy"] {
        writeln!(stderr(), "{USAGE}")?;
        return Ok(ExitCode::from(2));
    }
    let clean = tidy::run(&mut stdout().lock())?;
    Ok(if clean { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
