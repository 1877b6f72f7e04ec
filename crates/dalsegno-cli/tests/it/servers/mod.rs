//! Real Django sites on real servers: backed up, damaged, restored, and put back.

mod kinds;
mod round;
mod script;

use dalsegno_testkit::Site;

pub(crate) use kinds::{Kind, Server};

/// A bookshop on a server, and the name of its database.
pub(crate) fn bookshop(server: &Server) -> Site {
    server.create_database("shop");
    Site::bookshop_on(&server.url("shop"), 400, 12)
}

/// Everything that lies in the media folder, with contents.
pub(crate) fn media(site: &Site) -> String {
    // Names that a backup leaves out by rule are nobody's loss here.
    let script = "cd media && find . ! -name '.?*' ! -name '*~' -printf '%y %m %T@ %s %p %l\\n' | \
                  LC_ALL=C sort && find . -type f ! -name '.?*' ! -name '*~' -exec sha256sum {} + | \
                  LC_ALL=C sort";
    let mut shell = std::process::Command::new("sh");
    let done = shell.args(["-euc", script]).current_dir(site.root()).output().expect("sh runs");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8_lossy(&done.stdout).into_owned()
}
