//! Consent: asked for on a terminal, given by `--force`, never assumed.

use dalsegno_testkit::{Site, assert_same, damage};
use insta::assert_snapshot;

use crate::{BINARY, backup, run};

fn damaged() -> Site {
    let site = Site::plain();
    backup(&site, "b", &[]);
    damage(&site);
    site
}

#[test]
fn without_a_terminal_nobody_can_be_asked() {
    let site = damaged();
    let before = site.state();
    assert_snapshot!(run(&site, &["-q", "restore", "b"]), @r#"
    exit 13
    err| error: the restore needs a yes, and there is no terminal to ask on
    err| hint: Repeat with `--force` to answer yes.
    "#);
    assert_snapshot!(run(&site, &["--format", "json", "restore", "b"]).expect(13).json()["message"], @r#"
    "the restore needs a yes, and there is no terminal to ask on"
    "#);
    assert_same(&before, &site.state());
}

#[test]
fn the_question_names_what_goes() {
    let site = damaged();
    let before = site.state();
    for typed in ["no\n", "\n", "y\n", "YES please\n"] {
        let answer = site.call(BINARY, &["restore", "b"]).on_terminal(typed).run().expect(13);
        for word in [
            "db.sqlite3",
            "media",
            "Type `yes` to go on [no]",
            "cancelled: the restore was not confirmed",
        ] {
            assert!(answer.stdout.contains(word), "{word}: {answer}");
        }
        assert_same(&before, &site.state());
    }
}

#[test]
fn yes_is_a_yes() {
    let site = Site::plain();
    let before = site.state();
    backup(&site, "b", &[]);
    damage(&site);
    let answer = site.call(BINARY, &["restore", "b"]).on_terminal("yes\n").run().expect(0);
    assert!(answer.stdout.contains("Restored b."), "{answer}");
    assert_same(&before, &site.state());
    let id = answer
        .stdout
        .split("dalsegno rollback ")
        .nth(1)
        .and_then(|rest| rest.get(..36))
        .expect("it names itself");
    site.call(BINARY, &["rollback", id]).on_terminal("no\n").run().expect(13);
    assert_same(&before, &site.state());
    site.call(BINARY, &["rollback", id]).on_terminal("yes\n").run().expect(0);
    assert!(site.state() != before);
}

#[test]
fn every_word_for_yes() {
    for word in ["--force", "--no-input", "--noinput"] {
        let site = damaged();
        run(&site, &["restore", "b", word]).expect(0);
    }
    let site = damaged();
    run(&site, &["rollback", "latest"]).expect(10);
    run(&site, &["restore", "b", "--force"]).expect(0);
    run(&site, &["rollback", "latest"]).expect(13);
    run(&site, &["discard", "latest"]).expect(13);
}
