//! Gate: reading a table and picking tickets allocates nothing.
#![allow(clippy::unwrap_used, reason = "tests may unwrap")]

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};

use common::{name, published, reader, spec};
use tarazu_layout::TargetId;
use tarazu_table::{Ask, Choice, Cursor, Identity, Inherited, Published, Rank, Reason, choose};

/// The system's allocator, counting.
struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

// SAFETY: every call goes unchanged to the system's allocator, which keeps the contract.
#[allow(unsafe_code)]
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promises about `layout` are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: `memory` came from `alloc` above, that is from the same allocator and layout.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;

// One test only: others in this binary would allocate at the same time.
#[test]
fn reading_and_picking_allocate_nothing() {
    let bytes = published(&spec(2016, 2, 200));
    let mut broken = bytes.clone();
    broken[30_000] ^= 1;
    let rank = Some(Rank { rank: 3, world: 64 });
    let identity = Identity { rank, host_hash: 1, pid: 9, process_start: 2 };
    let mut out = [TargetId(0); 2000];
    let wide = Some(Inherited { stripe_count: 1500, stripe_size: 1 << 20 });

    let before = ALLOCATIONS.load(Ordering::Relaxed);
    let cursor = Cursor::new(identity);
    let published = Published::verify(&bytes).unwrap();
    let mut steered = 0;
    for job in 0..210 {
        for keep in [None, wide] {
            let ask = Ask { name: name(job), pid: 9, keep };
            let choice = choose(Ok(&published), &reader(job as f64), &cursor, &ask, &mut out);
            steered += u32::from(matches!(choice, Choice::Steer(_)));
        }
    }
    black_box(Published::verify(&broken).is_err());
    black_box(choose(
        Err(Reason::Refused),
        &reader(0.0),
        &cursor,
        &Ask { name: name(1), pid: 9, keep: None },
        &mut out,
    ));
    let after = ALLOCATIONS.load(Ordering::Relaxed);

    assert_eq!(after - before, 0);
    // What was measured did happen, and the counter counts.
    assert_eq!(steered, 400);
    black_box(vec![1u8; 10]);
    assert!(ALLOCATIONS.load(Ordering::Relaxed) > after);
}
