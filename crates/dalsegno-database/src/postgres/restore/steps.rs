use std::collections::{HashMap, HashSet};

use super::loader::label;
use super::schedule::{EntryId, Hold, Schedule, Step};
use super::session::qualified;
use crate::postgres::catalog::{Catalog, Entry, RowsTaken, Schema, Section, Table, TableKind};

/// Tables smaller than this are analyzed together.
const SMALL: u64 = 1 << 20;
/// As many of them.
const TOGETHER: usize = 50;

/// What is left of a schema once the tables are there.
pub(super) struct Work {
    /// What runs beside the rows.
    pub(super) schedule: Schedule,
    /// The entries of its steps.
    pub(super) scheduled: HashMap<EntryId, Entry>,
    /// Entries after the rows, in their order, of which the scheduled ones are run already.
    pub(super) after: Vec<Entry>,
    /// The entry of each table of the catalog.
    pub(super) tables: HashMap<u32, EntryId>,
}

/// Divides the entries after the rows: indexes, constraints and foreign keys of ordinary tables run
/// beside each other; anything else comes after, one by one.
pub(super) fn divide(catalog: &Catalog, schema: &Schema) -> Work {
    let by_name: HashMap<(&str, &str), &Table> =
        catalog.tables.iter().map(|it| ((it.schema.as_str(), it.name.as_str()), it)).collect();
    let mut tables = HashMap::new();
    let mut holdable: HashMap<EntryId, Option<TableKind>> = HashMap::new();
    for entry in &schema.entries {
        let kind = match entry.kind.as_str() {
            "TABLE" | "FOREIGN TABLE" => {
                let table = by_name.get(&(entry.schema.as_str(), entry.name.as_str()));
                if let Some(table) = table {
                    tables.insert(table.id, entry.id);
                }
                table.map(|table| table.kind)
            }
            "MATERIALIZED VIEW" => None,
            _ => continue,
        };
        holdable.insert(entry.id, kind);
    }
    let after: Vec<Entry> =
        schema.entries.iter().filter(|it| it.section == Section::Post).cloned().collect();
    let mut steps: Vec<Step> = after.iter().filter_map(|it| step(it, &holdable)).collect();
    let ids: HashSet<EntryId> = steps.iter().map(|step| step.id).collect();
    let outside: Vec<EntryId> =
        after.iter().map(|entry| entry.id).filter(|id| !ids.contains(id)).collect();
    let mut scheduled: HashMap<EntryId, Entry> =
        after.iter().filter(|it| ids.contains(&it.id)).map(|it| (it.id, it.clone())).collect();
    for (step, entry) in analyze(catalog, &tables) {
        scheduled.insert(step.id, entry);
        steps.push(step);
    }
    let awaited: Vec<EntryId> = catalog
        .tables
        .iter()
        .filter(|it| matches!(it.rows, RowsTaken::All | RowsTaken::Where(_)))
        .filter_map(|it| tables.get(&it.id).copied())
        .collect();
    let schedule = Schedule::new(steps, awaited, outside);
    Work { schedule, scheduled, after, tables }
}

fn step(entry: &Entry, holdable: &HashMap<EntryId, Option<TableKind>>) -> Option<Step> {
    let (hold, late) = match entry.kind.as_str() {
        "INDEX" => (Hold::Shared, false),
        "CONSTRAINT" => (Hold::Alone, false),
        "FK CONSTRAINT" => (Hold::Alone, true),
        _ => return None,
    };
    let of: Vec<EntryId> =
        entry.depends_on.iter().copied().filter(|id| holdable.contains_key(id)).collect();
    // What touches a partitioned table touches its partitions too, and those of no table that is
    // known here cannot be kept apart.
    let apart = of.iter().all(|id| holdable[id] != Some(TableKind::Partitioned));
    if of.is_empty() || !apart {
        return None;
    }
    let holds = of.into_iter().map(|id| (id, hold)).collect();
    Some(Step { id: entry.id, needs: entry.depends_on.iter().copied().collect(), holds, late })
}

/// Statistics, without which the first queries after the switch would be planned blindly.
fn analyze(catalog: &Catalog, tables: &HashMap<u32, EntryId>) -> Vec<(Step, Entry)> {
    let mut groups: Vec<Vec<&Table>> = Vec::new();
    let mut small: Vec<&Table> = Vec::new();
    for table in catalog.tables.iter().filter(|it| it.kind == TableKind::Table) {
        if table.size < SMALL {
            small.push(table);
        } else {
            groups.push(vec![table]);
        }
    }
    groups.extend(small.chunks(TOGETHER).map(<[_]>::to_vec));
    let numbered = (EntryId::MIN..).zip(groups);
    numbered
        .map(|(id, group)| {
            let held = group.iter().filter_map(|it| tables.get(&it.id));
            let step = Step {
                id,
                needs: std::collections::BTreeSet::new(),
                holds: held.map(|id| (*id, Hold::Alone)).collect(),
                late: true,
            };
            let names: Vec<String> =
                group.iter().map(|it| qualified(&it.schema, &it.name)).collect();
            let entry = Entry {
                id,
                kind: "STATISTICS OF".to_owned(),
                section: Section::Post,
                schema: String::new(),
                name: group.first().map_or_else(String::new, |it| label(it)),
                owner: String::new(),
                sql: format!("ANALYZE {}", names.join(", ")),
                depends_on: Vec::new(),
            };
            (step, entry)
        })
        .collect()
}
