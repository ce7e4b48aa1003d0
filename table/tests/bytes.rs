//! The bytes of a table: what is encoded is read back, what is damaged is refused.
#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

mod common;

use common::{Numbers, equal_ring, published, spec};
use proptest::prelude::*;
use tarazu_layout::limits::{CLASSES_MAX, DISTINCT_TICKETS, TABLE_BYTES_MAX, TABLE_JOBS_MAX};
use tarazu_layout::{FsId, OstIndex, TargetId, Time};
use tarazu_table::{
    Class, EncodeError, Flags, FsIdentity, JobEntry, JobKey, Order, Place, Position, Published, Refused,
    RingSpec, STAMP_BYTES, Stamp, Table, TableSpec, encode, publish,
};

/// Goal: a table of the largest systems fits where a client expects it.
#[test]
fn a_table_of_2016_targets_has_at_most_64_kib() {
    let bytes = published(&spec(2016, 2, 200));
    eprintln!("2,016 targets, 4 + 1 rings, 200 jobs: {} bytes", bytes.len());
    assert!(bytes.len() <= 64 * 1024, "{} bytes", bytes.len());
    let published = Published::verify(&bytes).unwrap();
    assert_eq!((published.table.targets(), published.table.jobs()), (2016, 200));
}

/// Gate: every byte flipped. By default every bit of every byte; `TARAZU_FULL=1` tries all 255 other
/// values of each byte, which takes minutes.
#[test]
fn every_flipped_byte_is_refused() {
    let full = std::env::var_os("TARAZU_FULL").is_some();
    let mut bytes = published(&spec(2016, 2, 200));
    for at in 0..bytes.len() {
        let sound = bytes[at];
        // All values too where their meaning decides how the rest is read: stamp and header.
        let all_values = full || at < STAMP_BYTES + 64;
        let flips = (1..=255u8).filter(|flip| all_values || flip.is_power_of_two());
        for flip in flips {
            bytes[at] = sound ^ flip;
            assert!(Published::verify(&bytes).is_err(), "byte {at}, flipped by {flip:#04x}");
        }
        bytes[at] = sound;
    }
    assert!(Published::verify(&bytes).is_ok());
}

/// Gate: every truncation, and bytes too many.
#[test]
fn every_other_length_is_refused() {
    let mut bytes = published(&spec(2016, 2, 200));
    for length in 0..bytes.len() {
        assert!(Published::verify(&bytes[..length]).is_err(), "{length} bytes");
        assert!(Table::verify(&bytes[STAMP_BYTES..][..length.saturating_sub(STAMP_BYTES)]).is_err());
    }
    for extra in 1..=300 {
        bytes.push(extra as u8);
        assert!(Published::verify(&bytes).is_err(), "{extra} more bytes");
    }
}

/// Damage that keeps the checksum right must be found by the checks behind it.
#[test]
fn each_check_behind_the_checksum_refuses() {
    let sound = encode(&spec(35, 16, 8)).unwrap();
    let with = |at: usize, value: &[u8]| {
        let mut bytes = sound.clone();
        bytes[at..at + value.len()].copy_from_slice(value);
        let content = bytes.len() - 4;
        let checksum = crc32fast::hash(&bytes[..content]);
        bytes[content..].copy_from_slice(&checksum.to_le_bytes());
        Table::verify(&bytes).map(|_| ()).unwrap_err()
    };
    let classes = 64 + 35 * 2;
    let rings = classes + 4 * 28;
    let tickets = rings + 5 * 20;
    let jobs = tickets + 5 * 560 * 2;
    assert_eq!(with(0, b"X"), Refused::Magic);
    assert_eq!(with(8, &[9]), Refused::Version { found: 9 });
    assert_eq!(with(10, &[2]), Refused::Flags { found: 2 });
    assert_eq!(with(20, &[0; 4]), Refused::Interval { found: 0 });
    assert_eq!(with(48, &[0; 4]), Refused::Targets { found: 0 });
    assert_eq!(with(48, &[0xFF; 4]), Refused::Targets { found: u32::MAX });
    assert_eq!(with(52, &[9, 0]), Refused::Classes { found: 9 });
    assert_eq!(with(54, &[99, 0]), Refused::Rings { found: 99 });
    assert_eq!(with(56, &[0xFF; 4]), Refused::Jobs { found: u32::MAX });
    assert!(matches!(with(60, &[0xFF; 4]), Refused::Sections { .. }));
    assert!(matches!(with(56, &[9]), Refused::Sections { .. }));
    assert_eq!(with(64, &[1, 0]), Refused::OstIndex { target: 1 });
    assert_eq!(with(64, &[0xFF, 0xFF]), Refused::OstIndex { target: 0 });
    assert_eq!(with(classes + 28, &[0; 8]), Refused::ClassRange { class: 1 });
    assert_eq!(with(classes + 16, &[1]), Refused::ClassStriping { class: 0 });
    assert_eq!(with(classes + 20, &[0, 0]), Refused::ClassStriping { class: 0 });
    assert_eq!(with(classes + 22, &[5]), Refused::ClassRing { class: 0 });
    assert_eq!(with(classes + 26, &[1]), Refused::ClassRing { class: 0 });
    assert_eq!(with(rings, &[1]), Refused::RingExtent { ring: 0 });
    assert_eq!(with(rings + 4, &[0; 4]), Refused::RingExtent { ring: 0 });
    assert_eq!(with(rings + 80 + 4, &[0xFF; 4]), Refused::RingExtent { ring: 4 });
    // The last ring one ticket shorter, with the window that it then has: a ticket that no ring claims.
    let shorter: Vec<u8> = [&559u32.to_le_bytes()[..], &[0; 8], &34u16.to_le_bytes()].concat();
    assert_eq!(with(rings + 80 + 4, &shorter), Refused::RingExtent { ring: 5 });
    assert_eq!(with(rings + 16, &[36]), Refused::RingDistinct { ring: 0 });
    assert_eq!(with(rings + 16, &[0]), Refused::RingDistinct { ring: 0 });
    assert_eq!(with(rings + 18, &[34]), Refused::RingTargets { ring: 0, stated: 34, found: 35 });
    assert_eq!(with(tickets, &[35]), Refused::Ticket { ring: 0, ticket: 0 });
    assert_eq!(with(tickets, &[8]), Refused::RingDistinct { ring: 0 });
    assert_eq!(with(jobs, &[0xFF; 8]), Refused::JobOrder { job: 1 });
    assert_eq!(with(jobs + 22, &[4]), Refused::JobEntry { job: 0 });
    assert_eq!(with(jobs + 23, &[101]), Refused::JobEntry { job: 0 });
    assert_eq!(with(jobs + 24, &[1]), Refused::JobEntry { job: 0 }, "a place without its mark");
    assert_eq!(with(jobs + 30, &[2]), Refused::JobEntry { job: 0 });
}

#[test]
fn a_stamp_does_not_vouch_for_another_table() {
    let first = published(&spec(35, 16, 8));
    let second = encode(&spec(35, 16, 9)).unwrap();
    let mixed: Vec<u8> = first[..STAMP_BYTES].iter().chain(&second).copied().collect();
    assert_eq!(Published::verify(&mixed).unwrap_err(), Refused::StampOfOther);
}

#[test]
fn the_encoder_names_what_breaks_a_limit() {
    let sound = spec(35, 16, 8);
    let refused = |change: &dyn Fn(&mut TableSpec)| {
        let mut spec = sound.clone();
        change(&mut spec);
        encode(&spec).unwrap_err()
    };
    assert_eq!(refused(&|spec| spec.targets.clear()), EncodeError::Targets { found: 0 });
    let shared = EncodeError::OstIndex { target: 1, index: OstIndex(0) };
    assert_eq!(refused(&|spec| spec.targets[1] = OstIndex(0)), shared);
    assert_eq!(refused(&|spec| spec.classes[2].stripe_size = 5), EncodeError::Class { class: 2 });
    assert_eq!(refused(&|spec| spec.classes.swap(0, 1)), EncodeError::Class { class: 1 });
    assert_eq!(refused(&|spec| spec.rings.truncate(4)), EncodeError::ClassRing { class: 0, rings: 4 });
    assert_eq!(refused(&|spec| spec.rings[3].tickets.clear()), EncodeError::EmptyRing { ring: 3 });
    let nobody = EncodeError::Ticket { ring: 0, target: TargetId(35) };
    assert_eq!(refused(&|spec| spec.rings[0].tickets[7] = TargetId(35)), nobody);
    let twice = EncodeError::JobTwice { key: sound.jobs[1].key };
    assert_eq!(refused(&|spec| spec.jobs[0].key = spec.jobs[1].key), twice);
    let unsure = EncodeError::JobEntry { key: sound.jobs[0].key };
    assert_eq!(refused(&|spec| spec.jobs[0].confidence_percent = 101), unsure);
    let long = refused(&|spec| spec.rings[0].tickets = equal_ring(35, 2000));
    assert!(matches!(long, EncodeError::TooLong { .. }));
    let never = refused(&|spec| spec.interval = std::time::Duration::ZERO);
    assert!(matches!(never, EncodeError::Interval { .. }));
    assert!(matches!(refused(&|spec| spec.jobs = vec![spec.jobs[0]; 1025]), EncodeError::Jobs { .. }));
}

#[test]
fn the_order_of_jobs_does_not_matter() {
    let spec = spec(35, 16, 40);
    let mut turned = spec.clone();
    turned.jobs.reverse();
    assert_eq!(encode(&spec).unwrap(), encode(&turned).unwrap());
}

/// Any specification within the limits, made of a seed so that classes stay in order.
fn any_spec() -> impl Strategy<Value = TableSpec> {
    (1usize..400, 0usize..=CLASSES_MAX, 1usize..6, 0usize..200, any::<u64>()).prop_map(
        |(targets, classes, rings, jobs, seed)| {
            let mut numbers = Numbers(seed);
            let class = |(number, numbers): (usize, &mut Numbers)| Class {
                smallest_bytes: (number as u64) << 30,
                largest_bytes: ((number as u64) << 30) + numbers.below(1 << 30),
                stripe_size: (1 + numbers.below(100) as u32) << 16,
                stripe_count: 1 + numbers.below(2000) as u16,
                ring_now: numbers.below(rings as u64) as u16,
                ring_steady: numbers.below(rings as u64) as u16,
            };
            let classes: Vec<Class> = (0..classes).map(|number| class((number, &mut numbers))).collect();
            let jobs = if classes.is_empty() { 0 } else { jobs.min(TABLE_JOBS_MAX) };
            let entry = |numbers: &mut Numbers, place: usize| JobEntry {
                key: JobKey((place as u64) << 40 | numbers.below(1 << 40)),
                expected_bytes: numbers.below(u64::MAX),
                stripe_size: (numbers.below(100) as u32) << 16,
                stripe_count: numbers.below(2001) as u16,
                class: numbers.below(classes.len() as u64) as u8,
                confidence_percent: numbers.below(101) as u8,
                worthwhile: numbers.below(2) == 1,
                place: (numbers.below(2) == 1).then(|| Place {
                    begin: numbers.below(1 << 32) as u32,
                    deal: numbers.below(1 << 16) as u16,
                }),
            };
            let jobs = (0..jobs).map(|place| entry(&mut numbers, place)).collect();
            let ring = |numbers: &mut Numbers| RingSpec {
                seed: numbers.below(u64::MAX),
                tickets: (0..1 + numbers.below(900))
                    .map(|_| TargetId(numbers.below(targets as u64) as u32))
                    .collect(),
            };
            TableSpec {
                fs: FsIdentity { id: FsId(numbers.below(9) as u32), name_hash: numbers.below(u64::MAX) },
                order: Order { term: numbers.below(u64::MAX), seq: numbers.below(u64::MAX) },
                interval: std::time::Duration::from_millis(100 + numbers.below(1000)),
                flags: Flags { steady_only: numbers.below(2) == 1 },
                targets: (0..targets as u32).map(|target| OstIndex(3 * target + 1)).collect(),
                rings: (0..rings).map(|_| ring(&mut numbers)).collect(),
                classes,
                jobs,
            }
        },
    )
}

/// A specification read back from a table.
fn read_back(table: &Table<'_>) -> TableSpec {
    let rings = (0..table.rings()).map(|ring| table.ring(ring).unwrap());
    TableSpec {
        fs: table.fs(),
        order: table.order(),
        interval: table.interval(),
        flags: table.flags(),
        targets: (0..table.targets()).map(|id| table.ost_index(TargetId(id as u32)).unwrap()).collect(),
        classes: (0..table.classes()).map(|class| table.class(class).unwrap()).collect(),
        rings: rings.map(|ring| RingSpec { seed: ring.seed(), tickets: ring.tickets().collect() }).collect(),
        jobs: (0..table.jobs()).map(|place| table.job(place).unwrap()).collect(),
    }
}

proptest! {
    // Files of failures are looked for beside lib.rs, which an integration test has not.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_encoded_is_read_back(spec in any_spec(), boot_hash in any::<u64>(), received_ns in any::<u64>()) {
        let body = encode(&spec).unwrap();
        let stamp = Stamp { boot_hash, received: Time(received_ns) };
        let bytes = publish(&stamp, &body).unwrap();
        prop_assert!(bytes.len() <= TABLE_BYTES_MAX);
        let published = Published::verify(&bytes).unwrap();
        prop_assert_eq!(published.stamp, stamp);
        prop_assert_eq!(read_back(&published.table), spec.clone());
        for number in 0..published.table.rings() {
            let ring = published.table.ring(number).unwrap();
            prop_assert!((1..=DISTINCT_TICKETS).contains(&ring.distinct()));
        }
        for class in spec.classes.iter().enumerate() {
            prop_assert_eq!(published.table.class_of(class.1.smallest_bytes), Some(class.0));
            prop_assert_eq!(published.table.class_of(class.1.largest_bytes), Some(class.0));
        }
    }

    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(Table::verify(&bytes).is_err());
        prop_assert!(Published::verify(&bytes).is_err());
    }

    /// Random values in a sound table whose checksum is made right again: refused or usable, no panic.
    #[test]
    fn forged_tables_never_panic(
        changes in proptest::collection::vec((0usize..4000, any::<u8>()), 1..4), begin in any::<u64>(), within in any::<u64>(),
        stripes in 0usize..3000,
    ) {
        let mut bytes = encode(&spec(35, 16, 8)).unwrap();
        let content = bytes.len() - 4;
        for (at, value) in changes {
            bytes[at % content] = value;
        }
        let checksum = crc32fast::hash(&bytes[..content]);
        bytes[content..].copy_from_slice(&checksum.to_le_bytes());
        if let Ok(table) = Table::verify(&bytes) {
            let mut out = [TargetId(0); 2000];
            for ring in 0..table.rings() {
                let taken = table.ring(ring).unwrap().pick(Position { begin, within }, stripes, stripes, &mut out);
                prop_assert!(out[..taken].iter().all(|target| table.ost_index(*target).is_some()));
            }
        }
    }
}

#[test]
fn verified_bytes_can_be_opened_again_without_reading_them_all() {
    let bytes = encode(&spec(35, 4, 20)).unwrap();
    let verified = Table::verify(&bytes).unwrap();
    let again = Table::reopen(&bytes, verified.checksum()).unwrap();
    assert_eq!(again.order(), verified.order());
    let tickets = |table: &Table<'_>| table.ring(0).unwrap().tickets().collect::<Vec<_>>();
    assert_eq!(tickets(&again), tickets(&verified));
    assert!(matches!(Table::reopen(&bytes, verified.checksum() ^ 1), Err(Refused::Checksum { .. })));
    for length in 0..bytes.len() {
        assert!(Table::reopen(&bytes[..length], verified.checksum()).is_err(), "{length} bytes");
    }
}
