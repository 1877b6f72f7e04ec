//! Comparing backups with each other and with the live site.

use dalsegno_testkit::{Site, damage};
use insta::assert_snapshot;

use crate::{backup, ok, report, run};

#[test]
fn with_the_live_site_and_between_backups() {
    let site = Site::plain();
    backup(&site, "before", &[]);
    assert_snapshot!(ok(&site, &["-q", "diff", "before"]), @r#"
    exit 0
    out| No difference.
    "#);
    damage(&site);
    assert_snapshot!(ok(&site, &["-q", "diff", "before", "live"]), @r#"
    exit 0
    out| database default: 4 tables differ
    out| table     old rows  new rows
    out| author          10         5
    out| book           200       200
    out| log              1         -
    out| stranger         -         0
    out| storage default: 1 added, 2 removed, 2 changed
    out|   - a/link
    out|   ~ a/one.txt
    out|   - b/empty
    out|   ~ picture.jpg
    out|   + ransom note.txt
    "#);
    backup(&site, "after", &["--form", "folder"]);
    let live = ok(&site, &["-q", "diff", "before"]).stdout;
    assert_eq!(ok(&site, &["-q", "diff", "before", "after"]).stdout, live);
    assert_snapshot!(ok(&site, &["-q", "diff", "after"]), @r#"
    exit 0
    out| No difference.
    "#);
    let json = report(&site, &["diff", "before", "after"]).to_string();
    assert!(json.contains("ransom note.txt") && json.contains("stranger"), "{json}");
    assert_eq!(site.names("../tmp"), [""; 0], "scratch is left");
    assert_eq!(site.names("backups_data/temp"), [""; 0], "scratch is left");
    run(&site, &["diff", "before", "none"]).expect(10);
}

#[test]
fn of_parts() {
    let site = Site::two_databases();
    backup(&site, "all", &["--database", "all"]);
    backup(&site, "rows", &["--skip-media"]);
    assert_snapshot!(ok(&site, &["-q", "diff", "all", "rows"]), @r#"
    exit 0
    out| database archive (old only)
    out| storage default (old only)
    "#);
}
