//! What a call of the program gave back.

use std::fmt;

use serde_json::Value;

use crate::masking::Masks;

/// Exit code and output of one call.
#[derive(Clone)]
pub struct Answer {
    /// The exit code; 128 and the signal's number when a signal ended it.
    pub code: i32,
    /// Standard output as it was.
    pub stdout: String,
    /// Standard error as it was.
    pub stderr: String,
    pub(crate) masks: Masks,
}

impl Answer {
    /// Fails unless the program ended with this exit code.
    #[track_caller]
    #[expect(clippy::return_self_not_must_use, reason = "often the exit code is all that matters")]
    pub fn expect(self, code: i32) -> Self {
        assert!(self.code == code, "exit code {code} was expected:\n{self}");
        self
    }

    /// The last line of standard output as JSON: the report or the error of `--format json`.
    #[track_caller]
    pub fn json(&self) -> Value {
        let line = self.stdout.lines().last().unwrap_or_default();
        match serde_json::from_str(line) {
            Ok(value) => value,
            Err(error) => panic!("the last line is no JSON ({error}):\n{self}"),
        }
    }

    /// Standard output with what differs from run to run replaced by names.
    pub fn out(&self) -> String {
        self.masks.apply(&self.stdout)
    }

    /// Standard error with what differs from run to run replaced by names.
    pub fn err(&self) -> String {
        self.masks.apply(&self.stderr)
    }

    /// Everything that was printed, as it was.
    pub fn all(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }
}

/// For snapshots: the exit code, then what was printed, masked.
impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "exit {}", self.code)?;
        for (name, text) in [("out", self.out()), ("err", self.err())] {
            for line in text.lines() {
                writeln!(f, "{}", format!("{name}| {line}").trim_end())?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
