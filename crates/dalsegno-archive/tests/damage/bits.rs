//! Single bits, and lengths: any change of the file is found.

use crate::support::*;
use dalsegno_archive::{Archive, Check, MemberContent, ReadError};
use dalsegno_format::Form;

#[test]
fn one_flipped_bit_anywhere_is_found() {
    let folder = tempfile::tempdir().unwrap();
    for form in TARS {
        let path = write(folder.path(), form, &small_tree());
        let good = std::fs::read(&path).unwrap();
        assert_eq!(findings(&path), [""; 0]);
        let mut places: Vec<usize> = (0..300).map(|n| n * good.len() / 300).collect();
        places.extend(0..16);
        places.extend(good.len() - 300..good.len());
        for (n, place) in places.into_iter().enumerate() {
            let mut bad = good.clone();
            bad[place] ^= 1 << (n % 8);
            write_bytes(&path, &bad);
            let found = findings(&path);
            assert!(!found.is_empty(), "{form:?} byte {place} of {}", good.len());
            assert!(read_all(&path).is_err(), "{form:?} byte {place} reads");
        }
    }
}

#[test]
fn a_visitor_that_fails_by_itself_is_not_told_of_damage_it_did_not_meet() {
    let scratch = tempfile::tempdir().unwrap();
    for form in Form::ALL {
        let big = noise(6 << 20, 5);
        let samples = [folder("files"), file("files/big", big), file("files/c", vec![1])];
        let path = write(scratch.path(), form, &samples);
        let stored = if form == Form::Folder { path.join("files/big") } else { path.clone() };
        let mut bytes = std::fs::read(&stored).unwrap();
        bytes[5 << 20] ^= 1;
        write_bytes(&stored, &bytes);
        let archive = Archive::open(&path).unwrap();
        let mut calls = 0;
        let error = quiet(|watch| {
            archive.read(Check::Full, 2, watch, &mut |member| {
                calls += u32::from(member.entry.path.as_bytes() >= &b"files/big"[..]);
                match member.content {
                    MemberContent::Stream(_) => Err("the disk is full".into()),
                    _ => Ok(()),
                }
            })
        });
        let ReadError::Visit { source, .. } = error.unwrap_err() else { panic!("{form:?}") };
        assert_eq!(source.to_string(), "the disk is full");
        assert_eq!(calls, 1, "{form:?}");
        // One that reads on meets the damage, and that is what is told.
        let error = quiet(|watch| {
            archive.read(Check::Full, 2, watch, &mut |member| match member.content {
                MemberContent::Stream(data) => {
                    Ok(std::io::copy(data, &mut std::io::sink()).map(|_| ())?)
                }
                _ => Ok(()),
            })
        });
        let error = error.unwrap_err();
        assert!(matches!(error, ReadError::Archive(_)), "{form:?}: {error:?}");
    }
}

#[test]
fn a_shortened_archive_is_never_taken() {
    let folder = tempfile::tempdir().unwrap();
    for form in TARS {
        let path = write(folder.path(), form, &small_tree());
        let good = std::fs::read(&path).unwrap();
        for n in 0..200 {
            let length = n * good.len() / 200;
            write_bytes(&path, &good[..length]);
            assert!(!findings(&path).is_empty(), "{form:?} cut to {length}");
            assert!(Archive::open(&path).is_err());
            assert!(Archive::peek(&path).is_err());
        }
        for less in 1..20 {
            write_bytes(&path, &good[..good.len() - less]);
            let found = findings(&path);
            assert!(found[0].contains("was cut short"), "{form:?} shorter by {less}: {found:?}");
        }
        for more in [1, 512, 10_000] {
            write_bytes(&path, &[&good[..], &vec![0; more]].concat());
            assert_eq!(
                findings(&path),
                [format!("end of the file: {more} bytes follow the trailer")]
            );
        }
    }
}
