//! The graph of models: which rows must be there before which others.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, HashMap};

use crate::descriptor::{Descriptor, ModelDescriptor, RelationKind};

/// Models that have a table, and what they refer to by foreign key, one-to-one field or
/// inheritance. Proxies stand for the model whose table they use; a many-to-many field counts
/// through the table between; generic relations are no edges, since no one model is meant.
///
/// Labels are compared as Django writes them, and case does not matter where they are given.
#[derive(Debug, Clone)]
pub struct ModelGraph {
    labels: Vec<String>,
    by_label: HashMap<String, usize>,
    edges: Vec<Vec<Edge>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Edge {
    to: usize,
    /// The referring column may be NULL, so that the row can be there first.
    optional: bool,
}

impl ModelGraph {
    /// The graph of a project.
    pub fn new(descriptor: &Descriptor) -> Self {
        let tables: Vec<&ModelDescriptor> =
            descriptor.models().filter(|model| model.has_table()).collect();
        let mut by_label: HashMap<String, usize> =
            tables.iter().enumerate().map(|(i, m)| (m.label.to_lowercase(), i)).collect();
        for proxy in descriptor.models().filter(|model| model.proxy) {
            let concrete = proxy.concrete.as_ref().and_then(|c| by_label.get(&c.to_lowercase()));
            if let Some(&index) = concrete {
                by_label.insert(proxy.label.to_lowercase(), index);
            }
        }
        let edges = tables.iter().map(|model| edges_of(model, &by_label)).collect();
        let labels = tables.iter().map(|model| model.label.clone()).collect();
        Self { labels, by_label, edges }
    }

    /// Every label so that a model comes after all it refers to, as near to Django's own order as
    /// that allows. In a circle, references that may be NULL are let go first; where none may,
    /// Django's order stays.
    pub fn dependency_order(&self) -> Vec<&str> {
        let all: Vec<usize> = (0..self.labels.len()).collect();
        self.ordered(&all, Keep::All).into_iter().map(|i| self.labels[i].as_str()).collect()
    }

    /// The given models and all they refer to, directly or not, in dependency order: what must be
    /// there for their rows to stand. Labels that are no model of the project are left out.
    pub fn closure<'a>(&self, labels: impl IntoIterator<Item = &'a str>) -> Vec<&str> {
        let targets: Vec<Vec<usize>> =
            self.edges.iter().map(|edges| edges.iter().map(|edge| edge.to).collect()).collect();
        self.reached(labels, &targets)
    }

    /// The given models and all that refer to them, directly or not, in dependency order: what is
    /// hurt when their rows go.
    pub fn dependents<'a>(&self, labels: impl IntoIterator<Item = &'a str>) -> Vec<&str> {
        let mut sources = vec![Vec::new(); self.labels.len()];
        for (from, edges) in self.edges.iter().enumerate() {
            for edge in edges {
                sources[edge.to].push(from);
            }
        }
        self.reached(labels, &sources)
    }

    /// Groups of models that refer to each other in a circle, each in Django's order. A model that
    /// refers only to itself is not one.
    pub fn cycles(&self) -> Vec<Vec<&str>> {
        let all: Vec<usize> = (0..self.labels.len()).collect();
        let mut groups = self.components(&all, Keep::All);
        groups.retain(|group| group.len() > 1);
        groups.sort_unstable();
        let label = |i: usize| self.labels[i].as_str();
        groups.into_iter().map(|group| group.into_iter().map(label).collect()).collect()
    }

    fn reached<'a>(
        &self,
        labels: impl IntoIterator<Item = &'a str>,
        next: &[Vec<usize>],
    ) -> Vec<&str> {
        let mut found = BTreeSet::new();
        let mut open: Vec<usize> = labels
            .into_iter()
            .filter_map(|label| self.by_label.get(&label.to_lowercase()).copied())
            .collect();
        while let Some(node) = open.pop() {
            if found.insert(node) {
                open.extend(&next[node]);
            }
        }
        let nodes: Vec<usize> = found.into_iter().collect();
        self.ordered(&nodes, Keep::All).into_iter().map(|i| self.labels[i].as_str()).collect()
    }

    /// The nodes in dependency order: their circles condensed, sorted, and each opened again.
    fn ordered(&self, nodes: &[usize], keep: Keep) -> Vec<usize> {
        let groups = self.components(nodes, keep);
        let group_of: HashMap<usize, usize> = groups
            .iter()
            .enumerate()
            .flat_map(|(group, members)| members.iter().map(move |&node| (node, group)))
            .collect();
        let mut waiting = vec![0_usize; groups.len()];
        let mut followers = vec![Vec::new(); groups.len()];
        for (&node, &group) in &group_of {
            for edge in self.kept(node, keep) {
                match group_of.get(&edge.to) {
                    Some(&target) if target != group => {
                        waiting[group] += 1;
                        followers[target].push(group);
                    }
                    _ => {}
                }
            }
        }
        let first = |group: usize| groups[group].first().copied().unwrap_or_default();
        let mut ready: BinaryHeap<Reverse<(usize, usize)>> = (0..groups.len())
            .filter(|&group| waiting[group] == 0)
            .map(|group| Reverse((first(group), group)))
            .collect();
        let mut order = Vec::with_capacity(nodes.len());
        while let Some(Reverse((_, group))) = ready.pop() {
            match (groups[group].as_slice(), keep) {
                ([single], _) => order.push(*single),
                (circle, Keep::All) => order.extend(self.ordered(circle, Keep::Required)),
                (circle, Keep::Required) => order.extend(circle),
            }
            for &follower in &followers[group] {
                waiting[follower] -= 1;
                if waiting[follower] == 0 {
                    ready.push(Reverse((first(follower), follower)));
                }
            }
        }
        order
    }

    fn kept(&self, node: usize, keep: Keep) -> impl Iterator<Item = Edge> {
        self.edges[node].iter().copied().filter(move |edge| keep == Keep::All || !edge.optional)
    }

    /// Strongly connected components of the graph between `nodes`, each sorted (Tarjan, "Depth-
    /// first search and linear graph algorithms", 1972; without recursion).
    fn components(&self, nodes: &[usize], keep: Keep) -> Vec<Vec<usize>> {
        let inside: BTreeSet<usize> = nodes.iter().copied().collect();
        let targets = |node: usize| -> Vec<usize> {
            self.kept(node, keep).map(|edge| edge.to).filter(|to| inside.contains(to)).collect()
        };
        let mut search = Search::default();
        for &root in nodes {
            if search.number.contains_key(&root) {
                continue;
            }
            search.enter(root);
            let mut path = vec![(root, targets(root).into_iter())];
            while let Some((node, rest)) = path.last_mut() {
                let node = *node;
                if let Some(to) = rest.next() {
                    if !search.number.contains_key(&to) {
                        search.enter(to);
                        path.push((to, targets(to).into_iter()));
                    } else if search.on_stack.contains(&to) {
                        let number = search.number[&to];
                        search.lower(node, number);
                    }
                } else {
                    path.pop();
                    let low = search.low[&node];
                    if let Some((parent, _)) = path.last() {
                        search.lower(*parent, low);
                    }
                    search.close(node);
                }
            }
        }
        search.components
    }
}

/// Which references count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Keep {
    All,
    /// Those that must not be NULL.
    Required,
}

/// State of one depth-first search.
#[derive(Default)]
struct Search {
    number: HashMap<usize, usize>,
    low: HashMap<usize, usize>,
    stack: Vec<usize>,
    on_stack: BTreeSet<usize>,
    components: Vec<Vec<usize>>,
}

impl Search {
    fn enter(&mut self, node: usize) {
        let number = self.number.len();
        self.number.insert(node, number);
        self.low.insert(node, number);
        self.stack.push(node);
        self.on_stack.insert(node);
    }

    fn lower(&mut self, node: usize, to: usize) {
        self.low.entry(node).and_modify(|low| *low = to.min(*low));
    }

    fn close(&mut self, node: usize) {
        if self.low[&node] != self.number[&node] {
            return;
        }
        let start = self.stack.iter().rposition(|&n| n == node).unwrap_or_default();
        let mut component = self.stack.split_off(start);
        for member in &component {
            self.on_stack.remove(member);
        }
        component.sort_unstable();
        self.components.push(component);
    }
}

fn edges_of(model: &ModelDescriptor, by_label: &HashMap<String, usize>) -> Vec<Edge> {
    let index = |label: &str| by_label.get(&label.to_lowercase()).copied();
    let parents = model.parents.iter().map(|parent| (parent.as_str(), false));
    let references = model.fields.iter().filter_map(|field| {
        let relation = field.relation.as_ref()?;
        matches!(relation.kind, RelationKind::ForeignKey | RelationKind::OneToOne)
            .then_some((relation.to.as_deref()?, field.null))
    });
    parents
        .chain(references)
        .filter_map(|(label, optional)| Some(Edge { to: index(label)?, optional }))
        .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// Models as `name: references`; `?` after a reference allows NULL, `^` inherits.
    fn graph(models: &[(&str, &[&str])]) -> ModelGraph {
        let models: Vec<Value> = models
            .iter()
            .map(|(label, references)| {
                let parents: Vec<_> =
                    references.iter().filter_map(|r| r.strip_prefix('^')).collect();
                let fields: Vec<_> = references
                    .iter()
                    .filter(|r| !r.starts_with('^'))
                    .map(|r| {
                        json!({"name": "f", "null": r.ends_with('?'),
                            "relation": {"kind": "fk", "to": r.trim_end_matches('?')}})
                    })
                    .collect();
                json!({"label": label, "db_table": label, "parents": parents, "fields": fields})
            })
            .collect();
        graph_of(&json!([{"label": "a", "name": "a", "models": models}]))
    }

    fn graph_of(apps: &Value) -> ModelGraph {
        let descriptor = json!({
            "descriptor_version": 1,
            "project": {"name": "p", "base_dir": "/p"},
            "apps": apps,
        });
        ModelGraph::new(&serde_json::from_value(descriptor).unwrap())
    }

    #[test]
    fn order_keeps_djangos_where_it_can() {
        for (models, expected) in [
            (&[("z", &[][..]), ("b", &[][..]), ("a", &[][..])][..], "z b a"),
            (
                &[("book", &["author"][..]), ("x", &[][..]), ("author", &[][..])][..],
                "x author book",
            ),
            (&[("tree", &["tree"][..]), ("leaf", &["tree"][..])][..], "tree leaf"),
            (
                &[("child", &["^parent", "x"][..]), ("parent", &[][..]), ("x", &[][..])][..],
                "parent x child",
            ),
            // A circle with one reference that may be NULL opens there.
            (&[("dept", &["emp"][..]), ("emp", &["dept?"][..])][..], "emp dept"),
            (&[("dept", &["emp?"][..]), ("emp", &["dept"][..])][..], "dept emp"),
            // One that cannot be opened stays together, between what it needs and what needs it.
            (
                &[
                    ("user", &["a"][..]),
                    ("a", &["b"][..]),
                    ("b", &["a", "base"][..]),
                    ("base", &[][..]),
                ][..],
                "base a b user",
            ),
            (&[("a", &["unknown"][..])][..], "a"),
        ] {
            assert_eq!(graph(models).dependency_order().join(" "), expected);
        }
    }

    #[test]
    fn a_long_chain_and_a_great_circle_need_no_stack() {
        let count = 20_000;
        let models: Vec<Value> = (0..count)
            .map(|i| {
                json!({"label": format!("a.M{i}"), "db_table": "t", "fields": [{"name": "f",
                    "relation": {"kind": "fk", "to": format!("a.M{}", (i + 1) % count)}}]})
            })
            .collect();
        let ring = graph_of(&json!([{"label": "a", "name": "a", "models": models}]));
        assert_eq!(ring.cycles(), [ring.dependency_order()]);
        let mut chain = ring;
        chain.edges[count - 1].clear();
        assert_eq!(chain.dependency_order()[0], format!("a.M{}", count - 1));
        assert!(chain.cycles().is_empty());
    }

    #[test]
    fn closure_and_dependents() {
        let graph = graph(&[
            ("shop.Line", &["shop.Order", "shop.Item?"]),
            ("shop.Order", &["shop.Customer"]),
            ("shop.Customer", &["shop.Customer?"]),
            ("shop.Item", &[]),
            ("shop.Note", &[]),
        ]);
        assert_eq!(
            graph.closure(["shop.line"]),
            ["shop.Customer", "shop.Order", "shop.Item", "shop.Line"]
        );
        assert_eq!(graph.closure(["shop.Note", "shop.Nothing"]), ["shop.Note"]);
        assert_eq!(
            graph.dependents(["shop.Customer"]),
            ["shop.Customer", "shop.Order", "shop.Line"]
        );
        assert!(graph.cycles().is_empty());
    }

    #[test]
    fn proxies_stand_for_their_table_and_swapped_models_for_none() {
        let graph = graph_of(&json!([{"label": "a", "name": "a", "models": [
            {"label": "a.Log", "db_table": "log", "fields": [
                {"name": "who", "relation": {"kind": "fk", "to": "a.Staff"}}]},
            {"label": "a.Old", "db_table": "old", "swapped": "a.User"},
            {"label": "a.Staff", "db_table": "user", "proxy": true, "concrete": "a.User"},
            {"label": "a.User", "db_table": "user", "fields": [
                {"name": "tags", "relation": {"kind": "m2m", "to": "a.Tag"}},
                {"name": "thing", "relation": {"kind": "generic"}}]},
            {"label": "a.Tag", "db_table": "tag"},
        ]}]));
        assert_eq!(graph.dependency_order(), ["a.User", "a.Log", "a.Tag"]);
        assert_eq!(graph.closure(["a.staff"]), ["a.User"]);
    }
}
