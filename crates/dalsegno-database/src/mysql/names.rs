//! The names of the schemas that a restore makes beside the live one.

use xxhash_rust::xxh3::xxh3_64;

use crate::{DatabaseError, Result};

/// What stands between the live database's name and the restore's.
const MARK: &str = "__dalsegno_";
/// The longest name that servers take, in characters.
const LONGEST: usize = 64;
/// Characters of a restore's id in a name: those at its end, which are random.
const ID: usize = 12;

/// What a schema beside the live one is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// The copy that is staged.
    New,
    /// The old tables.
    Old,
    /// What a rollback took out of the live database.
    Present,
    /// The journal of the restore, and the texts of what has no table.
    Log,
}

impl Role {
    const ALL: [Self; 4] = [Self::New, Self::Old, Self::Present, Self::Log];

    fn name(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Old => "old",
            Self::Present => "present",
            Self::Log => "log",
        }
    }
}

/// The names around one live database that belong to one restore of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Names {
    live: String,
    id: String,
}

impl Names {
    /// Of a restore with this id: letters, digits, `-` and `_`, of which four are letters or digits.
    pub(super) fn new(live: &str, restore_id: &str) -> Result<Self> {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        let letters: Vec<char> = restore_id.chars().filter(char::is_ascii_alphanumeric).collect();
        if letters.len() < 4 || !restore_id.chars().all(plain) {
            return Err(DatabaseError::BadName {
                name: restore_id.to_owned(),
                reason: "a restore id has letters, digits, `-` and `_` only, at least four of them \
                         letters or digits",
            });
        }
        let from = letters.len().saturating_sub(ID);
        let id: String = letters[from..].iter().collect();
        // Some servers keep names of databases in lower case.
        Ok(Self { live: live.to_owned(), id: id.to_ascii_lowercase() })
    }

    /// The live database.
    pub(super) fn live(&self) -> &str {
        &self.live
    }

    /// The schema for this.
    pub(super) fn of(&self, role: Role) -> String {
        format!("{}{}_{}", prefix(&self.live), self.id, role.name())
    }
}

/// A schema that a restore of some live database made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Companion {
    /// The end of the restore's id.
    pub(super) id: String,
    /// What it is for.
    pub(super) role: Role,
}

impl Companion {
    /// What a schema's name says, if it is one beside this live database.
    pub(super) fn parse(live: &str, schema: &str) -> Option<Self> {
        let prefix = prefix(live);
        let same = schema.get(..prefix.len())?.eq_ignore_ascii_case(&prefix);
        let (id, role) = schema.get(prefix.len()..).filter(|_| same)?.split_once('_')?;
        let role = Role::ALL.into_iter().find(|known| known.name() == role)?;
        let ours = (4..=ID).contains(&id.len())
            && id.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
        ours.then(|| Self { id: id.to_owned(), role })
    }
}

/// The pattern that a `GRANT` on all schemas beside this live database takes.
pub(super) fn grant_pattern(live: &str) -> String {
    format!("{}%", prefix(live).replace('\\', "\\\\").replace('_', "\\_").replace('%', "\\%"))
}

/// What the names of all schemas beside this live database begin with: its own name where that
/// leaves room, else its beginning and a digest of it.
fn prefix(live: &str) -> String {
    let room = LONGEST - MARK.len() - ID - "_present".len();
    if live.chars().count() <= room {
        return format!("{live}{MARK}");
    }
    let digest = format!("{:08x}", xxh3_64(live.as_bytes()) >> 32);
    let begin: String = live.chars().take(room - digest.len() - 1).collect();
    format!("{begin}_{digest}{MARK}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID_TEXT: &str = "018f6d2a-1111-7abc-8def-0123456789AB";

    #[test]
    fn a_name_is_made_and_known_again() {
        let names = Names::new("shop", ID_TEXT).unwrap();
        assert_eq!(names.of(Role::New), "shop__dalsegno_0123456789ab_new");
        for role in Role::ALL {
            let found = Companion::parse("shop", &names.of(role)).unwrap();
            assert_eq!(found, Companion { id: "0123456789ab".to_owned(), role });
        }
    }

    #[test]
    fn a_long_name_is_cut_where_characters_end_and_stays_its_own() {
        let (one, two) = ("ö".repeat(64), format!("{}x", "ö".repeat(63)));
        let names = [&one, &two].map(|live| Names::new(live, ID_TEXT).unwrap().of(Role::Present));
        assert_ne!(names[0], names[1]);
        for name in &names {
            assert!(name.chars().count() <= LONGEST, "{name}");
        }
        assert!(Companion::parse(&one, &names[0]).is_some());
        assert!(Companion::parse(&two, &names[0]).is_none());
        assert!(Companion::parse("ö", &names[0]).is_none());
    }

    #[test]
    fn what_others_made_is_not_ours() {
        for schema in [
            "shop",
            "shop__dalsegno_",
            "shop__dalsegno_0123_",
            "shop__dalsegno_0123_newer",
            "shop__dalsegno_01'3_new",
            "shop__dalsegno_0123456789abc_new",
            "shop2__dalsegno_0123456789ab_new",
            "shop_2__dalsegno_0123456789ab_new",
        ] {
            assert_eq!(Companion::parse("shop", schema), None, "{schema}");
        }
    }

    #[test]
    fn an_id_that_could_be_anything_is_refused() {
        for id in ["", "ab", "a-b-c", "a`bcd", "abc d"] {
            assert!(Names::new("shop", id).is_err(), "{id}");
        }
    }

    #[test]
    fn a_grant_takes_underscores_for_what_they_are() {
        assert_eq!(grant_pattern("my_shop"), "my\\_shop\\_\\_dalsegno\\_%");
    }
}
