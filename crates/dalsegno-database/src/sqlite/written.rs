use std::time::Duration;

use super::Source;
use super::Switched;
use super::offline::fingerprint;
use super::target::exists;
use crate::Result;

/// Whether a live database holds anything else than what a switch put there. Reads it whole.
///
/// A database that is gone counts as written to.
pub fn written_since(switched: &Switched, busy_timeout: Duration) -> Result<bool> {
    if !exists(&switched.live)? {
        return Ok(true);
    }
    let connection = Source::Live(&switched.live, busy_timeout).open()?;
    Ok(fingerprint(&connection, &switched.live)? != switched.content)
}
