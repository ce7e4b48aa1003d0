//! What reading any bytes as the text of a Recorder trace must hold.
//!
//! Compiled into the fuzz target and, by path, into the test that replays its corpus.

use tarazu_workload::recorder::{Keep, ReadOptions, from_texts};

/// Stands between the texts of two ranks; recorder2text never prints it.
const BETWEEN_RANKS: u8 = 0x0c;

/// Ranks of one input: more only make it slower.
const RANKS_MAX: usize = 8;

/// A trace is refused with a reason or gives a sound workload. Whether it gave one.
pub(crate) fn check(bytes: &[u8]) -> bool {
    let texts: Vec<&[u8]> = bytes.split(|byte| *byte == BETWEEN_RANKS).take(RANKS_MAX).collect();
    let mut read_any = false;
    for keep in [Keep::Usual, Keep::All] {
        match from_texts(&texts, &ReadOptions { keep, ..ReadOptions::default() }) {
            Ok(read) => {
                read.workload.check().expect("a workload that was made holds its own rules");
                read_any = true;
            }
            Err(error) => assert!(!error.to_string().is_empty()),
        }
    }
    read_any
}
