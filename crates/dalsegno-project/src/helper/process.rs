//! The process behind a helper, with a thread for each of its streams.

use std::io::{self, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::frame::{self, FrameError};
use super::output::Output;
use super::package::package;

/// Takes the standard streams away from the site, then reads and runs [`package`].
const BOOTSTRAP: &str = include_str!("bootstrap.py");

/// What the bootstrap writes before the first frame: start-up files of Python may print before it.
const MARKER: &[u8] = b"\0dalsegno-helper\0";
const NOISE_LIMIT: usize = 1 << 20;

/// How long a process that was told to end may take to do so.
const PATIENCE: Duration = Duration::from_secs(2);
const POLL: Duration = Duration::from_millis(10);

#[derive(Debug)]
pub(super) struct Process {
    child: Child,
    requests: Option<Sender<Vec<u8>>>,
    answers: Receiver<Result<Value, FrameError>>,
    output: Output,
}

impl Process {
    /// Starts `interpreter` in `folder` and sends it the package and its configuration.
    pub(super) fn spawn(
        interpreter: &Path,
        folder: &Path,
        configuration: &Value,
    ) -> io::Result<Self> {
        let mut child = Command::new(interpreter)
            // -B: nothing is written into the site. -u: what it printed survives a kill.
            .args(["-B", "-u", "-c", BOOTSTRAP])
            .current_dir(folder)
            .env("PWD", folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let output = Output::default();
        if let Some(printed) = child.stderr.take() {
            output.keep_reading(printed);
        }
        let requests = writer(child.stdin.take());
        let answers = reader(child.stdout.take(), output.clone());
        let process = Self { child, requests: Some(requests), answers, output };
        for frame in [frame::encoded(&package()), frame::encoded(configuration)] {
            process.send(frame.map_err(io::Error::other)?);
        }
        Ok(process)
    }

    /// Hands a frame over; false where nobody takes it any more.
    pub(super) fn send(&self, frame: Vec<u8>) -> bool {
        self.requests.as_ref().is_some_and(|requests| requests.send(frame).is_ok())
    }

    pub(super) fn answers(&self) -> &Receiver<Result<Value, FrameError>> {
        &self.answers
    }

    pub(super) fn output(&self) -> &Output {
        &self.output
    }

    /// Kills the process, at once.
    pub(super) fn kill(&mut self) {
        self.requests = None;
        // Fails only where it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// Lets the process end, kills it if it does not, and says how it ended.
    pub(super) fn end(&mut self) -> String {
        self.requests = None;
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            match self.child.try_wait() {
                Ok(Some(status)) => return said(status),
                Ok(None) => {}
                Err(error) => return error.to_string(),
            }
            // Answers end with the process, unless the site has forked: so this wakes up early,
            // but is not relied on.
            if let Err(RecvTimeoutError::Disconnected) = self.answers.recv_timeout(POLL) {
                thread::sleep(Duration::from_millis(1));
            }
        }
        self.kill();
        "it had to be killed".to_owned()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if !matches!(self.child.try_wait(), Ok(Some(_))) {
            self.end();
        }
    }
}

fn said(status: ExitStatus) -> String {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit status {code}"),
        (None, Some(signal)) => format!("killed by signal {signal}"),
        (None, None) => status.to_string(),
    }
}

/// Writing happens in a thread, since a child that hangs would hold up the writer too.
fn writer(stream: Option<impl Write + Send + 'static>) -> Sender<Vec<u8>> {
    let (sender, frames) = mpsc::channel::<Vec<u8>>();
    thread::spawn(move || {
        let Some(mut stream) = stream else { return };
        for frame in frames {
            if stream.write_all(&frame).and_then(|()| stream.flush()).is_err() {
                return;
            }
        }
    });
    sender
}

fn reader(
    stream: Option<impl io::Read + Send + 'static>,
    output: Output,
) -> Receiver<Result<Value, FrameError>> {
    let (sender, answers) = mpsc::channel();
    thread::spawn(move || {
        let Some(stream) = stream else { return };
        let mut stream = BufReader::new(stream);
        let (noise, marker) = frame::skip_to(&mut stream, MARKER, NOISE_LIMIT);
        output.append(&noise);
        if marker.is_none() {
            return;
        }
        loop {
            let answer = frame::read(&mut stream);
            let failed = answer.is_err();
            if sender.send(answer).is_err() || failed {
                return;
            }
        }
    });
    answers
}
