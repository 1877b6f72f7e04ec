//! The rules of the model, by logs written by hand; and the recorder, by programs of the system.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use tempfile::TempDir;

use super::log::{Id, Look, Place, Record};
use super::picture::{Content, Picture};
use super::world::World;
use super::{Loss, Recording};
use crate::call::Call;

const FILE: Id = (1, 1_000_001);
const FOLDER: Id = (1, 1_000_002);

/// A folder that holds a file `name`, with `old` in it, and two folders, `a` and `b`.
struct Stage {
    folder: TempDir,
    world: World,
    root: Id,
    a: Id,
    b: Id,
}

impl Stage {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("name"), "old").unwrap();
        let id = |below: &str| {
            let meta = folder.path().join(below).metadata().unwrap();
            (meta.dev(), meta.ino())
        };
        for name in ["a", "b"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        let (root, a, b) = (id(""), id("a"), id("b"));
        let world = World::of(folder.path());
        Self { folder, world, root, a, b }
    }

    fn at(&self, name: &str) -> Place {
        Place { folder: self.root, name: name.into() }
    }

    fn play(&mut self, records: &[Record]) {
        for record in records {
            self.world.apply(record);
        }
    }

    fn after(&self, loss: Loss) -> Vec<String> {
        shown(&self.world.after(loss))
    }
}

/// Files with their content, and folders, but `a` and `b`.
fn shown(picture: &Picture) -> Vec<String> {
    let items = picture.items.iter().filter(|(path, _)| !matches!(&path[..], b"" | b"a" | b"b"));
    let show = |(path, item): (&Vec<u8>, &super::picture::Item)| {
        let path = String::from_utf8_lossy(path);
        match &item.content {
            Content::File { bytes, .. } => format!("{path}={}", String::from_utf8_lossy(bytes)),
            _ => format!("{path}/"),
        }
    };
    items.map(show).collect()
}

fn look() -> Look {
    Look { mode: 0o644, uid: 0, gid: 0, mtime: None }
}

fn create(name: Place) -> Record {
    Record::Create { name, id: FILE, look: look() }
}

fn write(text: &str) -> Record {
    Record::Write { id: FILE, at: 0, data: text.as_bytes().into() }
}

fn rename(from: Place, to: Place) -> Record {
    Record::Rename { from, to, exchange: false }
}

fn sync(id: Id) -> Record {
    Record::Sync { id, attributes: true }
}

/// Writes a file aside and renames it over the other.
fn replace(stage: &Stage, synced: bool) -> Vec<Record> {
    let mut log = vec![create(stage.at("aside")), write("new")];
    if synced {
        log.push(sync(FILE));
    }
    log.extend([rename(stage.at("aside"), stage.at("name")), sync(stage.root)]);
    log
}

#[test]
fn a_file_renamed_into_place_without_a_sync_is_empty_after_a_crash() {
    let mut stage = Stage::new();
    let log = replace(&stage, false);
    stage.play(&log);
    assert_eq!(stage.after(Loss::Nothing), ["name=new"]);
    assert_eq!(stage.after(Loss::Bytes), ["name="]);
    assert_eq!(stage.after(Loss::BytesZeroed), ["name=\0\0\0"]);
    assert_eq!(stage.after(Loss::Unsynced), ["name="]);
}

#[test]
fn a_file_that_was_synced_before_its_rename_is_old_or_new_after_any_crash() {
    let mut stage = Stage::new();
    let losses = [Loss::Nothing, Loss::Bytes, Loss::BytesZeroed, Loss::Unsynced];
    let losses: Vec<Loss> = losses.into_iter().chain((0..50).map(Loss::Some)).collect();
    for record in replace(&stage, true) {
        stage.play(&[record]);
        for &loss in &losses {
            let names = stage.after(loss);
            let name = names.iter().find(|name| name.starts_with("name"));
            assert!(
                matches!(name.unwrap().as_str(), "name=old" | "name=new"),
                "{loss:?}: {names:?}"
            );
        }
    }
    for loss in losses {
        assert_eq!(stage.after(loss), ["name=new"], "{loss:?}");
    }
}

#[test]
fn a_rename_is_lost_unless_itsfolder_is_synced() {
    let mut stage = Stage::new();
    let mut log = replace(&stage, true);
    log.pop();
    stage.play(&log);
    assert_eq!(stage.after(Loss::Unsynced), ["name=old"]);
    assert_eq!(stage.after(Loss::Bytes), ["name=new"]);
    let by_chance: BTreeSet<_> = (0..50).map(|seed| stage.after(Loss::Some(seed))).collect();
    assert!(by_chance.len() > 1, "{by_chance:?}");
}

#[test]
fn the_last_change_may_reach_the_disk_before_the_others() {
    let mut stage = Stage::new();
    let mut log = replace(&stage, false);
    log.pop();
    for (record, after) in log.iter().zip([&["aside=", "name=old"][..], &["name=old"], &["name="]])
    {
        stage.play(std::slice::from_ref(record));
        assert_eq!(stage.after(Loss::AllButLast), after, "{record:?}");
    }
    stage.play(&[create(stage.at("more")), sync(stage.root), write("one")]);
    stage.play(&[Record::Write { id: FILE, at: 5, data: b"two"[..].into() }]);
    assert_eq!(stage.after(Loss::AllButLast), ["more=\0\0\0\0\0two", "name="]);
}

#[test]
fn syncing_a_file_does_not_make_its_name_durable() {
    let mut stage = Stage::new();
    stage.play(&[create(stage.at("more")), write("new"), sync(FILE)]);
    assert_eq!(stage.after(Loss::Unsynced), ["name=old"]);
    stage.play(&[sync(stage.root)]);
    assert_eq!(stage.after(Loss::Unsynced), ["more=new", "name=old"]);
}

#[test]
fn a_file_that_was_removed_is_back_unless_itsfolder_is_synced() {
    let mut stage = Stage::new();
    stage.play(&[Record::Unlink { name: stage.at("name") }]);
    assert_eq!(stage.after(Loss::Unsynced), ["name=old"]);
    stage.play(&[sync(stage.root)]);
    assert_eq!(stage.after(Loss::Unsynced), [""; 0]);
}

#[test]
fn eitherfolder_s_sync_makes_all_of_a_rename_between_them_durable() {
    for first in [true, false] {
        let mut stage = Stage::new();
        let (a, b) = (stage.a, stage.b);
        let [from, to] = [a, b].map(|folder| Place { folder, name: b"x".to_vec() });
        stage.play(&[create(from.clone()), sync(FILE), sync(a), rename(from, to)]);
        assert_eq!(stage.after(Loss::Unsynced), ["a/x=", "name=old"]);
        stage.play(&[sync(if first { a } else { b })]);
        assert_eq!(stage.after(Loss::Unsynced), ["b/x=", "name=old"]);
    }
}

#[test]
fn afolder_that_is_moved_twice_is_in_one_place_after_any_crash() {
    let mut stage = Stage::new();
    let moved = |from: &str, to: &str| rename(stage.at(from), stage.at(to));
    let exchange = Record::Rename { from: stage.at("a"), to: stage.at("x"), exchange: true };
    let made = Record::Folder { name: stage.at("x"), id: FOLDER, look: look() };
    let log = [made, sync(stage.root), exchange, moved("x", "kept"), moved("a", "live")];
    stage.play(&log);
    for seed in 0..200 {
        let picture = stage.world.after(Loss::Some(seed));
        let keys: BTreeSet<_> = picture.items.values().map(|item| item.key).collect();
        assert_eq!(keys.len(), picture.items.len(), "{seed}: {:?}", picture.items.keys());
        assert_eq!(keys.len(), 5, "{seed}: none is lost");
    }
}

#[test]
fn a_sync_of_a_file_system_is_about_its_files_only() {
    let mut stage = Stage::new();
    stage.play(&[create(stage.at("more")), write("new")]);
    stage.play(&[Record::SyncAll { device: Some(FILE.0) }]);
    assert_eq!(stage.after(Loss::Unsynced), ["name=old"]);
    stage.play(&[Record::SyncAll { device: Some(stage.root.0) }]);
    assert_eq!(stage.after(Loss::Unsynced), ["more=new", "name=old"]);
}

#[test]
fn written_blocks_arrive_each_by_chance_and_are_cut_between_sectors() {
    let mut stage = Stage::new();
    stage.play(&[create(stage.at("more")), sync(stage.root)]);
    let block = |at, byte: u8| Record::Write { id: FILE, at, data: vec![byte; 1024].into() };
    stage.play(&[block(0, b'1'), block(1024, b'2')]);
    let mut found = BTreeSet::new();
    for seed in 0..200 {
        let text = stage.after(Loss::Some(seed)).remove(0);
        let bytes = text.strip_prefix("more=").unwrap().as_bytes();
        assert_eq!(bytes.len() % 512, 0, "{seed}");
        let sectors = bytes.chunks(512).map(|sector| {
            assert!(sector.iter().all(|byte| *byte == sector[0]), "{seed}: a torn sector");
            sector[0]
        });
        found.insert(sectors.collect::<Vec<_>>());
    }
    assert!(found.len() >= 7, "{found:?}");
    assert!(found.contains(&vec![0, 0, b'2', b'2']), "the later one alone: {found:?}");
}

#[test]
fn a_number_that_is_used_again_is_another_file_s() {
    let mut stage = Stage::new();
    stage.play(&[create(stage.at("one")), write("one")]);
    let before = stage.world.with_inode(FILE.1, u64::MAX);
    stage.play(&[Record::Unlink { name: stage.at("one") }]);
    let elsewhere = Place { folder: (9, 9), name: b"x".to_vec() };
    assert!(!stage.world.apply(&create(elsewhere)));
    assert!(!stage.world.apply(&write("not ours")));
    stage.play(&[create(stage.at("two")), write("two")]);
    assert_eq!(stage.after(Loss::Nothing), ["name=old", "two=two"]);
    let after = stage.world.with_inode(FILE.1, u64::MAX);
    assert!(before.is_some() && before != after);
    assert_eq!(stage.world.with_inode(FILE.1, 2), before);
}

#[test]
fn a_picture_is_laid_out_as_it_was() {
    let (stage, folder) = (Stage::new(), tempfile::tempdir().unwrap());
    let at = |name: &str| folder.path().join(name);
    fs::create_dir(at("deep")).unwrap();
    fs::write(at("deep/file"), "content").unwrap();
    fs::hard_link(at("deep/file"), at("again")).unwrap();
    fs::set_permissions(at("deep"), fs::Permissions::from_mode(0o2500)).unwrap();
    std::os::unix::fs::symlink("nowhere", at("link")).unwrap();
    let world = World::of(folder.path());
    let picture = Picture::from(&world);
    let elsewhere = stage.folder.path();
    picture.lay_out(&world, elsewhere);
    let again = Picture::from(&World::of(elsewhere));
    assert_eq!(picture.differences(&again), [""; 0]);
    assert_eq!(again.items[&b"again"[..]].key, again.items[&b"deep/file"[..]].key);
    fs::write(elsewhere.join("again"), "other").unwrap();
    let found = Picture::from(&World::of(elsewhere)).differences(&picture);
    assert_eq!(found, ["`again`: content", "`deep/file`: content"]);
}

/// The recording compares its end with what is on disk by itself.
#[test]
fn whatever_programs_do_to_files_is_recorded() {
    let folder = tempfile::tempdir().unwrap();
    let site = folder.path().join("site");
    for name in ["site", "tmp"] {
        fs::create_dir(folder.path().join(name)).unwrap();
    }
    fs::write(site.join("one"), vec![b'1'; 70_000]).unwrap();
    let script = "set -e; cp one two; mv two three; ln three four; ln -s four five; mkdir -p a/b\n\
        mv four a/b; truncate -s 300 three; echo more >>three; chmod 600 three; touch -d @5 one\n\
        dd if=one of=three bs=100 seek=7 count=2 conv=notrunc,fsync 2>/dev/null; cp -r a c; rm -r a\n\
        echo x >new; mv new one; mkdir gone; rmdir gone; sync one .";
    let call = Call::new(folder.path(), "sh", &["-c", script]);
    let recording = Recording::of(&site, call);
    assert_eq!(recording.answer.code, 0, "{}", recording.answer);
    let (mut last, mut states) = (None, 0);
    recording.crashes(&[Loss::Unsynced, Loss::Nothing], |crash| {
        states += 1;
        crash.lay_out(&site);
        last = Some((crash.loss, fs::read(site.join("one")).unwrap()));
    });
    assert!(states > 20, "{states}");
    assert_eq!(last, Some((Loss::Nothing, b"x\n".to_vec())));
}
