//! Which files of a capture have further names.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use dalsegno_format::TreePath;

use crate::meta::{FileId, Meta};

/// The first name of each file that has several; forgotten once all its names were seen.
#[derive(Debug, Clone, Default)]
pub(crate) struct Links(Arc<Mutex<HashMap<FileId, First>>>);

#[derive(Debug)]
struct First {
    path: TreePath,
    left: u64,
}

impl Links {
    /// The earlier name of this file, if one was captured.
    pub(crate) fn earlier(&self, meta: &Meta) -> Option<TreePath> {
        if meta.links < 2 {
            return None;
        }
        let mut map = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let first = map.get_mut(&meta.id)?;
        let path = first.path.clone();
        first.left = first.left.saturating_sub(1);
        if first.left == 0 {
            map.remove(&meta.id);
        }
        Some(path)
    }

    /// Notes a captured name.
    pub(crate) fn captured(&self, meta: &Meta, path: &TreePath) {
        if meta.links > 1 {
            let first = First { path: path.clone(), left: meta.links - 1 };
            self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(meta.id, first);
        }
    }

    /// Takes back a name whose content could not be captured after all.
    pub(crate) fn lost(&self, meta: &Meta, path: &TreePath) {
        let mut map = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if map.get(&meta.id).is_some_and(|first| first.path == *path) {
            map.remove(&meta.id);
        }
    }
}
