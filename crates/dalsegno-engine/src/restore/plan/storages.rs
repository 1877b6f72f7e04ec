//! Which storage goes where, and what becomes of its files; likewise project fixtures.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use dalsegno_archive::Archive;
use dalsegno_format::{Entry, TreePath, tree};
use dalsegno_media::{Changes, Selection, Target};

use super::{FixturePlan, RestorePlan, StoragePlan, require_absent};
use crate::backup::fixture_folders;
use crate::site::MediaRoot;
use crate::{EngineError, Run, Site};

pub(super) fn plan_storages(
    site: &Site,
    archive: &Archive,
    plan: &mut RestorePlan,
    run: Run<'_>,
) -> Result<(), EngineError> {
    if plan.request.skip_media {
        return Ok(());
    }
    if plan.request.to_database.is_some() && plan.request.to_media.is_none() {
        plan.notes.push("media are left as they are: only `--to-database` was given".to_owned());
        return Ok(());
    }
    let roots = site.media_roots();
    for (alias, described) in plan.manifest.metadata.storages.clone() {
        let elsewhere = plan.request.to_media.as_ref();
        let live = match elsewhere {
            Some(folder) if alias == "default" => {
                require_absent(folder)?;
                MediaRoot {
                    alias: alias.clone(),
                    backend: described.backend,
                    location: folder.clone(),
                }
            }
            Some(_) => {
                plan.notes.push(format!(
                    "storage `{alias}` is left out: `--to-media` takes the default one"
                ));
                continue;
            }
            None => {
                let Some(root) = roots.iter().find(|root| root.alias == alias) else {
                    plan.notes
                        .push(format!("storage `{alias}` is not in this project and is skipped"));
                    continue;
                };
                root.clone()
            }
        };
        if site.is_site_itself(&live.location) {
            return Err(EngineError::UnsafeRoot { alias, path: live.location });
        }
        if elsewhere.is_none() && !plan.request.keep_going {
            Target::new(&live.location, &plan.id.to_string())
                .and_then(|target| target.refuse_mount_inside())
                .map_err(EngineError::media(&alias))?;
        }
        let bytes = plan.manifest.completion.storages.get(&alias).map_or(0, |s| s.bytes);
        let left_out = &plan.manifest.metadata.options;
        let selection = site
            .selection(
                &live.location,
                &left_out.media_exclude,
                &left_out.exclude_media,
                Some(&plan.request.source),
            )
            .map_err(EngineError::media(&alias))?;
        let changes = changes(archive, plan, &alias, &live.location, &selection, run)?;
        let elsewhere = elsewhere.is_some();
        plan.storages.push(StoragePlan { alias, live, elsewhere, bytes, changes, selection });
    }
    Ok(())
}

fn changes(
    archive: &Archive,
    plan: &RestorePlan,
    alias: &str,
    location: &Path,
    selection: &Selection,
    run: Run<'_>,
) -> Result<Changes, EngineError> {
    let folder = tree::storage(alias);
    let mut failed = None;
    let entries = archive
        .entries()?
        .map_while(|member| member.map_err(|e| failed = Some(e)).ok())
        .filter_map(|(entry, _)| below(entry, &folder));
    let cancelled = || run.cancel.requested();
    let strategy = plan.request.media_strategy.strategy();
    let changes =
        dalsegno_media::plan(location, entries, strategy, selection, &plan.skip, &cancelled)
            .map_err(EngineError::media(alias))?;
    match failed {
        Some(error) => Err(error.into()),
        None => Ok(changes),
    }
}

/// An entry of a storage with its path below the storage's root; `None` for any other.
pub(crate) fn below(mut entry: Entry, folder: &TreePath) -> Option<Entry> {
    let path = TreePath::new(entry.path.below(folder)?).ok()?;
    entry.path = path;
    if let dalsegno_format::EntryKind::HardLink { target } = &entry.kind {
        let target = TreePath::new(target.below(folder)?).ok()?;
        entry.kind = dalsegno_format::EntryKind::HardLink { target };
    }
    Some(entry)
}

pub(super) fn plan_fixtures(site: &Site, plan: &mut RestorePlan) {
    let elsewhere = plan.request.to_database.is_some() || plan.request.to_media.is_some();
    if plan.request.skip_fixtures || elsewhere {
        return;
    }
    let Some(held) = &plan.manifest.completion.fixtures else { return };
    let folders: BTreeMap<String, PathBuf> = fixture_folders(site).into_iter().collect();
    for name in held.folders.keys() {
        match folders.get(name) {
            Some(folder) => {
                plan.fixtures.push(FixturePlan { name: name.clone(), folder: folder.clone() });
            }
            None => plan.notes.push(format!(
                "fixtures of `{name}` have no folder in this project and are skipped"
            )),
        }
    }
}
