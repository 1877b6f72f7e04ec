//! The program that runs this one with `--format client`, as the Python package does: it shows our
//! texts to people, asks them what we ask, and may end before we do.
//!
//! The lines are those of `--format json`; `report` and `stage` carry their `text` for people, and
//! a question is a line of its own, `{"event": "question", "text", "what"}`. Its answer is one line
//! on standard input: `yes`; `nobody`, where nobody can be asked; anything else declines. The end
//! of standard input means that the caller is gone or wants no more, and cancels the run.

use std::io;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;

use dalsegno_engine::{Cancel, EngineError};
use serde_json::json;

use crate::face::{POLL, say};

/// Who runs us.
pub(crate) struct Caller {
    answers: Receiver<String>,
    cancel: Cancel,
}

impl Caller {
    /// Begins to read standard input; its end sets `cancel`.
    pub(crate) fn listen(cancel: Cancel) -> Self {
        let (sender, answers) = mpsc::channel();
        let at_end = cancel.clone();
        thread::spawn(move || {
            for line in io::stdin().lines() {
                let Ok(line) = line else { break };
                // Nobody waits for an answer that nobody asked for.
                let _ = sender.send(line);
            }
            at_end.cancel();
        });
        Self { answers, cancel }
    }

    /// Has the caller ask a question that may be shown as it is; only `yes` is a yes.
    pub(crate) fn confirm(&self, question: &str, what: &str) -> Result<(), EngineError> {
        say(&format!("{}\n", json!({ "event": "question", "text": question, "what": what })));
        loop {
            if self.cancel.requested() {
                return Err(EngineError::Cancelled);
            }
            return match self.answers.recv_timeout(POLL).as_deref().map(str::trim) {
                Ok("yes") => Ok(()),
                Ok("nobody") => Err(EngineError::Consent { what: what.to_owned() }),
                Ok(_) => Err(EngineError::Declined { what: what.to_owned() }),
                Err(RecvTimeoutError::Timeout) => continue,
                Err(RecvTimeoutError::Disconnected) => Err(EngineError::Cancelled),
            };
        }
    }
}
