//! Deltas: what is written leads to the table it was written for, what is damaged leads nowhere.
#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

mod common;
#[path = "../../fuzz/bodies/folder.rs"]
mod folder;
#[path = "../../fuzz/bodies/delta.rs"]
mod fuzzed;

use common::{Numbers, spec};
use proptest::prelude::*;
use tarazu_layout::{FsId, OstIndex, TargetId};
use tarazu_table::delta::{DELTA_FRAME_BYTES, DeltaRefused, apply, encode as write};
use tarazu_table::{FsIdentity, JobKey, Order, Place, RingSpec, TableSpec, encode};

/// Writes the delta, carries it out, and returns its bytes.
fn led(base: &TableSpec, new: &TableSpec) -> usize {
    let (base, new) = (encode(base).unwrap(), encode(new).unwrap());
    let delta = write(&base, &new);
    assert_eq!(apply(&base, &delta).as_ref(), Ok(&new));
    assert_eq!(write(&base, &new), delta, "the same tables give the same delta");
    delta.len()
}

#[test]
fn what_did_not_change_costs_next_to_nothing() {
    let base = spec(2016, 2, 200);
    assert!(led(&base, &base) <= DELTA_FRAME_BYTES + 4);
    let mut next = base.clone();
    next.order.seq += 1;
    assert!(led(&base, &next) <= DELTA_FRAME_BYTES + 12);
}

#[test]
fn jobs_that_come_go_and_move_cost_their_own_bytes() {
    let base = spec(2016, 2, 200);
    let mut next = base.clone();
    next.jobs.remove(7);
    assert!(led(&base, &next) <= DELTA_FRAME_BYTES + 24, "a job went");
    assert!(led(&next, &base) <= DELTA_FRAME_BYTES + 60, "a job came");
    for job in &mut next.jobs {
        job.place = Some(Place { begin: 77, deal: 1 });
    }
    let bytes = led(&base, &next);
    assert!(bytes <= 200 * 10 + 100, "{bytes} bytes for 200 jobs that got a place");
}

#[test]
fn sections_are_found_again_where_others_grew() {
    let base = spec(35, 16, 8);
    let mut more = base.clone();
    more.targets.push(OstIndex(900));
    more.rings[0].tickets.extend([34, 1, 2].map(TargetId));
    more.rings.push(RingSpec { seed: 99, tickets: (0..36).map(TargetId).collect() });
    more.classes[3].stripe_count = 7;
    assert!(led(&base, &more) < 200);
    assert!(led(&more, &base) < 200);
    let mut swapped = base.clone();
    swapped.rings.swap(0, 3);
    led(&base, &swapped);
}

#[test]
fn tables_without_anything_in_common_are_carried_whole() {
    let base = spec(35, 16, 8);
    let mut other = spec(300, 2, 40);
    other.fs = FsIdentity::new(FsId(9), "other");
    other.classes.clear();
    other.rings.clear();
    other.jobs.clear();
    led(&base, &other);
    led(&other, &base);
}

/// Gate: every bit flipped, every truncation, more bytes.
#[test]
fn every_damage_of_a_delta_is_refused() {
    let base = encode(&spec(35, 16, 8)).unwrap();
    let mut next = spec(35, 16, 9);
    next.order.seq += 1;
    next.rings[1].tickets.swap(3, 5);
    let mut delta = write(&base, &encode(&next).unwrap());
    for at in 0..delta.len() {
        for bit in 0..8 {
            delta[at] ^= 1 << bit;
            assert!(apply(&base, &delta).is_err(), "byte {at}, bit {bit}");
            delta[at] ^= 1 << bit;
        }
        assert!(apply(&base, &delta[..at]).is_err(), "{at} bytes");
    }
    for extra in 0..300 {
        delta.push(extra as u8);
        assert!(apply(&base, &delta).is_err(), "{extra} more bytes");
    }
    assert!(matches!(apply(&base, &vec![0; 1 << 20]), Err(DeltaRefused::TooLong { found: 1_048_576 })));
}

/// Damage that keeps the delta's checksum right.
#[test]
fn each_check_behind_the_checksum_refuses() {
    let (base, new) = (encode(&spec(35, 16, 8)).unwrap(), encode(&spec(35, 16, 9)).unwrap());
    let sound = write(&base, &new);
    let resealed = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut delta = sound[..sound.len() - 4].to_vec();
        change(&mut delta);
        delta.extend(crc32fast::hash(&delta).to_le_bytes());
        apply(&base, &delta).unwrap_err()
    };
    let set = |at: usize, value: u8| resealed(&move |delta| delta[at] = value);
    let steps = |steps: &'static [u8]| {
        resealed(&move |delta| {
            delta.truncate(24);
            delta.extend(steps);
        })
    };
    assert_eq!(set(0, b'X'), DeltaRefused::Magic);
    assert_eq!(set(8, 2), DeltaRefused::Version { found: 2 });
    assert_eq!([set(10, 0), set(10, 17), set(11, 1)], [DeltaRefused::Header; 3]);
    assert!(matches!(set(12, sound[12] ^ 1), DeltaRefused::OtherBase { .. }));
    assert!(matches!(set(16, sound[16] ^ 1), DeltaRefused::Result(_)), "another result");
    let length = |length: u32| resealed(&move |delta| delta[20..24].copy_from_slice(&length.to_le_bytes()));
    assert_eq!([length(3), length(u32::MAX)], [DeltaRefused::Header; 2]);
    assert!(matches!(length(new.len() as u32 + 1), DeltaRefused::Length { .. }));
    assert!(matches!(length(new.len() as u32 - 1), DeltaRefused::Step { .. }), "a step too far");
    let damaged = DeltaRefused::Step { at: 24 };
    // Unknown; keeps nothing; inserts what is not there; moves before the base; tickets that are not there;
    // a number without end; one of 33 bits; one that could be shorter.
    for bad in
        [&[5][..], &[0], &[0x0A], &[0x0B], &[0x0C], &[0x80], &[0x80, 0x80, 0x80, 0x80, 0x10], &[0x88, 0]]
    {
        assert_eq!(steps(bad), damaged, "{bad:?}");
    }
    assert_eq!(steps(&[0xFB, 0xFF, 0xFF, 0xFF, 0x0F]), damaged, "a far move");
    assert!(matches!(steps(&[]), DeltaRefused::Length { found: 4, .. }));
    // Six bits a ticket: one ticket leaves two bits that stand for nothing.
    assert_eq!(steps(&[0x0C, 0x40]), damaged);
    assert!(matches!(steps(&[0x0C, 0x3F]), DeltaRefused::Length { found: 6, .. }));
}

#[test]
fn a_delta_from_another_table_is_refused() {
    let tables: Vec<_> = [8, 9, 10].map(|jobs| encode(&spec(35, 16, jobs)).unwrap()).into();
    let delta = write(&tables[0], &tables[1]);
    assert!(matches!(apply(&tables[2], &delta), Err(DeltaRefused::OtherBase { .. })));
    assert!(matches!(apply(&[], &delta), Err(DeltaRefused::OtherBase { found: 0, .. })));
    // A damaged base that kept its checksum leads to a result that does not verify.
    let mut damaged = tables[0].clone();
    damaged[70] ^= 1;
    assert!(matches!(apply(&damaged, &delta), Err(DeltaRefused::Result(_))));
}

#[test]
fn kept_inputs_of_the_fuzzer_lead_to_tables_or_nowhere() {
    let inputs = folder::inputs("delta");
    let led = inputs.iter().filter(|input| fuzzed::check(input)).count();
    assert!(led > 5 && led < inputs.len(), "{led} of {} led to a table", inputs.len());
}

/// Changes a table as plans do, and as they never would.
fn changed(base: &TableSpec, seed: u64, changes: u8) -> TableSpec {
    let mut numbers = Numbers(seed);
    let mut next = base.clone();
    next.order = Order { term: base.order.term, seq: base.order.seq + numbers.below(3) };
    for _ in 0..changes {
        let targets = next.targets.len() as u64;
        let ring = numbers.below(next.rings.len() as u64) as usize;
        let tickets = &mut next.rings[ring].tickets;
        let at = numbers.below(tickets.len() as u64) as usize;
        match numbers.below(9) {
            0 => tickets[at] = TargetId(numbers.below(targets) as u32),
            1 => tickets.rotate_left(at),
            2 => tickets.truncate(at.max(1)),
            3 => {
                let more = tickets[..at.min(50)].to_vec();
                tickets.extend(more);
            }
            4 => next.jobs.truncate(at.min(next.jobs.len())),
            5 => {
                let key = JobKey(numbers.below(u64::MAX));
                let job = next.jobs.first().map(|job| tarazu_table::JobEntry { key, ..*job });
                next.jobs.extend(job);
            }
            6 => {
                let place = Place { begin: numbers.below(5000) as u32, deal: numbers.below(9) as u16 };
                let jobs = next.jobs.len().max(1);
                next.jobs.get_mut(at % jobs).map(|job| job.place = Some(place)).unwrap_or_default();
            }
            7 => next
                .targets
                .push(OstIndex(numbers.below(1000) as u32 + 2000 + targets as u32 * 1000 % 60_000)),
            _ => next.rings.swap(ring, 0),
        }
    }
    next.targets.sort_unstable_by_key(|index| index.0);
    next.targets.dedup();
    next
}

proptest! {
    #[test]
    fn every_pair_of_tables_leads_from_one_to_the_other(
        (targets, passes, jobs) in (1usize..120, 1usize..8, 0u64..40),
        (seed, changes) in (any::<u64>(), 0u8..30),
    ) {
        let base = spec(targets, passes, jobs);
        let next = changed(&base, seed, changes);
        led(&base, &next);
        led(&next, &base);
    }

    #[test]
    fn damaged_deltas_never_lead_elsewhere(seed in any::<u64>(), at in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let base = spec(35, 4, 9);
        let next = encode(&changed(&base, seed, 6)).unwrap();
        let base = encode(&base).unwrap();
        let mut delta = write(&base, &next);
        let content = delta.len() - 4;
        let at = at.index(content);
        delta[at] = byte;
        // Also where whoever damaged it made the checksum right.
        let checksum = crc32fast::hash(&delta[..content]);
        delta[content..].copy_from_slice(&checksum.to_le_bytes());
        if let Ok(table) = apply(&base, &delta) {
            prop_assert_eq!(table, next);
        }
    }
}
