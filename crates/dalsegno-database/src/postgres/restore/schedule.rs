use std::collections::{BTreeSet, HashMap, HashSet};

/// The number of a schema entry.
pub(super) type EntryId = i32;

/// How a step holds a table while it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hold {
    /// Several at once: indexes are built beside each other.
    Shared,
    /// Nobody else: a constraint changes the table.
    Alone,
}

/// One entry that is run when its table is loaded, by whoever is free.
#[derive(Debug, Clone)]
pub(super) struct Step {
    /// Its own number.
    pub(super) id: EntryId,
    /// Entries that come before it.
    pub(super) needs: BTreeSet<EntryId>,
    /// Tables it holds, by their entries.
    pub(super) holds: Vec<(EntryId, Hold)>,
    /// Not before every table is loaded.
    pub(super) late: bool,
}

/// Which step may run now: all it needs is done, and nobody holds its tables.
///
/// Two foreign keys that touch one table at once would wait for each other for ever.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    waiting: Vec<Step>,
    running: HashMap<EntryId, Vec<(EntryId, Hold)>>,
    undone: HashSet<EntryId>,
    tables: HashSet<EntryId>,
    shared: HashMap<EntryId, usize>,
    alone: HashSet<EntryId>,
    loaded: bool,
}

impl Schedule {
    /// Steps in the order in which they would be run one by one, the entries of tables whose rows
    /// are still to come, and entries that are run by others, later. One that is none of these
    /// counts as done.
    pub(super) fn new(
        steps: Vec<Step>,
        tables: impl IntoIterator<Item = EntryId>,
        outside: impl IntoIterator<Item = EntryId>,
    ) -> Self {
        let tables: HashSet<EntryId> = tables.into_iter().collect();
        let undone = steps.iter().map(|step| step.id).chain(outside).chain(tables.iter().copied());
        Self { undone: undone.collect(), waiting: steps, tables, ..Self::default() }
    }

    /// The rows of a table are there.
    pub(super) fn table_loaded(&mut self, table: EntryId) {
        self.undone.remove(&table);
    }

    /// No table is waited for any more.
    pub(super) fn all_loaded(&mut self) {
        self.loaded = true;
        self.undone.retain(|id| !self.tables.contains(id));
    }

    /// Takes the first step that may run.
    pub(super) fn start(&mut self) -> Option<EntryId> {
        let at = self.waiting.iter().position(|step| self.may_run(step))?;
        let step = self.waiting.remove(at);
        for (table, hold) in &step.holds {
            match hold {
                Hold::Shared => *self.shared.entry(*table).or_default() += 1,
                Hold::Alone => {
                    self.alone.insert(*table);
                }
            }
        }
        self.running.insert(step.id, step.holds);
        Some(step.id)
    }

    fn may_run(&self, step: &Step) -> bool {
        (self.loaded || !step.late)
            && !step.needs.iter().any(|id| self.undone.contains(id))
            && step.holds.iter().all(|(table, hold)| {
                !self.alone.contains(table)
                    && (*hold == Hold::Shared || !self.shared.contains_key(table))
            })
    }

    /// A step that was taken has run.
    pub(super) fn finished(&mut self, id: EntryId) {
        for (table, hold) in self.running.remove(&id).unwrap_or_default() {
            match hold {
                Hold::Alone => {
                    self.alone.remove(&table);
                }
                Hold::Shared => {
                    let left = self.shared.get(&table).map_or(0, |held| held - 1);
                    if left == 0 {
                        self.shared.remove(&table);
                    } else {
                        self.shared.insert(table, left);
                    }
                }
            }
        }
        self.undone.remove(&id);
    }

    /// Whether nothing runs and nothing can begin, now that all tables are loaded.
    pub(super) fn is_over(&self) -> bool {
        self.loaded
            && self.running.is_empty()
            && !self.waiting.iter().any(|step| self.may_run(step))
    }

    /// Steps that wait for something outside: to be run one by one, in the order of their numbers
    /// in the list.
    pub(super) fn rest(&self) -> Vec<EntryId> {
        self.waiting.iter().map(|step| step.id).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(id: EntryId, needs: &[EntryId], holds: &[(EntryId, Hold)], late: bool) -> Step {
        Step { id, needs: needs.iter().copied().collect(), holds: holds.to_vec(), late }
    }

    #[test]
    fn an_index_waits_for_the_rows_of_its_own_table_alone() {
        let steps = vec![
            step(10, &[1], &[(1, Hold::Shared)], false),
            step(11, &[2], &[(2, Hold::Shared)], false),
        ];
        let mut schedule = Schedule::new(steps, [1, 2], []);
        assert_eq!(schedule.start(), None);
        schedule.table_loaded(2);
        assert_eq!(schedule.start(), Some(11));
        assert_eq!(schedule.start(), None);
        schedule.table_loaded(1);
        assert_eq!(schedule.start(), Some(10));
    }

    #[test]
    fn indexes_share_a_table_and_constraints_do_not() {
        let steps = vec![
            step(10, &[], &[(1, Hold::Shared)], false),
            step(11, &[], &[(1, Hold::Alone)], false),
            step(12, &[], &[(1, Hold::Shared)], false),
        ];
        let mut schedule = Schedule::new(steps, [], []);
        assert_eq!(
            (schedule.start(), schedule.start(), schedule.start()),
            (Some(10), Some(12), None)
        );
        schedule.finished(10);
        assert_eq!(schedule.start(), None, "one index is still being built");
        schedule.finished(12);
        assert_eq!(schedule.start(), Some(11));
    }

    #[test]
    fn foreign_keys_come_last_and_never_two_on_one_table() {
        let steps = vec![
            step(20, &[10], &[(1, Hold::Alone), (2, Hold::Alone)], true),
            step(21, &[10], &[(2, Hold::Alone), (3, Hold::Alone)], true),
            step(22, &[], &[(4, Hold::Alone), (5, Hold::Alone)], true),
            step(10, &[1], &[(1, Hold::Alone)], false),
        ];
        let mut schedule = Schedule::new(steps, [1, 2, 3, 4, 5], []);
        schedule.table_loaded(1);
        assert_eq!((schedule.start(), schedule.start()), (Some(10), None));
        schedule.all_loaded();
        assert_eq!((schedule.start(), schedule.start()), (Some(22), None));
        schedule.finished(10);
        assert_eq!((schedule.start(), schedule.start()), (Some(20), None));
        assert!(!schedule.is_over());
        schedule.finished(20);
        assert_eq!(schedule.start(), Some(21));
        schedule.finished(21);
        schedule.finished(22);
        assert!(schedule.is_over() && schedule.rest().is_empty());
    }

    #[test]
    fn what_waits_for_something_that_never_comes_is_handed_back() {
        let steps = vec![step(10, &[7], &[], false), step(11, &[1], &[], false)];
        let mut schedule = Schedule::new(steps, [1], [7]);
        assert!(!schedule.is_over());
        schedule.all_loaded();
        assert_eq!(schedule.start(), Some(11));
        schedule.finished(11);
        assert!(schedule.is_over());
        assert_eq!(schedule.rest(), [10]);
    }
}
