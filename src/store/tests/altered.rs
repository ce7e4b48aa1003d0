//! Files that are held, altered, cut, foreign or of another release.

use std::fs;

use redb::Database;

use super::super::StoreError;
use super::super::codec::encode;
use super::super::redb_store::INTENT;
use super::disk::{Disk, Left};
use super::{RedbStore, Store, states, written};

const FILE: &str = "intent.redb";

#[test]
fn one_controller_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let state_dir = folder.path().join("deep").join("state");
    let mut first = RedbStore::open(&state_dir).unwrap();
    assert!(first.load().unwrap().fresh());
    let error = RedbStore::open(&state_dir).err().unwrap().to_string();
    assert!(error.contains(FILE) && error.contains("another controller"), "{error}");
    drop(written(first));
    let mut again = RedbStore::open(&state_dir).unwrap();
    let state = again.load().unwrap();
    assert!(!state.fresh());
    assert_eq!(Some(&state), states().last());
}

#[test]
fn a_folder_that_cannot_be_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "text").unwrap();
    let error = RedbStore::open(&file.join("state")).err().unwrap().to_string();
    assert!(error.contains("state_dir") && error.contains("file"), "{error}");
}

#[test]
fn damage_is_told_with_a_remedy() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(FILE);
    drop(written(RedbStore::open(folder.path()).unwrap()));
    let sound = fs::read(&path).unwrap();
    let cut = sound[..sound.len() / 3].to_vec();
    let zeroed = vec![0; sound.len()];
    for bytes in [b"not a database".to_vec(), cut, zeroed] {
        fs::write(&path, &bytes).unwrap();
        let error = RedbStore::open(folder.path()).err().unwrap();
        assert!(matches!(error, StoreError::Damaged { .. }), "{error:?}");
        let text = error.to_string();
        for part in [FILE, "damaged", "move it away", "LOST", "nodes"] {
            assert!(text.contains(part), "{part} is not in: {text}");
        }
        assert_eq!(fs::read(&path).unwrap().len(), bytes.len(), "what is left is not touched");
    }
}

#[test]
fn another_format_is_refused_and_so_is_another_database() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(FILE);
    let put = |key: &str, value: &[u8]| {
        let database = Database::create(&path).unwrap();
        let write = database.begin_write().unwrap();
        write.open_table(INTENT).unwrap().insert(key, value).unwrap();
        write.commit().unwrap();
    };
    put("format", &encode("format", &2).unwrap());
    let error = RedbStore::open(folder.path()).err().unwrap().to_string();
    assert!(error.contains("format 2") && error.contains("only 1"), "{error}");

    put("format", &encode("format", &1).unwrap());
    assert!(RedbStore::open(folder.path()).unwrap().load().unwrap().fresh());
    put("colour", b"red");
    let error = RedbStore::open(folder.path()).err().unwrap().to_string();
    assert!(error.contains("unknown key \"colour\""), "{error}");

    fs::remove_file(&path).unwrap();
    let database = Database::create(&path).unwrap();
    let write = database.begin_write().unwrap();
    write.open_table(redb::TableDefinition::<u64, u64>::new("other")).unwrap();
    write.commit().unwrap();
    drop(database);
    let error = RedbStore::open(folder.path()).err().unwrap().to_string();
    assert!(error.contains("something else"), "{error}");
}

#[test]
fn a_flipped_bit_is_seen_or_changes_nothing() {
    let disk = Disk::default();
    drop(written(RedbStore::with_backend(disk.clone()).unwrap()));
    let sound = disk.image(Left::Nothing);
    let expected = states().pop().unwrap();
    // Most of the file is empty. A prime, so that the quick tier walks over all places of a page.
    let step = if super::full() { 1 } else { 97 };
    let used = sound.iter().enumerate().filter(|(_, byte)| **byte != 0).map(|(at, _)| at);
    let places: Vec<usize> = (0..512).chain(used.step_by(step)).collect();
    let mut seen = 0;
    for (number, at) in places.iter().enumerate() {
        let mut flipped = sound.clone();
        flipped[*at] ^= 1 << (number % 8);
        match RedbStore::with_backend(Disk::with(flipped)) {
            Ok(mut store) => {
                assert_eq!(store.load().unwrap(), expected, "byte {at} changed the state unseen");
            }
            Err(StoreError::Damaged { .. } | StoreError::Format { .. } | StoreError::Open { .. }) => {
                seen += 1;
            }
            Err(other) => panic!("byte {at}: {other}"),
        }
    }
    assert!(seen > places.len() / 10, "{seen} of {} flips were seen", places.len());
}
