//! Running a program under the recorder, and its log as crashes.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use super::Loss;
use super::log::{Record, parse};
use super::picture::Picture;
use super::world::World;
use crate::answer::Answer;
use crate::call::Call;
use crate::shim;

/// What one run changed in a folder.
#[derive(Debug)]
pub struct Recording {
    /// What the run gave back.
    pub answer: Answer,
    before: World,
    log: Vec<Record>,
}

/// What a crash at one instant leaves.
#[derive(Debug)]
pub struct Crash<'a> {
    /// Records that were written by then.
    pub at: usize,
    /// What the crash took away.
    pub loss: Loss,
    /// Whether the run had ended: what it said was done must be done.
    pub ended: bool,
    picture: Picture,
    world: &'a World,
}

impl Recording {
    /// Runs a call to its end and records what it changes below `root`.
    ///
    /// Fails when what was recorded does not make of the old folder the new one: then something
    /// escaped the recorder.
    pub fn of(root: &Path, call: Call) -> Self {
        Self::make(root, call, false)
    }

    /// The same, as if the program had no call that syncs.
    pub fn without_syncs(root: &Path, call: Call) -> Self {
        Self::make(root, call, true)
    }

    fn make(root: &Path, call: Call, drop_syncs: bool) -> Self {
        let library = shim::compile("record");
        let folder = tempfile::tempdir().expect("a temporary folder can be made");
        let path = folder.path().join("log");
        let before = World::of(root);
        let call = call.env("LD_PRELOAD", &library).env("DALSEGNO_RECORD_LOG", &path);
        let call = if drop_syncs { call.env("DALSEGNO_RECORD_DROP_SYNCS", "1") } else { call };
        let answer = call.run();
        let log = parse(&fs::read(&path).expect("the recorder wrote a log"));
        let recording = Self { answer, before, log };
        let differences = recording.end().differences(&Picture::from(&World::of(root)));
        assert!(differences.is_empty(), "the recorder missed something:\n{differences:#?}");
        recording
    }

    /// How many records there are.
    pub fn len(&self) -> usize {
        self.log.len()
    }

    /// Whether the run changed and synced nothing.
    pub fn is_empty(&self) -> bool {
        self.log.is_empty()
    }

    /// Puts what was there before the run on disk.
    pub fn lay_out_before(&self, root: &Path) {
        Picture::from(&self.before).lay_out(&self.before, root);
    }

    fn end(&self) -> Picture {
        let mut world = self.before.clone();
        for record in &self.log {
            world.apply(record);
        }
        Picture::from(&world)
    }

    /// Hands out what a crash leaves after each prefix of the log, by each kind of loss, once for
    /// equal states; what the whole log leaves always. Returns how many states there were and how
    /// many of them different.
    pub fn crashes(&self, losses: &[Loss], mut visit: impl FnMut(&Crash<'_>)) -> (usize, usize) {
        let (mut seen, mut states) = (HashSet::new(), 0);
        let mut world = self.before.clone();
        for at in 0..=self.log.len() {
            let concerned = at == 0 || world.apply(&self.log[at - 1]);
            let ended = at == self.log.len();
            if !concerned && !ended {
                continue;
            }
            for &loss in losses {
                states += 1;
                let picture = world.after(loss);
                if seen.insert((ended, picture.digest())) {
                    visit(&Crash { at, loss, ended, picture, world: &world });
                }
            }
        }
        (states, seen.len())
    }
}

impl Crash<'_> {
    /// Puts it on disk: the folder is emptied first.
    pub fn lay_out(&self, root: &Path) {
        self.picture.lay_out(self.world, root);
    }
}
