use crate::Result;
use crate::error::DatabaseError;

/// Names of a `PostgreSQL` object are cut here, silently, by the server.
const MOST: usize = 63;
/// What stands between the name of the live database and the restore.
const MARK: &str = "__dalsegno_";
/// Characters of a restore's id that fit into a name; the last ones of ours are random.
const ID: usize = 12;

/// What a database beside the live one is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// The copy that is being made.
    New,
    /// What was live before the switch.
    Old,
    /// What was live before a rollback.
    Present,
}

impl Role {
    const ALL: [Self; 3] = [Self::New, Self::Old, Self::Present];

    fn word(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Old => "old",
            Self::Present => "present",
        }
    }
}

/// The databases of one restore: `shop__dalsegno_0123456789ab_old` beside `shop`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Names {
    /// The live database.
    pub(super) live: String,
    /// The whole id.
    pub(super) restore_id: String,
}

impl Names {
    /// Refuses an id that could not be read back out of a name.
    pub(super) fn new(live: &str, restore_id: &str) -> Result<Self> {
        let usable = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if restore_id.is_empty() || !restore_id.chars().all(usable) {
            return Err(DatabaseError::BadName {
                name: restore_id.to_owned(),
                reason: "the id of a restore has only letters, digits, `-` and `_`",
            });
        }
        Ok(Self { live: live.to_owned(), restore_id: restore_id.to_owned() })
    }

    /// The name of the database of this role.
    pub(super) fn of(&self, role: Role) -> String {
        format!("{}{MARK}{}_{}", stem(&self.live), self.short(), role.word())
    }

    /// The part of the id that names hold.
    pub(super) fn short(&self) -> &str {
        &self.restore_id[self.restore_id.len().saturating_sub(ID)..]
    }
}

/// The restore and the role that `name` speaks of, if it is one of ours beside `live`.
pub(super) fn parse(live: &str, name: &str) -> Option<(String, Role)> {
    let rest = name.strip_prefix(&stem(live))?.strip_prefix(MARK)?;
    let (id, word) = rest.rsplit_once('_')?;
    let role = Role::ALL.into_iter().find(|role| role.word() == word)?;
    let usable = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    (!id.is_empty() && id.len() <= ID && id.chars().all(usable)).then(|| (id.to_owned(), role))
}

/// The live name; of a long one its beginning and a digest, so that two that begin alike keep apart.
fn stem(live: &str) -> String {
    let room = MOST - MARK.len() - ID - "_present".len();
    if live.len() <= room {
        return live.to_owned();
    }
    let mut end = room - 9;
    while !live.is_char_boundary(end) {
        end -= 1;
    }
    let digest = xxhash_rust::xxh3::xxh3_64(live.as_bytes());
    format!("{}~{:08x}", &live[..end], digest >> 32)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_tells_its_live_database_its_restore_and_its_role() {
        let names = Names::new("shop", "0193f5a2-0000-7000-8000-0123456789ab").unwrap();
        assert_eq!(names.of(Role::New), "shop__dalsegno_0123456789ab_new");
        assert_eq!(
            parse("shop", "shop__dalsegno_0123456789ab_old"),
            Some(("0123456789ab".to_owned(), Role::Old))
        );
        let short = Names::new("shop", "a_b").unwrap();
        assert_eq!(
            parse("shop", &short.of(Role::Present)),
            Some(("a_b".to_owned(), Role::Present))
        );
    }

    #[test]
    fn names_of_others_are_not_ours() {
        for name in [
            "shop",
            "shop_old",
            "shop__dalsegno_",
            "shop__dalsegno_x",
            "shop__dalsegno__old",
            "shop__dalsegno_0123456789ab_older",
            "shop__dalsegno_0123456789abc_old",
            "shop2__dalsegno_0123456789ab_old",
            "shop__dalsegno_01 3_old",
        ] {
            assert_eq!(parse("shop", name), None, "{name}");
        }
    }

    #[test]
    fn long_names_fit_and_keep_apart() {
        let lives = ["ä".repeat(31) + "a", "ä".repeat(31) + "b", "x".repeat(63), "x".repeat(62)];
        let mut seen = std::collections::HashSet::new();
        for live in &lives {
            let names = Names::new(live, "0123456789ab").unwrap();
            for role in Role::ALL {
                let name = names.of(role);
                assert!(name.len() <= MOST, "{name}");
                assert_eq!(parse(live, &name), Some(("0123456789ab".to_owned(), role)));
                assert!(seen.insert(name));
            }
        }
        for (live, other) in [(&lives[0], &lives[1]), (&lives[2], &lives[3])] {
            let name = Names::new(live, "0123456789ab").unwrap().of(Role::Old);
            assert_eq!(parse(other, &name), None);
        }
    }

    #[test]
    fn an_id_that_a_name_cannot_hold_is_refused() {
        for id in ["", "a b", "a\"b", "ä"] {
            assert!(Names::new("shop", id).is_err(), "{id}");
        }
    }
}
