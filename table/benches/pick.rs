//! What a client pays: verifying a table once, deciding for each file.
#![allow(
    clippy::unwrap_used,
    missing_docs,
    reason = "a bench may unwrap; criterion's macros make undocumented items"
)]

#[path = "../tests/common/mod.rs"]
mod common;

use std::hint::black_box;

use common::{name, published, reader, spec};
use criterion::{Criterion, criterion_group, criterion_main};
use tarazu_layout::TargetId;
use tarazu_table::{Ask, Cursor, Identity, Published, Rank, choose};

fn cursor() -> Cursor {
    let rank = Some(Rank { rank: 3, world: 64 });
    Cursor::new(Identity { rank, host_hash: 1, pid: 9, process_start: 2 })
}

fn table(criterion: &mut Criterion) {
    let bytes = published(&spec(2016, 2, 200));
    let published = Published::verify(&bytes).unwrap();
    let mut group = criterion.benchmark_group("table_2016");

    group.bench_function("verify", |bench| bench.iter(|| Published::verify(black_box(&bytes)).is_ok()));

    let ring = published.table.ring(0).unwrap();
    for stripes in [1, 8, 64, 200] {
        let (cursor, slot) = (cursor(), name(3).slot(name(3).any_file()));
        let mut out = [TargetId(0); 256];
        group.bench_function(format!("pick_{stripes}"), |bench| {
            bench.iter(|| {
                let position = cursor.next(slot, None, 77, 9, stripes);
                ring.pick(black_box(position), stripes, stripes, &mut out)
            });
        });
    }

    let (cursor, reader) = (cursor(), reader(1.0));
    let mut out = [TargetId(0); 256];
    group.bench_function("choose_8", |bench| {
        let ask = Ask { name: name(3), pid: 9, keep: None };
        bench.iter(|| choose(Ok(&published), &reader, &cursor, black_box(&ask), &mut out));
    });
    group.finish();
}

criterion_group!(benches, table);
criterion_main!(benches);
