//! What no program writes but a damaged log may say.

use super::*;
use crate::analyze::Value;
use crate::analyze::facts::{SECONDS_MAX, Span};
use proptest::prelude::*;
use tarazu_darshan::Module;

fn any_bytes() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0), Just(1), Just(u64::MAX), any::<u64>(), 0u64..(1 << 40)]
}

fn any_seconds() -> impl Strategy<Value = f64> {
    prop_oneof![Just(0.0), Just(SECONDS_MAX), Just(f64::MIN_POSITIVE), 0.0..1e4]
}

fn any_shared() -> impl Strategy<Value = SharedUse> {
    (any_bytes(), any_seconds(), any::<u64>(), any_seconds(), any_bytes()).prop_map(
        |(bytes, io_s, slowest_rank, slowest_s, slowest_bytes)| SharedUse {
            bytes,
            io_s,
            slowest_rank,
            slowest_s,
            slowest_bytes,
        },
    )
}

fn any_piece() -> impl Strategy<Value = Piece> {
    let osts = prop_oneof![
        prop::collection::vec(0u32..6, 1..2),
        prop::collection::vec(prop_oneof![0u32..200, Just(u32::MAX)], 1..20)
    ];
    (any_bytes(), prop::option::of(any_bytes()), 1u64.., osts).prop_map(|(start, end, stripe_size, osts)| {
        Piece { extent: Extent { start, end }, stripe_size, osts }
    })
}

fn any_file() -> impl Strategy<Value = FileUse> {
    let used =
        (0u64..20, any_bytes(), any_seconds()).prop_map(|(rank, bytes, io_s)| RankUse { rank, bytes, io_s });
    (
        (
            prop::option::of("\\PC{0,6}/\\PC{0,6}"),
            any_bytes(),
            any_bytes(),
            any_bytes(),
            any_seconds(),
            any::<bool>(),
        ),
        prop::collection::vec(used, 0..4),
        prop::option::of(any_shared()),
        prop::option::of(any_shared()),
        prop::collection::vec(any_piece(), 0..3),
    )
        .prop_map(
            |((name, read_bytes, written_bytes, end, io_s, is_shared), by_rank, by_all, behind, layout)| {
                FileUse {
                    name,
                    read_bytes,
                    written_bytes,
                    end,
                    io_s,
                    is_shared,
                    by_rank,
                    by_all,
                    behind,
                    layout,
                    ..FileUse::default()
                }
            },
        )
}

fn any_spans() -> impl Strategy<Value = Vec<Span>> {
    let span = (any_seconds(), any_seconds(), any_bytes()).prop_map(|(start_s, long_s, bytes)| Span {
        start_s,
        end_s: (start_s + long_s).min(SECONDS_MAX),
        bytes,
    });
    prop::collection::vec(span, 0..30).prop_map(|mut spans| {
        spans.sort_by(|a, b| a.start_s.total_cmp(&b.start_s));
        spans
    })
}

proptest! {
    #[test]
    fn nothing_panics_and_every_number_is_one(
        ranks in prop::option::of(1u64..=1 << 30), files in prop::collection::vec(any_file(), 0..60),
        writes in any_spans(), reads in any_spans(),
    ) {
        let facts = Facts {
            ranks,
            writes: vec![writes],
            reads: vec![reads],
            partial: vec![Module::Posix, Module::Null],
            ..job(1, files)
        };
        let mut analyzer = Analyzer::default();
        let mut found = analyzer.add_facts(&facts);
        found.extend(analyzer.add_facts(&facts));
        found.extend(analyzer.finish());
        prop_assert!(found.len() >= 4, "what is missing is always said");
        for finding in found {
            for measure in &finding.measures {
                let number = match measure.value {
                    Value::Count(_) | Value::Bytes(_) => 0.0,
                    Value::Seconds(x) | Value::Rate(x) | Value::Share(x) | Value::Factor(x) => x,
                };
                prop_assert!(number.is_finite() && number >= 0.0, "{:?}", finding);
            }
            // Between these lie printable marks such as U+2010, a hyphen.
            let is_hidden = |c: char| {
                let unseen = ['\u{200b}'..='\u{200f}', '\u{2028}'..='\u{202e}', '\u{2060}'..='\u{2069}'];
                c.is_control() || unseen.iter().any(|range| range.contains(&c))
            };
            let is_clean = |text: &str| !text.chars().any(is_hidden);
            prop_assert!(is_clean(&finding.words) && is_clean(&finding.fix), "{:?}", finding);
        }
    }
}
