use super::header::Header;

/// Schema changes of a site that are told apart from a switch; far fewer add up in practice.
const CHANGES: u32 = 0x8000;

/// The schema cookie after a switch.
///
/// Every connection compares it with the one it read its schema under: equal ones would let it
/// read one table's rows under another's name, so it goes past both. The distance depends on the
/// restore, so that after a crash the cookie tells whether this switch took place. Its upper half
/// is the restore's, the lower one is left to the site's schema changes: were they mixed, the
/// switch of another restore in between would be taken for this one. Of the upper half 12 bits are
/// used, so that the cookie comes round to one that an idle connection may still know only after
/// 16 switches or more.
pub(super) fn next_cookie(old: &Header, new: &Header, restore_id: &str) -> u32 {
    let mark = u32::try_from(hash(restore_id) & 0xfff).unwrap_or_default();
    let (old, new) = (old.schema_cookie(), new.schema_cookie());
    let mut cookie = old.max(new).wrapping_add((mark + 1) << 16);
    // Past the largest number it starts again from the smallest.
    while cookie == old || cookie == new {
        cookie = cookie.wrapping_add(1 << 16);
    }
    cookie
}

/// Whether the live database, of which this is the header now, stands where the switch from `old`
/// to `new` of this restore put it, or as far behind as the site's schema changes since have led.
pub(super) fn took_place(now: &Header, old: &Header, new: &Header, restore_id: &str) -> bool {
    let since = |planned: u32| now.schema_cookie().wrapping_sub(planned);
    since(next_cookie(old, new, restore_id)) < CHANGES
        || since(first_cookie(old, new, restore_id)) < CHANGES
}

/// The same cookie as 0.1 first gave it, for a restore that it was killed in.
fn first_cookie(old: &Header, new: &Header, restore_id: &str) -> u32 {
    let mark = u32::try_from(hash(restore_id) & 0xffff).unwrap_or_default();
    old.schema_cookie().max(new.schema_cookie()).wrapping_add(0x1_0000 + mark)
}

fn hash(restore_id: &str) -> u64 {
    xxhash_rust::xxh3::xxh3_64(restore_id.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sqlite::header::set_schema_cookie;

    fn at(cookie: u32) -> Header {
        let mut page = vec![0; 100];
        page[..16].copy_from_slice(b"SQLite format 3\0");
        page[16..18].copy_from_slice(&[16, 0]);
        page[21..24].copy_from_slice(&[64, 32, 32]);
        set_schema_cookie(&mut page, cookie);
        Header::of(&page).unwrap()
    }

    #[test]
    fn a_switch_is_known_by_its_cookie_and_by_what_the_site_did_since() {
        for (old, new) in [(3, 900), (u32::MAX - 5, 7), (0, 0)] {
            let (old, new) = (at(old), at(new));
            let cookie = next_cookie(&old, &new, "r1");
            assert_ne!(cookie, old.schema_cookie());
            assert_ne!(cookie, new.schema_cookie());
            for since in [0, 1, 1000] {
                assert!(took_place(&at(cookie.wrapping_add(since)), &old, &new, "r1"));
            }
            assert!(took_place(&at(first_cookie(&old, &new, "r1")), &old, &new, "r1"));
            assert!(!took_place(&old, &old, &new, "r1"));
        }
    }

    #[test]
    fn the_switch_of_another_restore_in_between_is_not_taken_for_this_one() {
        let (old, kept) = (at(40), at(12));
        let wrong = (0..1000)
            .filter(|n| {
                let other = next_cookie(&old, &at(25), &format!("restore {n}"));
                took_place(&at(other), &old, &kept, "r1-back")
            })
            .count();
        assert!(wrong <= 3, "{wrong} of 1000");
    }

    #[test]
    fn no_cookie_of_the_last_sixteen_switches_comes_again() {
        let mut live = at(5);
        let mut seen = vec![5];
        for n in 0..15 {
            let cookie = next_cookie(&live, &at(2), &format!("restore {n}"));
            assert!(!seen.contains(&cookie));
            seen.push(cookie);
            live = at(cookie);
        }
    }
}
