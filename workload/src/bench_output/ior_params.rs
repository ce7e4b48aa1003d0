//! A test of IOR into the generator's parameters.

use super::ior::{IorOutput, IorTest};
use super::{BenchOutputError, Params, Translated};
use crate::generate::{Access, IorParams};

/// The parameters of a test.
pub(super) fn params(output: &IorOutput, test: &IorTest) -> Result<Translated, BenchOutputError> {
    let refuse = |why: String| BenchOutputError::Params { file: output.file.clone(), why };
    let Some(access) = test.access else {
        let why = "the CSV does not say whether ranks share a file: name the text or JSON output";
        return Err(refuse(why.into()));
    };
    let (nodes, ranks_per_node) = placement(test).map_err(|why| refuse(why.into()))?;
    if !test.block_bytes.is_multiple_of(test.transfer_bytes) {
        return Err(refuse(format!(
            "the block of {} bytes is no multiple of the transfer of {} bytes{}",
            test.block_bytes,
            test.transfer_bytes,
            if test.sizes_rounded {
                ": it was printed rounded, and the command line does not have it"
            } else {
                ""
            }
        )));
    }
    let (block_bytes, segments) = moved(test);
    let Ok(segments) = u32::try_from(segments) else {
        return Err(refuse(format!("{segments} segments are more than the generator makes")));
    };
    let mut notes = notes(test);
    if (block_bytes, u64::from(segments)) != (test.block_bytes, test.segments) {
        notes.push(format!(
            "the run moved less than was asked for: {segments} segments of {block_bytes} bytes a rank instead of {} of {}",
            test.segments, test.block_bytes
        ));
    }
    let defaults = IorParams::default();
    let dir = test.file_name.rsplit_once('/').map(|(dir, _)| dir).filter(|dir| dir.starts_with('/'));
    let params = IorParams {
        nodes,
        ranks_per_node,
        access,
        block_bytes,
        transfer_bytes: test.transfer_bytes,
        segments,
        iterations: test.repetitions,
        gap_s: test.delay_s,
        write: test.writes,
        read: test.reads,
        fsync: test.fsync,
        dir: dir.map_or(defaults.dir, str::to_owned),
        ..IorParams::default()
    };
    Ok(Translated { params: Params::Ior(params), notes })
}

/// Nodes and ranks on each, from those two of three numbers that are printed.
fn placement(test: &IorTest) -> Result<(u32, u32), &'static str> {
    let (nodes, each) = match (test.nodes, test.tasks_per_node) {
        (Some(nodes), _) if nodes > 0 && test.tasks.is_multiple_of(nodes) => (nodes, test.tasks / nodes),
        (_, Some(each)) if each > 0 && test.tasks.is_multiple_of(each) => (test.tasks / each, each),
        (None, None) => return Err("the output does not say on how many nodes it ran"),
        _ => return Err("the tasks do not divide evenly among the nodes, which the generator needs"),
    };
    Ok((nodes, each))
}

/// Block and segments that move what the run moved: fewer segments, or a shorter block of the only one.
fn moved(test: &IorTest) -> (u64, u64) {
    let asked = u128::from(test.block_bytes) * u128::from(test.segments);
    let each =
        test.moved_bytes.map_or(asked, |bytes| u128::from(bytes.div_ceil(u64::from(test.tasks.max(1)))));
    if each == 0 || each >= asked {
        return (test.block_bytes, test.segments);
    }
    // Below what was asked for, so it fits.
    let each = each as u64;
    if test.segments == 1 {
        (each.next_multiple_of(test.transfer_bytes), 1)
    } else {
        (test.block_bytes, each.div_ceil(test.block_bytes))
    }
}

/// What the generator does otherwise.
fn notes(test: &IorTest) -> Vec<String> {
    let mut notes = Vec::new();
    let mut say = |applies: bool, what: &str| {
        if applies {
            notes.push(what.to_owned());
        }
    };
    say(
        test.random,
        "transfers were in random order and become sequential: the same ranges in another order",
    );
    say(
        test.collective,
        "collective MPI-IO becomes each rank's own transfers: aggregation is the MPI library's",
    );
    say(
        test.reads && !test.reordered,
        "each rank read its own blocks and will read those of the next node's ranks",
    );
    say(
        !matches!(test.api.as_str(), "POSIX" | "MPIIO" | ""),
        "the library's own metadata is left out: the data alone is replayed",
    );
    say(test.sizes_rounded, "sizes were printed rounded, and the command line does not have them");
    say(
        test.access == Some(Access::Ssf) && test.stripe_count.is_some(),
        "the striping that was printed is kept beside the parameters: layouts are the policy's affair",
    );
    notes
}
