//! Progress of long work: a bar on a terminal, plain lines elsewhere, JSON lines on request.

use std::io::{self, IsTerminal};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use dalsegno_engine::Progress;
use dalsegno_format::ByteSize;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Value, json};

use crate::face::{Face, complain, say};

const EVERY: Duration = Duration::from_millis(500);

/// The one watcher of an invocation.
pub(crate) struct Watcher {
    face: Face,
    /// What the JSON lines have told of the stage; `None` where they are not asked for.
    told: Option<Mutex<Stage>>,
    screen: Screen,
}

/// What people see on standard error.
enum Screen {
    Nothing,
    Lines,
    Bar(ProgressBar),
}

struct Stage {
    done: u64,
    total: Option<u64>,
    told: Instant,
}

impl Watcher {
    pub(crate) fn new(face: Face) -> Self {
        let told = || Mutex::new(Stage { done: 0, total: None, told: Instant::now() });
        let lines = if face.json() { Screen::Nothing } else { Screen::Lines };
        // A caller that leaves us its terminal gets the same bar as a person; other JSON has none.
        let may_draw = !face.quiet && (!face.json() || face.client());
        let screen = if may_draw && io::stderr().is_terminal() {
            Screen::Bar(ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(10)))
        } else if face.quiet {
            Screen::Nothing
        } else {
            lines
        };
        Self { face, told: face.json().then(told), screen }
    }

    /// Takes the bar off the screen before something else is printed.
    pub(crate) fn finish(&self) {
        if let Screen::Bar(bar) = &self.screen {
            bar.finish_and_clear();
        }
    }

    /// One JSON line; `text` is for callers that show it.
    fn tell(&self, mut line: Value, text: impl FnOnce() -> String) {
        if self.face.client()
            && let Some(line) = line.as_object_mut()
        {
            line.insert("text".to_owned(), Value::from(self.face.shown(&text())));
        }
        say(&format!("{line}\n"));
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).expect("the templates are fixed").progress_chars("━╸─")
}

fn stage_text(name: &str, total: Option<u64>) -> String {
    total.map_or_else(|| name.to_owned(), |total| format!("{name} ({})", ByteSize(total)))
}

impl Progress for Watcher {
    fn stage(&self, name: &str, total: Option<u64>) {
        if let Some(told) = &self.told {
            let line = json!({ "event": "stage", "stage": name, "total": total });
            self.tell(line, || stage_text(name, total));
            if let Ok(mut stage) = told.lock() {
                *stage = Stage { done: 0, total, told: Instant::now() };
            }
        }
        match &self.screen {
            Screen::Nothing => {}
            Screen::Lines => {
                complain(&format!("{}\n", stage_text(name, total)));
            }
            Screen::Bar(bar) => {
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
        }
    }

    fn advance(&self, bytes: u64) {
        if let Screen::Bar(bar) = &self.screen {
            bar.inc(bytes);
        }
        let Some(told) = &self.told else { return };
        let Ok(mut stage) = told.lock() else { return };
        stage.done += bytes;
        if stage.told.elapsed() >= EVERY {
            stage.told = Instant::now();
            let line = json!({ "event": "progress", "done": stage.done, "total": stage.total });
            say(&format!("{line}\n"));
        }
    }

    fn warn(&self, text: &str) {
        if self.told.is_some() {
            say(&format!("{}\n", json!({ "event": "warning", "text": self.face.shown(text) })));
        }
        match &self.screen {
            Screen::Nothing => {}
            Screen::Lines => {
                complain(&format!("warning: {text}\n"));
            }
            Screen::Bar(bar) => bar.suspend(|| {
                complain(&format!("warning: {text}\n"));
            }),
        }
    }
}
