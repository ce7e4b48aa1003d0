//! Random writes, sound and not, give the same in the file and in memory.

use proptest::collection::vec;
use proptest::prelude::*;

use super::super::{FILE_SYSTEMS_MAX, MemoryStore, REASON_BYTES_MAX};
use super::disk::{Disk, Left};
use super::{DrainIntent, PolicyIntent, Record, RedbStore, Store, inventory};

fn name() -> impl Strategy<Value = String> {
    // One too many file systems, and names that are no names.
    prop_oneof![
        20 => (0..=FILE_SYSTEMS_MAX).prop_map(|number| format!("fs{number}")),
        1 => Just(String::new()),
        1 => Just("x".repeat(65)),
        3 => Just(String::from("drain/7")),
    ]
}

fn intent() -> impl Strategy<Value = DrainIntent> {
    let text = prop_oneof![9 => "\\PC{0,20}", 1 => Just("r".repeat(REASON_BYTES_MAX + 1))];
    (text, any::<Option<u64>>(), "[a-z]{0,64}", any::<u64>()).prop_map(
        |(reason, until_unix_ns, by, since_unix_ns)| DrainIntent { reason, until_unix_ns, by, since_unix_ns },
    )
}

fn record() -> impl Strategy<Value = Record> {
    let servers =
        (0..6_u32, prop_oneof![9 => 1.0..1e12, 1 => Just(f64::NAN)]).prop_map(|(count, link_bps)| {
            let mut servers = inventory(count);
            servers.iter_mut().for_each(|server| server.link_bps = link_bps);
            servers
        });
    prop_oneof![
        3 => (name(), 0..5_u64).prop_map(|(fs, term)| Record::Term { fs, term }),
        4 => (name(), 0..4_u32, proptest::option::of(intent()))
            .prop_map(|(fs, ost, drain)| Record::Drain { fs, ost, drain }),
        1 => (name(), 65_530..65_540_u32, intent())
            .prop_map(|(fs, ost, drain)| Record::Drain { fs, ost, drain: Some(drain) }),
        1 => (name(), any::<[bool; 3]>()).prop_map(|(fs, [apply, canary, detect])| Record::Policy {
            fs,
            policy: PolicyIntent { apply, canary, detect }
        }),
        1 => (name(), servers).prop_map(|(fs, inventory)| Record::Inventory { fs, inventory }),
    ]
}

proptest! {
    #[test]
    fn the_file_is_as_its_twin(writes in vec((vec(record(), 0..6), any::<bool>()), 1..12)) {
        let mut disk = Disk::default();
        let mut store = RedbStore::with_backend(disk.clone()).unwrap();
        let mut twin = MemoryStore::default();
        for (records, restarts) in writes {
            prop_assert_eq!(store.write(&records), twin.write(&records));
            if restarts {
                drop(store);
                disk = Disk::with(disk.image(Left::Nothing));
                store = RedbStore::with_backend(disk.clone()).unwrap();
                prop_assert_eq!(store.load(), twin.load());
            }
        }
    }
}
