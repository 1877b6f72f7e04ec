//! Progress of long work: a bar on a terminal, plain lines elsewhere, JSON lines on request.

use std::io::{self, IsTerminal};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use dalsegno_engine::Progress;
use dalsegno_format::ByteSize;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;

use crate::face::{Face, complain, say};

const EVERY: Duration = Duration::from_millis(500);

/// The one watcher of an invocation.
pub(crate) struct Watcher {
    voice: Voice,
}

enum Voice {
    Silent,
    Lines,
    Bar(ProgressBar),
    Json(Mutex<Stage>),
}

struct Stage {
    done: u64,
    total: Option<u64>,
    told: Instant,
}

impl Watcher {
    pub(crate) fn new(face: Face) -> Self {
        let voice = if face.json() {
            Voice::Json(Mutex::new(Stage { done: 0, total: None, told: Instant::now() }))
        } else if face.quiet {
            Voice::Silent
        } else if io::stderr().is_terminal() {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(10));
            Voice::Bar(bar)
        } else {
            Voice::Lines
        };
        Self { voice }
    }

    /// Takes the bar off the screen before something else is printed.
    pub(crate) fn finish(&self) {
        if let Voice::Bar(bar) = &self.voice {
            bar.finish_and_clear();
        }
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the templates are fixed").progress_chars("━╸─")
}

impl Progress for Watcher {
    fn stage(&self, name: &str, total: Option<u64>) {
        match &self.voice {
            Voice::Silent => {}
            Voice::Lines => {
                let size = total.map_or(String::new(), |t| format!(" ({})", ByteSize(t)));
                complain(&format!("{name}{size}\n"));
            }
            Voice::Bar(bar) => {
                bar.reset();
                bar.set_message(name.to_owned());
                match total {
                    Some(total) => {
                        bar.set_length(total);
                        bar.set_style(style(
                            "{msg:32} {bar:24} {binary_bytes:>11} / {binary_total_bytes:<11} {binary_bytes_per_sec:>13}  eta {eta}",
                        ));
                    }
                    None => bar.set_style(style("{msg:32} {spinner} {binary_bytes}")),
                }
            }
            Voice::Json(stage) => {
                say(&format!("{}\n", json!({ "event": "stage", "stage": name, "total": total })));
                if let Ok(mut stage) = stage.lock() {
                    *stage = Stage { done: 0, total, told: Instant::now() };
                }
            }
        }
    }

    fn advance(&self, bytes: u64) {
        match &self.voice {
            Voice::Silent | Voice::Lines => {}
            Voice::Bar(bar) => bar.inc(bytes),
            Voice::Json(stage) => {
                let Ok(mut stage) = stage.lock() else { return };
                stage.done += bytes;
                if stage.told.elapsed() >= EVERY {
                    stage.told = Instant::now();
                    let (done, total) = (stage.done, stage.total);
                    say(&format!(
                        "{}\n",
                        json!({ "event": "progress", "done": done, "total": total })
                    ));
                }
            }
        }
    }

    fn warn(&self, text: &str) {
        match &self.voice {
            Voice::Silent => {}
            Voice::Lines => {
                complain(&format!("warning: {text}\n"));
            }
            Voice::Bar(bar) => bar.suspend(|| {
                complain(&format!("warning: {text}\n"));
            }),
            Voice::Json(_) => {
                say(&format!("{}\n", json!({ "event": "warning", "text": text })));
            }
        }
    }
}
