//! Comparing backups with each other and with the live site.

use dalsegno_testkit::{Site, damage};
use insta::assert_snapshot;

use crate::{backup, ok, report, run};

#[test]
fn with_the_live_site_and_between_backups() {
    let site = Site::plain();
    backup(&site, "before", &[]);
    assert_snapshot!(ok(&site, &["-q", "diff", "before"]), @"");
    damage(&site);
    assert_snapshot!(ok(&site, &["-q", "diff", "before", "live"]), @"");
    backup(&site, "after", &["--form", "folder"]);
    let live = ok(&site, &["-q", "diff", "before"]).stdout;
    assert_eq!(ok(&site, &["-q", "diff", "before", "after"]).stdout, live);
    assert_snapshot!(ok(&site, &["-q", "diff", "after"]), @"");
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
    assert_snapshot!(ok(&site, &["-q", "diff", "all", "rows"]), @"");
}
