//! What is written is read back, whatever lies between.

use super::*;
use crate::sys::Kernel;
use proptest::prelude::*;

fn osts() -> impl Strategy<Value = Vec<OstIndex>> {
    prop_oneof![
        9 => prop::collection::vec((0..=0xFFFEu32).prop_map(OstIndex), 0..20),
        1 => Just(vec![OstIndex(0xFFFE); STRIPES_MAX]),
    ]
}

fn body() -> impl Strategy<Value = Body> {
    let key = any::<u64>().prop_map(JobKey);
    prop_oneof![
        (key.clone(), any::<[u32; 4]>(), any::<[u64; 2]>(), any::<u16>(), 0..=100u8).prop_map(
            |(key, counts, sizes, stripe_count, confidence_percent)| Body::Advise(Advice {
                key,
                rank: counts[0],
                world: counts[1],
                files_per_process: counts[2],
                files_per_burst: counts[3],
                expected_bytes: sizes[0],
                stripe_size: sizes[1],
                stripe_count,
                confidence_percent,
            })
        ),
        (key.clone(), any::<[u64; 4]>(), any::<bool>(), osts(), osts()).prop_map(
            |(key, numbers, steady, asked, got)| Body::Created(Created {
                key,
                path_hash: numbers[0],
                order: Order { term: numbers[1], seq: numbers[2] },
                tier: if steady { Tier::Steady } else { Tier::Now },
                expected_bytes: numbers[3],
                asked,
                got,
            })
        ),
        (key.clone(), any::<u64>(), any::<u8>(), any::<u16>()).prop_map(|(key, path_hash, code, errno)| {
            Body::Left { key, path_hash, why: Why::from_code(code, errno) }
        }),
        (key, any::<u64>(), any::<u64>(), osts()).prop_map(|(key, expected_bytes, written_bytes, osts)| {
            Body::Closed { key, osts, expected_bytes, written_bytes }
        }),
        Just(Body::End),
    ]
}

fn record() -> impl Strategy<Value = Record> {
    (any::<[u32; 3]>(), any::<[u64; 3]>(), body()).prop_map(|(short, long, body)| Record {
        uid: short[0],
        pid: short[1],
        lost: short[2],
        at: Time(long[0]),
        fs_name_hash: long[1],
        job: JobId(long[2]),
        body,
    })
}

fn end(pid: u32) -> Record {
    Record { uid: 1, pid, at: Time(3), fs_name_hash: 4, job: JobId(5), lost: 0, body: Body::End }
}

proptest! {
    #[test]
    fn records_come_back(records in prop::collection::vec(record(), 0..8)) {
        let bytes: Vec<u8> = records.iter().flat_map(|record| encode(record).unwrap()).collect();
        prop_assert_eq!(decode(&bytes), Decoded { records, damaged: 0 });
    }

    /// An append that was cut short costs that record and no other.
    #[test]
    fn a_cut_costs_one_record(before in record(), cut in record(), after in record(), keep in any::<prop::sample::Index>()) {
        let whole = encode(&cut).unwrap();
        let part = &whole[..keep.index(whole.len())];
        // Where the next record happens to begin with the very bytes that are missing, the cut one is whole.
        prop_assume!(![part, &encode(&after).unwrap()].concat().starts_with(&whole));
        let bytes = [encode(&before).unwrap().as_slice(), part, &encode(&after).unwrap()].concat();
        let read = decode(&bytes);
        prop_assert_eq!(read.records, vec![before.clone(), after]);
        prop_assert_eq!(read.damaged, u32::from(!part.is_empty()));
        let tail = [encode(&before).unwrap().as_slice(), part].concat();
        prop_assert_eq!(decode(&tail).records, vec![before]);
    }

    #[test]
    fn no_changed_bit_goes_unseen(record in record(), at in any::<prop::sample::Index>(), bit in 0..8u8) {
        let mut bytes = encode(&record).unwrap();
        let at = at.index(bytes.len());
        bytes[at] ^= 1 << bit;
        prop_assert!(decode(&bytes).records.is_empty());
    }

    #[test]
    fn any_bytes_are_read_without_harm(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        prop_assert!(decode(&bytes).damaged as usize <= DAMAGES_MAX);
    }
}

#[test]
fn the_bytes_are_frozen() {
    let mut wanted = b"TZR1".to_vec();
    wanted.extend([48, 0, 5, 0, 1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0]);
    wanted.extend([5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    let check = tarazu_layout::hash::bytes(&wanted) as u32;
    wanted.extend(check.to_le_bytes());
    assert_eq!(encode(&end(2)).unwrap(), wanted);
}

#[test]
fn a_file_made_to_keep_the_reader_busy_is_given_up() {
    // Each place claims the longest record, so each costs a checksum over as many bytes.
    let length = (RECORD_BYTES_MAX as u16).to_le_bytes();
    let place = [b"TZR1".as_slice(), &length].concat();
    let mut bytes = place.repeat(SPOOL_BYTES_MAX / place.len());
    bytes.extend(encode(&end(1)).unwrap());
    assert_eq!(decode(&bytes), Decoded { records: vec![], damaged: DAMAGES_MAX as u32 });
    assert!(decode(&vec![0; 4 * SPOOL_BYTES_MAX]).records.is_empty());
}

#[test]
fn lists_that_cannot_be_are_not_written() {
    let closed = |osts| Record {
        body: Body::Closed { key: JobKey(1), osts, expected_bytes: 2, written_bytes: 3 },
        ..end(1)
    };
    assert_eq!(encode(&closed(vec![OstIndex(0xFFFF)])), None);
    assert_eq!(encode(&closed(vec![OstIndex(0); STRIPES_MAX + 1])), None);
    let longest = Created {
        key: JobKey(1),
        path_hash: 2,
        order: Order { term: 3, seq: 4 },
        tier: Tier::Now,
        expected_bytes: 5,
        asked: vec![OstIndex(1); STRIPES_MAX],
        got: vec![OstIndex(1); STRIPES_MAX],
    };
    let bytes = encode(&Record { body: Body::Created(longest), ..end(1) }).unwrap();
    assert!(bytes.len() <= RECORD_BYTES_MAX, "{} bytes", bytes.len());
}

#[test]
fn appends_stop_at_the_limit_and_at_foreign_files() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join(SPOOL_FOLDER)).unwrap();
    let place = Place::new(folder.path(), 7, 8, 1);
    let path = place.path(std::process::id());
    let bytes = encode(&end(1)).unwrap();
    append(&Kernel, &place, &bytes).unwrap();
    append(&Kernel, &place, &bytes).unwrap();
    assert_eq!(decode(&std::fs::read(&path).unwrap()).records, vec![end(1), end(1)]);

    std::fs::write(&path, vec![0; SPOOL_BYTES_MAX]).unwrap();
    assert_eq!(append(&Kernel, &place, &bytes).unwrap_err().0, libc::ENOSPC);
    std::fs::remove_file(&path).unwrap();
    std::os::unix::fs::symlink(folder.path().join("elsewhere"), &path).unwrap();
    assert_eq!(append(&Kernel, &place, &bytes).unwrap_err().0, libc::ELOOP);
    std::fs::remove_file(&path).unwrap();
    assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
    assert_eq!(append(&Kernel, &place, &bytes).unwrap_err().0, libc::ENXIO);
    assert!(!folder.path().join("elsewhere").exists());
}

/// Numbers and dashes, at most 64 bytes, the process id first: what the daemon takes. And nobody can guess it.
#[test]
fn names_are_what_the_daemon_takes_and_cannot_be_guessed() {
    let folder = std::path::Path::new("run");
    let name = |place: &Place| place.path(u32::MAX).file_name().unwrap().to_str().unwrap().to_owned();
    let longest = name(&Place::new(folder, u64::MAX, u32::MAX, u32::MAX));
    assert!(longest.len() <= 64, "{longest}");
    assert!(longest.starts_with("4294967295-") && longest.bytes().all(|b| b.is_ascii_digit() || b == b'-'));
    let drawn: std::collections::BTreeSet<u32> = (0..16).map(|_| crate::sys::random()).collect();
    assert!(drawn.len() > 12, "{drawn:?}");
}
