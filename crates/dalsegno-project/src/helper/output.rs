//! What the site prints: the last of it is kept for the case of failure.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// How many bytes are kept.
const KEPT: usize = 64 * 1024;

/// The end of a stream that a thread keeps reading.
#[derive(Debug, Clone, Default)]
pub(super) struct Output(Arc<Mutex<Tail>>);

#[derive(Debug, Default)]
struct Tail {
    bytes: VecDeque<u8>,
    total: u64,
    ended: bool,
}

impl Output {
    pub(super) fn append(&self, bytes: &[u8]) {
        let mut tail = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tail.bytes.extend(bytes);
        tail.total += bytes.len() as u64;
        let excess = tail.bytes.len().saturating_sub(KEPT);
        tail.bytes.drain(..excess);
    }

    /// Reads `stream` to its end in a thread of its own. Processes that the site has left behind
    /// may hold it open for ever; nobody waits for that thread.
    pub(super) fn keep_reading(&self, mut stream: impl Read + Send + 'static) {
        let output = self.clone();
        thread::spawn(move || {
            let mut buffer = vec![0; 8192];
            loop {
                match stream.read(&mut buffer) {
                    Ok(0) => break,
                    Ok(count) => output.append(&buffer[..count]),
                    Err(error) if error.kind() == ErrorKind::Interrupted => {}
                    Err(_) => break,
                }
            }
            output.0.lock().unwrap_or_else(PoisonError::into_inner).ended = true;
        });
    }

    /// The text once it has stopped growing, or after a tenth of a second.
    pub(super) fn settled(&self) -> String {
        let mut seen = [None; 2];
        for _ in 0..10 {
            let tail = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            if tail.ended || seen == [Some(tail.total); 2] {
                break;
            }
            seen = [Some(tail.total), seen[0]];
            drop(tail);
            thread::sleep(Duration::from_millis(10));
        }
        let tail = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes: Vec<u8> = tail.bytes.iter().copied().collect();
        let text = String::from_utf8_lossy(&bytes).into_owned();
        if tail.total > KEPT as u64 { format!("[…]{text}") } else { text }
    }

    /// The last line that is not empty.
    pub(super) fn last_line(&self) -> Option<String> {
        let text = self.settled();
        text.lines().rev().map(str::trim).find(|line| !line.is_empty()).map(str::to_owned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_kept() {
        let output = Output::default();
        let printed = format!("first\n{}\nlast é\n\n", "x".repeat(KEPT));
        output.keep_reading(std::io::Cursor::new(printed.into_bytes()));
        while !output.0.lock().unwrap().ended {
            thread::yield_now();
        }
        assert_eq!(output.last_line().as_deref(), Some("last é"));
        let text = output.settled();
        assert!(text.starts_with("[…]xxx") && text.len() == KEPT + "[…]".len());
    }
}
