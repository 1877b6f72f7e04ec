//! Calls of the program to the system that fail, fall short or are its last.
//!
//! `shim/fail.c` stands between the program and the C library; it is compiled when it is first
//! needed. The program must be linked dynamically and make its calls through the C library.

use std::fs;
use std::path::{Path, PathBuf};

use crate::call::Call;
use crate::shim;
use crate::site::Site;

/// Everything that changes something on disk.
const CHANGES: &str = "write,sync,open,rename,truncate,mkdir,unlink,link,allocate,copy,meta";

/// What happens at the call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blow {
    /// It does nothing and fails, as if the disk were full.
    NoSpace,
    /// It does nothing and fails, as if the user's quota were used up.
    Quota,
    /// It does nothing and fails, as if the disk were broken.
    Broken,
    /// If it writes, it writes half and says so.
    Short,
    /// The process is killed instead of it.
    KillBefore,
    /// The process is killed in the middle of it: half is written.
    KillWithin,
    /// The process is killed after it.
    KillAfter,
}

impl Blow {
    /// How the library is told, and which calls it can befall.
    fn words(self) -> (&'static str, &'static str) {
        // A disk without space still lets go of files.
        const FILLING: &str = "write,sync,open,rename,truncate,mkdir,link,allocate,copy";
        match self {
            Self::NoSpace => ("28", FILLING),
            Self::Quota => ("122", FILLING),
            Self::Broken => ("5", CHANGES),
            Self::Short => ("short", "write"),
            Self::KillBefore => ("kill-before", CHANGES),
            Self::KillWithin => ("kill-within", CHANGES),
            Self::KillAfter => ("kill-after", CHANGES),
        }
    }
}

/// A call that was counted or struck.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Struck {
    /// Its number, from 1.
    pub number: u32,
    /// Its class, as in `shim/fail.c`.
    pub class: String,
    /// The function of the C library.
    pub call: String,
    /// What it is about.
    pub path: PathBuf,
}

/// What befalls one run of the program.
#[derive(Debug, Clone)]
pub struct Fault {
    how: &'static str,
    calls: &'static str,
    at: u32,
    onwards: bool,
    below: PathBuf,
    log: PathBuf,
}

impl Fault {
    /// Counts the calls that `blow` can befall; nothing happens to them.
    pub fn count(site: &Site, blow: Blow) -> Self {
        Self::at(site, blow, 0)
    }

    /// Strikes the `number`th call that is about anything of the site's test, counted from 1.
    pub fn at(site: &Site, blow: Blow, number: u32) -> Self {
        let (how, calls) = blow.words();
        let log = site.outside("faults.log");
        Self { how, calls, at: number, onwards: false, below: site.root(), log }
    }

    /// Strikes every such call from there on.
    #[must_use]
    pub fn onwards(mut self) -> Self {
        self.onwards = true;
        self
    }

    /// Strikes reading instead of writing.
    #[must_use]
    pub fn while_reading(mut self) -> Self {
        self.calls = "read";
        self
    }

    /// Puts it before a call of the program. What the call starts in turn is left alone.
    pub fn on(&self, call: Call) -> Call {
        let _ = fs::remove_file(&self.log);
        self.variables().into_iter().fold(call, |call, (name, value)| call.env(name, value))
    }

    /// The variables that the program must find in its environment.
    pub fn variables(&self) -> Vec<(&'static str, String)> {
        let text = |path: &Path| path.to_str().expect("the paths of the tests are text").to_owned();
        vec![
            ("LD_PRELOAD", text(&shim::compile("fail"))),
            ("DALSEGNO_FAIL_PROGRAM", "dalsegno".to_owned()),
            ("DALSEGNO_FAIL_BELOW", text(&self.below)),
            ("DALSEGNO_FAIL_CALLS", self.calls.to_owned()),
            ("DALSEGNO_FAIL_AT", self.at.to_string()),
            ("DALSEGNO_FAIL_HOW", self.how.to_owned()),
            ("DALSEGNO_FAIL_ON", u8::from(self.onwards).to_string()),
            ("DALSEGNO_FAIL_LOG", text(&self.log)),
        ]
    }

    /// What was counted or struck in the last run.
    pub fn struck(&self) -> Vec<Struck> {
        let log = fs::read(&self.log).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let one = |line: &str| {
            let mut words = line.splitn(4, ' ');
            let mut next = || words.next().expect("a line has four words").to_owned();
            let number = next().parse().expect("the first is a number");
            Struck { number, class: next(), call: next(), path: next().into() }
        };
        log.lines().map(one).collect()
    }
}
