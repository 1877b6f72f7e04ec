//! Reading an archive under the eyes of a run.

use dalsegno_archive::{Progress, Watch};

use crate::Run;

/// Does `work` on an archive while the stored bytes it reads count as the run's progress, and the
/// run may stop it.
pub(crate) fn watched<T>(run: Run<'_>, work: impl FnOnce(&mut Watch<'_>) -> T) -> T {
    let mut seen = 0;
    let mut progress = |now: Progress| {
        run.progress.advance(now.stored.saturating_sub(seen));
        seen = seen.max(now.stored);
    };
    let cancelled = || run.cancel.requested();
    work(&mut Watch { progress: &mut progress, cancelled: &cancelled })
}
