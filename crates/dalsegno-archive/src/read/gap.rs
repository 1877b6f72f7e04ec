//! Members that one break in the structure makes unreadable.

use crate::Damage;

/// Keeps one break from becoming a hundred findings: the first member whose header cannot be read
/// is a finding, those that follow it for the same reason are only counted.
#[derive(Debug, Default)]
pub(crate) struct Gap {
    /// The first of the members passed over, while the break lasts.
    first: Option<String>,
    /// How many came after it.
    more: u64,
    /// Whether there has been any break.
    any: bool,
}

impl Gap {
    /// Takes note of `count` members that cannot be read; `true` when the first of them is to be
    /// told on its own.
    pub(crate) fn note(&mut self, shown: &str, count: u64) -> bool {
        self.any = true;
        if self.first.is_some() {
            self.more += count;
            return false;
        }
        self.first = Some(shown.to_owned());
        self.more = count.saturating_sub(1);
        true
    }

    /// Whether any member has been passed over.
    pub(crate) fn any(&self) -> bool {
        self.any
    }

    /// Ends the break; says how many members followed its first.
    pub(crate) fn close(&mut self) -> Option<Damage> {
        let first = self.first.take()?;
        let more = std::mem::take(&mut self.more);
        let what = match more {
            0 => return None,
            1 => "1 member could not be checked".to_owned(),
            more => format!("{more} members could not be checked"),
        };
        Some(Damage::new(format!("after {first}"), what))
    }
}
