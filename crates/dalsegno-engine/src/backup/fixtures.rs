//! Project fixtures into the tree: the files of each app's `fixtures/` folder and of
//! `FIXTURE_DIRS`.

use dalsegno_format::{FixtureCompletion, tree};
use dalsegno_media::Selection;

use super::capture::Capturing;
use super::media::FolderCapture;
use crate::{EngineError, Site};

/// The folders of fixtures and the name each has below `fixtures/`: the app's label, or `dir-N` for
/// the N-th of `FIXTURE_DIRS` (an app's label holds no dash).
pub(crate) fn folders(site: &Site) -> Vec<(String, std::path::PathBuf)> {
    let mut number = 0;
    let mut folders: Vec<_> = site
        .descriptor()
        .fixture_dirs
        .iter()
        .map(|dir| {
            let name = dir.app.as_deref().map_or_else(
                || {
                    number += 1;
                    format!("dir-{number}")
                },
                tree::component,
            );
            (name, dir.path.clone())
        })
        .collect();
    folders.sort();
    folders.dedup_by(|a, b| a.0 == b.0);
    folders
}

pub(super) fn capture(work: &mut Capturing<'_>) -> Result<(), EngineError> {
    let mut done = FixtureCompletion::default();
    let top = tree::path(tree::FIXTURES);
    work.own_folder(&top)?;
    let everything = Selection::default();
    for (name, location) in folders(work.site) {
        let folder = top.join(&name).expect("a component is a path");
        if !location.is_dir() {
            continue;
        }
        let mut capture =
            FolderCapture::new(format!("fixtures {name}"), &location, folder, &everything, &[]);
        capture.run(work, None, None)?;
        done.files += capture.counts.files;
        done.bytes += capture.counts.bytes;
        done.folders.insert(name, location.to_string_lossy().into_owned());
    }
    work.gathered.fixtures = Some(done);
    Ok(())
}
