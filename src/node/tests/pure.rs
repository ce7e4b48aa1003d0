//! Tables and reports under random histories.

use proptest::prelude::*;
use tarazu_layout::{Time, hash};
use tarazu_proto::v1::{self, table_update::Update};
use tarazu_table::{Order, Published, Stamp, delta, publish};

use super::controller::{table, update, whole};
use crate::node::outbox::{Batch, Outbox, Report, WAITING_MAX};
use crate::node::plan::{FsTable, NotTaken};

const FS: &str = "scratch";
const BOOT: u64 = 77;
const SECOND: u64 = 1_000_000_000;

fn order(term: u64, seq: u64) -> Order {
    Order { term, seq }
}

fn held(order: Order) -> FsTable {
    let mut held = FsTable::new(FS, BOOT);
    assert!(matches!(held.take(whole(FS, order, 1), Time(100 * SECOND)), Ok(Some(_))));
    held
}

fn confirmed(order: Order, first: u32) -> v1::TableUpdate {
    update(FS, order, &table(FS, order, first), Update::Confirmed(true))
}

fn received(file: &[u8]) -> u64 {
    Published::verify(file).expect("what is published verifies").stamp.received.0
}

#[test]
fn a_stamp_is_as_old_as_the_request_and_the_controllers_view() {
    let mut fs = FsTable::new(FS, BOOT);
    assert_eq!(fs.report(), (None, 0, 0));
    let file = fs.take(whole(FS, order(2, 5), 1), Time(100 * SECOND)).expect("taken").expect("published");
    assert_eq!(received(&file), 100 * SECOND - 10_000_000);
    assert_eq!(fs.age_ms(Time(101 * SECOND)), Some(1010));
    let renewed = fs.take(confirmed(order(2, 5), 1), Time(105 * SECOND)).expect("taken").expect("published");
    assert_eq!(received(&renewed), 105 * SECOND - 10_000_000);
    assert_eq!(renewed[32..], file[32..], "the table itself is the same");
    let late = fs.take(confirmed(order(2, 5), 1), Time(103 * SECOND));
    assert_eq!(late, Ok(None), "a late answer does not take back what a quicker one said");
    // More age than there was time since the boot.
    let old = v1::TableUpdate { age_ms: u32::MAX, ..whole(FS, order(2, 6), 2) };
    assert_eq!(received(&fs.take(old, Time(SECOND)).expect("taken").expect("published")), 0);
}

#[test]
fn deltas_lead_on_and_fall_back_to_the_whole_table() {
    let mut fs = held(order(2, 5));
    let next = table(FS, order(2, 6), 9);
    let good = delta::encode(&table(FS, order(2, 5), 1), &next);
    let taken = fs.take(update(FS, order(2, 6), &next, Update::Delta(good.clone())), Time(101 * SECOND));
    assert_eq!(
        Published::verify(&taken.expect("taken").expect("published")).expect("sound").table.order(),
        order(2, 6)
    );
    // It starts from a table that is no longer held.
    let again = fs.take(update(FS, order(2, 6), &next, Update::Delta(good.clone())), Time(102 * SECOND));
    assert!(matches!(again, Err(NotTaken::Delta(_))));
    assert_eq!(fs.report(), (None, 0, 2), "the whole table is asked for");
    assert_eq!(fs.order(), Some(order(2, 6)), "and the one that is held stays");
    let nothing = fs.take(update(FS, order(2, 6), &next, Update::Delta(good)), Time(102 * SECOND));
    assert_eq!(nothing, Err(NotTaken::DeltaFromNothing));
    assert!(
        matches!(fs.take(whole(FS, order(2, 6), 9), Time(103 * SECOND)), Ok(Some(_))),
        "the same one, whole"
    );
    assert_eq!(fs.report().0, Some(order(2, 6)));
    let nothing_held =
        FsTable::new(FS, BOOT).take(update(FS, order(1, 1), &next, Update::Delta(vec![])), Time(0));
    assert_eq!(nothing_held, Err(NotTaken::DeltaFromNothing));
}

#[test]
fn what_is_not_the_newest_of_this_file_system_is_refused() {
    let mut fs = held(order(2, 5));
    let mut refused = |update| fs.take(update, Time(200 * SECOND)).expect_err("refused");
    assert!(matches!(refused(whole(FS, order(2, 4), 1)), NotTaken::Older(_)));
    assert!(matches!(refused(whole(FS, order(1, 99), 1)), NotTaken::OlderTerm { highest_term: 2, .. }));
    assert!(
        matches!(refused(whole(FS, order(2, 5), 3)), NotTaken::OtherTable { .. }),
        "other bytes of the same plan"
    );
    assert_eq!(
        refused(v1::TableUpdate { file_system: FS.into(), ..whole("other", order(3, 1), 1) }),
        NotTaken::OtherFileSystem
    );
    let named = v1::TableUpdate { checksum: 1, ..whole(FS, order(3, 1), 1) };
    assert!(matches!(refused(named), NotTaken::OtherTable { checksum: 1, .. }));
    let named = v1::TableUpdate { order: Some(v1::Order { term: 9, seq: 9 }), ..whole(FS, order(3, 1), 1) };
    assert!(matches!(refused(named), NotTaken::OtherTable { .. }));
    for empty in [
        v1::TableUpdate { order: None, ..whole(FS, order(3, 1), 1) },
        v1::TableUpdate { update: None, ..whole(FS, order(3, 1), 1) },
    ] {
        assert_eq!(refused(empty), NotTaken::Empty);
    }
    let mut garbage = whole(FS, order(3, 1), 1);
    garbage.update = Some(Update::Table(vec![7; 4000]));
    assert!(matches!(refused(garbage), NotTaken::Table(_)));
    assert!(matches!(refused(confirmed(order(2, 4), 1)), NotTaken::Older(_)));
    assert_eq!(fs.report(), (Some(order(2, 5)), fs.report().1, 2));
    let file = fs.publishable().expect("sound").expect("held");
    assert_eq!(received(&file), 100 * SECOND - 10_000_000, "and the stamp did not move");
    // A word on a table that is not held makes the node ask for it.
    assert_eq!(fs.take(confirmed(order(2, 6), 1), Time(200 * SECOND)), Err(NotTaken::ConfirmsAnother));
    assert_eq!(fs.report().0, None);
}

#[test]
fn a_restart_takes_back_what_it_may() {
    let stamp = |boot_hash, received| Stamp { boot_hash, received };
    let body = table(FS, order(4, 7), 1);
    let file = |stamp: Stamp| publish(&stamp, &body).expect("a sound table");
    let restored = |bytes: &[u8]| {
        let mut fs = FsTable::new(FS, BOOT);
        let taken = fs.restore(bytes, Time(50 * SECOND));
        (taken.is_ok(), fs.order(), fs.report().2)
    };
    assert_eq!(restored(&file(stamp(BOOT, Time(40 * SECOND)))), (true, Some(order(4, 7)), 4));
    assert_eq!(restored(&file(stamp(BOOT + 1, Time(40 * SECOND)))), (true, None, 4), "another boot");
    assert_eq!(restored(&file(stamp(BOOT, Time(60 * SECOND)))), (true, None, 4), "from the future");
    let other = publish(&stamp(BOOT, Time(0)), &table("other", order(9, 9), 1)).expect("a sound table");
    assert_eq!(restored(&other), (false, None, 0));
    let mut damaged = file(stamp(BOOT, Time(0)));
    damaged[60] ^= 1;
    assert_eq!(restored(&damaged), (false, None, 0));
    assert_eq!(restored(&[]), (false, None, 0));
    // An older controller is refused after a restart too.
    let mut fs = FsTable::new(FS, BOOT);
    fs.restore(&file(stamp(BOOT + 1, Time(0))), Time(50 * SECOND)).expect("its term counts");
    assert!(matches!(fs.take(whole(FS, order(3, 1), 1), Time(60 * SECOND)), Err(NotTaken::OlderTerm { .. })));
}

proptest! {
    /// Whatever comes in whatever order: neither order nor term nor stamp goes back, and all that is published
    /// verifies.
    #[test]
    fn nothing_goes_back(steps in prop::collection::vec((0u8..5, 1u64..4, 1u64..6, 0u32..3, any::<u32>()), 1..60)) {
        let mut fs = FsTable::new(FS, BOOT);
        let mut sent = 1000 * SECOND;
        for (kind, term, seq, first, age_ms) in steps {
            sent += SECOND;
            let named = order(term, seq);
            let body = table(FS, named, first);
            let base = table(FS, fs.order().unwrap_or(named), first);
            let kind = match kind {
                0 => Update::Table(body.clone()),
                1 => Update::Confirmed(true),
                2 => Update::Delta(delta::encode(&base, &body)),
                3 => Update::Table(body[..body.len() - 1].to_vec()),
                _ => Update::Delta(vec![age_ms as u8; 40]),
            };
            let answer = v1::TableUpdate { age_ms: age_ms % 5000, ..update(FS, named, &body, kind) };
            let (before, terms) = (fs.order(), fs.report().2);
            let stamp = fs.publishable().expect("sound").map(|file| received(&file));
            let taken = fs.take(answer, Time(sent));
            prop_assert!(fs.order() >= before && fs.report().2 >= terms);
            if let Ok(Some(file)) = taken {
                let published = Published::verify(&file).expect("sound");
                prop_assert_eq!(Some(published.table.order()), fs.order());
                prop_assert!(published.stamp.received.0 <= sent);
                if before == fs.order() {
                    prop_assert!(Some(received(&file)) >= stamp);
                }
            } else {
                prop_assert_eq!(fs.order(), before);
            }
        }
    }

    /// Every report arrives once and in order, or is counted as lost; an exchange without an answer is repeated.
    #[test]
    fn reports_arrive_once_or_are_counted(steps in prop::collection::vec((0u8..4, 0usize..2, 1usize..3000), 1..40)) {
        let mut outbox = Outbox::new(2);
        let (mut sent, mut heard, mut lost) = ([0u64; 2], [Vec::new(), Vec::new()], 0);
        let mut last: Option<(u64, Vec<Batch>)> = None;
        let mut answer = |outbox: &mut Outbox, heard: &mut [Vec<u64>; 2], lost: &mut u64| {
            let next = outbox.next();
            if let Some((sequence, batches)) = &last {
                assert!(next.0 > *sequence || (next.0 == *sequence && next.1 == *batches));
            }
            for (place, batch) in next.1.iter().enumerate() {
                assert!(batch.placed.len() <= 4096 && batch.starts.len() <= 256 && batch.ends.len() <= 256);
                heard[place].extend(batch.placed.iter().map(|placed| placed.job));
                heard[place].extend(batch.ends.iter().map(|end| end.job));
                *lost += batch.records_lost;
            }
            last = Some(next);
            outbox.answered();
        };
        for (kind, place, many) in steps {
            match kind {
                0 => for _ in 0..many {
                    sent[place] += 1;
                    outbox.push(place, Report::Placed(v1::Placed { job: sent[place], ..v1::Placed::default() }));
                },
                1 => {
                    sent[place] += 1;
                    outbox.push(place, Report::End(v1::JobEnd { job: sent[place] }));
                }
                2 => { let first = outbox.next(); prop_assert_eq!(outbox.next(), first); }
                _ => answer(&mut outbox, &mut heard, &mut lost),
            }
        }
        for _ in 0..2000 {
            if outbox.is_empty() { break; }
            answer(&mut outbox, &mut heard, &mut lost);
        }
        prop_assert!(outbox.is_empty());
        prop_assert!(heard.iter().all(|heard| heard.windows(2).all(|pair| pair[0] < pair[1])), "in order, once");
        prop_assert_eq!(heard.iter().map(|heard| heard.len() as u64).sum::<u64>() + lost, sent.iter().sum::<u64>());
        prop_assert_eq!(lost, outbox.lost());
    }
}

#[test]
fn the_oldest_reports_go_first_and_wide_files_do_not_fill_the_memory() {
    let mut outbox = Outbox::new(1);
    for job in 0..WAITING_MAX as u64 + 5 {
        outbox.push(0, Report::Placed(v1::Placed { job, ..v1::Placed::default() }));
    }
    let (_, batches) = outbox.next();
    assert_eq!((batches[0].records_lost, batches[0].placed[0].job), (5, 5));
    let mut outbox = Outbox::new(1);
    let ost_indices: Vec<u32> = (0..2000).collect();
    for job in 0..2000 {
        outbox.push(
            0,
            Report::Placed(v1::Placed { job, ost_indices: ost_indices.clone(), ..v1::Placed::default() }),
        );
    }
    assert!(outbox.lost() > 1000, "{}", outbox.lost());
    let (_, batches) = outbox.next();
    let bytes: usize = batches[0].placed.iter().map(prost::Message::encoded_len).sum();
    assert!((500 << 10..1 << 20).contains(&bytes), "{bytes}");
    assert_ne!(hash::bytes(b"a"), 0);
}
