//! The program is killed while processes of the site have the database open: one in the middle of a
//! transaction, one that started the program itself, twenty that read all the time.

use std::path::PathBuf;

use dalsegno_testkit::{Blow, Companion, Fault, Judge, Site, State, damage};

use crate::scene::{tell, torture};
use crate::{BINARY, backup, ok, restore};

const KILLS: [Blow; 3] = [Blow::KillBefore, Blow::KillWithin, Blow::KillAfter];

/// A site with a backup of each of its two states, which is never laid aside: those who have it open
/// would lose it.
struct Company {
    site: Site,
    judge: Judge,
    states: [State; 2],
    /// What a companion sees of each.
    digests: [String; 2],
    /// Which of the states it is in.
    now: usize,
}

const NAMES: [&str; 2] = ["one", "two"];

impl Company {
    fn new(journal: &str) -> Self {
        let site = Site::in_memory();
        site.sql("db.sqlite3", &format!("PRAGMA journal_mode = {journal}"));
        let judge = Judge::start(&site);
        let look = || {
            let digest = Companion::plain(&site.path("db.sqlite3"), 0).look();
            (judge.state(&site), digest)
        };
        backup(&site, NAMES[0], &[]);
        let one = look();
        damage(&site);
        backup(&site, NAMES[1], &[]);
        let two = look();
        assert_ne!(one.1, two.1, "the states do not differ");
        Self { site, judge, states: [one.0, two.0], digests: [one.1, two.1], now: 1 }
    }

    fn database(&self) -> PathBuf {
        self.site.path("db.sqlite3")
    }

    /// Each part is one of the two states; gives back that of the database.
    #[track_caller]
    fn database_is(&self, what: &str) -> usize {
        let state = self.judge.state(&self.site);
        let which = |part: &str| {
            let is = |index: &usize| state.part(part) == self.states[*index].part(part);
            let found = (0..2).find(is);
            found.unwrap_or_else(|| panic!("{what}: {part} is mixed: {:#?}", state.part(part)))
        };
        which("media");
        which("db.sqlite3")
    }

    /// The next verb brings the site into one state.
    #[track_caller]
    fn settle(&mut self, what: &str) {
        let out = self.site.outside("elsewhere");
        let _ = std::fs::remove_dir_all(&out);
        let out = crate::text(&out);
        let args = [
            "-q",
            "restore",
            "one",
            "--force",
            "--no-pre-backup",
            "--skip-database",
            "--to-media",
            out,
        ];
        let answer = self.site.call(BINARY, &args).run();
        assert_eq!(answer.code, 0, "{what}: the next verb failed: {answer}");
        self.now = self.database_is(what);
        let state = self.judge.state(&self.site);
        assert_eq!(state.part("media"), self.states[self.now].part("media"), "{what}: mixed");
    }

    fn other(&self) -> usize {
        1 - self.now
    }
}

/// Arguments of the verbs in turn: there, back, there, and dropped.
fn verb(company: &Company, round: u32) -> Vec<String> {
    let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
    let there = || words(&["-q", "restore", NAMES[company.other()], "--force", "--no-pre-backup"]);
    if round % 4 < 2 {
        return there();
    }
    let id = restore(&company.site, &[NAMES[company.other()], "--no-pre-backup"]);
    let verb = if round % 4 == 2 { "rollback" } else { "discard" };
    words(&["-q", verb, &id, "--force"])
}

/// Kills a verb at calls spread over all it makes; `before` and `after` look at each kill.
fn kill_in_company(
    company: &mut Company,
    rounds: u32,
    mut run: impl FnMut(&Company, &[&str], Option<&Fault>) -> i64,
    mut after: impl FnMut(&Company, &str),
) {
    let mut killed = 0;
    for round in 0..rounds {
        let args = verb(company, round);
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        company.now = company.database_is("before");
        // A restore makes some 220 calls, a rollback 160, a discard 45.
        let most = [220, 220, 160, 45][usize::try_from(round % 4).expect("it is small")];
        let number = 1 + (round / 4 * 37 + round * 53) % most;
        let blow = KILLS[usize::try_from(round % 3).expect("it is small")];
        let fault = Fault::at(&company.site, blow, number);
        let code = run(company, &args, Some(&fault));
        let what =
            format!("round {round}, {args:?}, {blow:?} at call {number}: {:?}", fault.struck());
        assert!(code == 0 || code == 137 || code == -9, "{what}: exit {code}");
        killed += u32::from(code != 0);
        company.database_is(&what);
        after(company, &what);
        company.settle(&what);
        after(company, &what);
    }
    tell(&format!("{killed} of {rounds} killed"));
    assert!(killed * 2 > rounds, "hardly any run was killed");
}

fn run_alone(company: &Company, args: &[&str], fault: Option<&Fault>) -> i64 {
    let call = company.site.call(BINARY, args);
    let answer =
        fault.map_or_else(|| call, |fault| fault.on(company.site.call(BINARY, args))).run();
    i64::from(answer.code)
}

fn rounds() -> u32 {
    if torture() { 100 } else { 8 }
}

#[test]
fn a_reader_in_a_transaction_sees_what_it_saw_through_every_kill() {
    // A reader of a rollback-journal database holds off the commit of a restore, kill or no kill.
    let mut company = Company::new("wal");
    let mut reader = Companion::plain(&company.database(), 0);
    let mut held = reader.hold();
    let digests = company.digests.clone();
    let mut looks = 0;
    kill_in_company(&mut company, rounds(), run_alone, |company, what| {
        assert_eq!(reader.look_again(), held, "{what}: the reader's transaction changed under it");
        looks += 1;
        if looks % 2 == 0 {
            reader.release();
            held = reader.hold();
            assert_eq!(held, digests[company.database_is(what)], "{what}");
        }
    });
}

#[test]
fn a_reader_in_a_transaction_holds_off_a_restore_in_delete_mode_and_nothing_changes() {
    let mut company = Company::new("delete");
    let mut reader = Companion::plain(&company.database(), 0);
    let held = reader.hold();
    let answer =
        company.site.call(BINARY, &["-q", "restore", "one", "--force", "--no-pre-backup"]).run();
    assert_eq!(answer.code, 11, "{answer}");
    assert_eq!(reader.look_again(), held);
    reader.release();
    assert_eq!(company.database_is("refused"), 1);
    company.settle("refused");
    assert_eq!(company.now, 1);
    ok(&company.site, &["restore", "one", "--force", "--no-pre-backup"]);
    assert_eq!(reader.look(), company.digests[0]);
}

#[test]
fn the_site_s_own_process_that_runs_the_program_sees_old_or_new_after_every_kill() {
    for journal in ["wal", "delete"] {
        let mut company = Company::new(journal);
        let mut django = Companion::django(&company.database());
        assert_eq!(django.look(), company.digests[company.now]);
        let django = std::cell::RefCell::new(&mut django);
        kill_in_company(
            &mut company,
            rounds() / 2,
            |company, args, fault| {
                let argv: Vec<&str> = [BINARY].into_iter().chain(args.iter().copied()).collect();
                django.borrow_mut().run(&company.site, &argv, fault).0
            },
            |company, what| {
                let seen = django.borrow_mut().look();
                assert_eq!(seen, company.digests[company.database_is(what)], "{what}");
            },
        );
    }
}

#[test]
fn twenty_readers_see_old_or_new_through_every_kill() {
    for journal in ["wal", "delete"] {
        let mut company = Company::new(journal);
        let mut readers = Companion::plain(&company.database(), 20);
        readers.read_on(&company.digests);
        kill_in_company(&mut company, rounds() / 2, run_alone, |_, what| {
            assert_eq!(readers.alive(), 20, "{what}: a reader saw what is neither old nor new");
        });
    }
}
