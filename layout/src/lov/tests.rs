//! Requests come back as they were asked for, and any bytes are read without harm.
#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

use super::*;
use alloc::vec;
use proptest::prelude::*;

const MIB: u32 = 1 << 20;

fn wanted() -> impl Strategy<Value = Wanted> {
    let pattern = prop_oneof![
        4 => Just(Pattern::Raid0),
        1 => Just(Pattern::Overstriped),
        1 => Just(Pattern::Mdt),
    ];
    let pool = prop::option::of("[a-z]{1,15}").prop_map(|name| name.and_then(|name| PoolName::new(&name)));
    let list = prop::collection::vec((0..=OST_INDEX_MAX).prop_map(OstIndex), 0..12);
    let offset = prop::option::of(0..ANYWHERE);
    (pattern, 0..100u32, any::<u16>(), offset, pool, list).prop_map(
        |(pattern, units, stripe_count, offset, pool, list)| {
            let has_list = !list.is_empty() && pattern != Pattern::Mdt;
            Wanted {
                extent: Extent::ALL,
                pattern,
                stripe_size: units << 16,
                stripe_count: if has_list { list.len() as u16 } else { stripe_count },
                offset: if has_list { None } else { offset },
                pool: if has_list { None } else { pool },
                list: if has_list { list } else { Vec::new() },
            }
        },
    )
}

fn request() -> impl Strategy<Value = Request> {
    prop::collection::vec((wanted(), 1..1000u64), 1..6).prop_map(|parts| {
        let mut start = 0;
        let last = parts.len() - 1;
        let components = parts.into_iter().enumerate().map(|(number, (mut wanted, units))| {
            let end = start + (units << 16);
            wanted.extent = Extent { start, end: (number < last).then_some(end) };
            start = end;
            wanted
        });
        Request { components: components.collect() }
    })
}

proptest! {
    #[test]
    fn requests_come_back(request in request()) {
        let bytes = encode(&request).unwrap();
        prop_assert_eq!(read_default(&bytes).unwrap(), request);
    }

    /// Every shorter value ends before what it announces, but for lists: without its list a request is another one.
    #[test]
    fn cut_requests_are_refused(request in request(), keep in any::<prop::sample::Index>()) {
        let bytes = encode(&request).unwrap();
        prop_assert!(read_default(&bytes[..keep.index(bytes.len())]).is_err());
    }

    #[test]
    fn any_bytes_are_read_without_harm(
        request in request(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
    ) {
        let mut bytes = encode(&request).unwrap();
        for (at, value) in &changes {
            let at = at.index(bytes.len());
            bytes[at] = *value;
        }
        if let Ok(request) = read_default(&bytes) {
            prop_assert!(request.components.len() <= crate::limits::COMPONENTS_MAX);
        }
        if let Ok(stored) = read_file(&bytes) {
            prop_assert!(stored.main().is_some());
        }
    }
}

fn listed(list: &[u32]) -> Wanted {
    let list: Vec<_> = list.iter().copied().map(OstIndex).collect();
    Wanted { stripe_size: MIB, stripe_count: list.len() as u16, list, ..Wanted::anything() }
}

#[test]
fn the_default_leaves_everything_open() {
    assert_eq!(encode(&Request::plain(Wanted::anything())).unwrap(), DEFAULT);
    assert_eq!(read_default(&DEFAULT), Ok(Request::plain(Wanted::anything())));
}

/// Byte for byte what `lfs setstripe -o 6,1 -S 1M` asks for, by the structures' definitions.
#[test]
fn a_list_lies_where_the_kernel_looks_for_it() {
    let bytes = encode(&Request::plain(listed(&[6, 1]))).unwrap();
    let mut expected = vec![0u8; 48 + 2 * 24];
    expected[0..4].copy_from_slice(&0x0BD5_0BD0u32.to_ne_bytes());
    expected[4..8].copy_from_slice(&1u32.to_ne_bytes());
    expected[24..28].copy_from_slice(&MIB.to_ne_bytes());
    expected[28..30].copy_from_slice(&2u16.to_ne_bytes());
    expected[30..32].copy_from_slice(&[0xFF, 0xFF]);
    expected[68..72].copy_from_slice(&6u32.to_ne_bytes());
    expected[92..96].copy_from_slice(&1u32.to_ne_bytes());
    assert_eq!(bytes, expected);
}

#[test]
fn a_list_goes_to_the_first_component_on_targets() {
    let end = Some(u64::from(MIB));
    let dom = Wanted { pattern: Pattern::Mdt, extent: Extent { start: 0, end }, ..Wanted::anything() };
    let rest =
        Wanted { extent: Extent { start: u64::from(MIB), end: None }, stripe_count: 4, ..Wanted::anything() };
    let request = Request { components: vec![dom.clone(), rest] };
    let with = request.with_list(&[OstIndex(9), OstIndex(3)]).unwrap();
    assert_eq!(with.components[0], dom);
    assert_eq!((with.components[1].stripe_count, with.components[1].list.len()), (2, 2));
    assert_eq!(read_default(&encode(&with).unwrap()), Ok(with));
    let only_dom = Request::plain(Wanted { pattern: Pattern::Mdt, ..Wanted::anything() });
    assert_eq!(only_dom.with_list(&[OstIndex(1)]), None);
}

#[test]
fn what_lustre_would_refuse_is_refused_before() {
    let refused = |wanted: Wanted| encode(&Request::plain(wanted)).unwrap_err();
    let list = EncodeError::List { component: 0 };
    assert_eq!(encode(&Request { components: vec![] }), Err(EncodeError::Components { found: 0 }));
    assert_eq!(refused(listed(&[OST_INDEX_MAX + 1])), list);
    assert_eq!(refused(listed(&[1; 2001])), list);
    assert_eq!(refused(Wanted { stripe_count: 3, ..listed(&[1, 2]) }), list);
    assert_eq!(refused(Wanted { pool: PoolName::new("flash"), ..listed(&[1]) }), list);
    assert_eq!(refused(Wanted { offset: Some(1), ..listed(&[1]) }), list);
    assert_eq!(
        refused(Wanted { stripe_size: 4096, ..listed(&[1]) }),
        EncodeError::StripeSize { component: 0 }
    );
    let early = Extent { start: 0, end: Some(4096) };
    assert_eq!(refused(Wanted { extent: early, ..listed(&[1]) }), EncodeError::Extent { component: 0 });
    let late = Extent { start: 65536, end: None };
    assert_eq!(refused(Wanted { extent: late, ..listed(&[1]) }), EncodeError::Extent { component: 0 });
    let wide = |start| Wanted { extent: Extent { start, end: Some(start + 65536) }, ..listed(&[1; 1500]) };
    let two = Request { components: vec![wide(0), wide(65536)] };
    assert_eq!(encode(&two), Err(EncodeError::TooLong { bytes: 32 + 2 * (48 + 48 + 1500 * 24) }));
}

#[test]
fn kinds_that_are_not_understood_have_names() {
    let magic = |magic: u32| {
        let mut bytes = [0u8; 48];
        bytes[..4].copy_from_slice(&magic.to_ne_bytes());
        (read_default(&bytes).unwrap_err(), read_file(&bytes).unwrap_err())
    };
    assert_eq!(magic(MAGIC_FOREIGN), (LovError::Foreign, LovError::Foreign));
    assert_eq!(magic(MAGIC_SELF_EXTENDING), (LovError::SelfExtending, LovError::SelfExtending));
    assert_eq!(magic(7), (LovError::Magic { found: 7 }, LovError::Magic { found: 7 }));

    let end = Some(u64::from(MIB));
    let first = Wanted { extent: Extent { start: 0, end }, ..Wanted::anything() };
    let rest = Wanted { extent: Extent { start: u64::from(MIB), end: None }, ..Wanted::anything() };
    let sound = encode(&Request { components: vec![first, rest] }).unwrap();
    let with = |at: usize, value: u8| {
        let mut bytes = sound.clone();
        bytes[at] = value;
        read_default(&bytes).unwrap_err()
    };
    assert_eq!(with(16, 1), LovError::Mirrored);
    assert_eq!(with(32 + 4, FLAG_EXTENSION as u8), LovError::SelfExtending);
    assert_eq!(with(14, 0), LovError::Components { found: 0 });
    assert_eq!(with(14, 65), LovError::Components { found: 65 });
    assert_eq!(with(32 + 48 + 8, 1), LovError::Extent { component: 1 });
    // A component that would lie inside the header, and one behind the end.
    assert_eq!(with(32 + 24, 0), LovError::Truncated);
    assert_eq!(with(32 + 26, 1), LovError::Truncated);
    assert_eq!(with(128 + 5, 0x10), LovError::Pattern { found: 0x1001 });
}
