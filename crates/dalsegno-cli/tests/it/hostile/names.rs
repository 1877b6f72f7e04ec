//! Names that are odd and right: they come back as they were, and do no harm to a terminal.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;

use serde_json::json;

use super::FORMS;
use super::trap::Trap;
use crate::{ok, text};

const ODD: [&[u8]; 11] = [
    b" leading and trailing ",
    b"-rf",
    b"$(touch pwned)",
    b"a\nb",
    b"a\tb\r",
    b"bad-\xff\xe9",
    b"back\\slash\\n",
    b"q'u\"o`t`e; touch pwned",
    b"two\x1b[2J\x1b]0;title\x07",
    b"z|*?[a]{b}&",
    b"\xe2\x80\xaegpj.exe",
];

#[test]
fn odd_names_come_back_and_reach_no_terminal_as_they_are() {
    let trap = Trap::new();
    for (number, name) in ODD.iter().enumerate() {
        fs::write(trap.site.path("media").join(OsStr::from_bytes(name)), number.to_string())
            .expect("the file system takes any name");
    }
    for form in ["tar.gz", "folder"] {
        let path = crate::backup(&trap.site, &format!("odd-{}", &form[..3]), &["--form", form]);
        for name in ODD {
            fs::remove_file(trap.site.path("media").join(OsStr::from_bytes(name))).expect("there");
        }
        for verb in [&["-q", "contents"][..], &["-q", "verify"], &["-q", "diff"]] {
            let answer = trap.site.call(crate::BINARY, verb).arg(&path).run();
            let raw = answer.all();
            assert!(raw.bytes().all(|b| b == b'\n' || b == b'\t' || b >= b' '), "{raw:?}");
            assert!(!raw.contains('\u{202e}'), "{raw:?}");
        }
        crate::restore(&trap.site, &[text(&path)]);
        for (number, name) in ODD.iter().enumerate() {
            let found = fs::read(trap.site.path("media").join(OsStr::from_bytes(name)));
            assert_eq!(found.expect("it came back"), number.to_string().as_bytes(), "{name:?}");
        }
        assert!(!trap.site.path("pwned").exists() && !trap.site.path("media/pwned").exists());
    }
}

/// Whoever made the archive chose these texts.
#[test]
fn texts_of_the_metadata_reach_no_terminal_as_they_are() {
    let trap = Trap::new();
    let mut forge = trap.good.clone();
    let nasty = "x\u{1b}[2J\u{1b}]0;title\u{7}\r\nrestored \u{202e}evil";
    for key in ["name", "description", "created_at", "time_zone"] {
        forge.manifest["metadata"][key] = json!(nasty);
    }
    forge.manifest["metadata"]["project"]["name"] = json!(nasty);
    forge.manifest["metadata"]["host"]["name"] = json!(nasty);
    forge.manifest["metadata"]["tags"] = json!([nasty]);
    forge.manifest["completion"]["problems"] = json!([{"subject": nasty, "reason": nasty}]);
    forge.manifest["completion"]["warnings"] = json!([nasty]);
    for form in FORMS {
        let path = trap.write(&forge, "texts", form);
        let folder = trap.site.outside("forged");
        for verb in [
            &["-q", "show", text(&path)][..],
            &["-q", "list", "--output-dir", text(&folder)],
            &["-q", "verify", text(&path)],
            &["-q", "contents", text(&path)],
            &["-q", "restore", text(&path), "--dry-run"],
            &["restore", text(&path), "--dry-run", "--no-backup-check"],
            &["-q", "restore", text(&path)],
        ] {
            let raw = trap.run(verb).all();
            assert!(raw.bytes().all(|b| b == b'\n' || b >= b' '), "{verb:?}: {raw:?}");
            assert!(!raw.contains('\u{202e}'), "{verb:?}: {raw:?}");
        }
    }
}

#[test]
fn names_that_are_options_are_no_options() {
    let trap = Trap::new();
    let mut forge = trap.good.clone();
    forge.push([forge.file("files/z -rf --force", b"1")]);
    let path = trap.write(&forge, "--force", "tar.gz");
    ok(&trap.site, &["verify", text(&path)]);
    let got = ok(&trap.site, &["get", text(&path), "files/z -rf --force"]);
    assert_eq!(got.stdout, "1");
}
