//! HACC-IO's output: two lines with bandwidth, bytes and time.

use super::{BenchOutputError, Params, Placement, Translated, positive};
use crate::generate::{Access, HaccParams};

/// Bytes of a particle, and of the header of every file; as the generator has them.
const PARTICLE_BYTES: u64 = 38;
const HEADER_BYTES: u64 = 24 << 20;

/// What HACC-IO printed.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HaccOutput {
    /// The file it was read from.
    pub file: String,
    /// Bytes of the checkpoint, headers included.
    pub written_bytes: u64,
    /// Its rate by HACC-IO's clock, in bytes/s.
    pub write_bytes_per_s: f64,
    /// Its longest rank, in seconds.
    pub write_s: f64,
    /// Bytes of the restart; in a shared file each rank reads the header.
    pub read_bytes: Option<u64>,
    /// Its rate, in bytes/s.
    pub read_bytes_per_s: Option<f64>,
    /// Its longest rank, in seconds.
    pub read_s: Option<f64>,
}

impl HaccOutput {
    /// Neither the ranks nor their files are printed: with the number of ranks the bytes tell whether each had
    /// a file, because every file has a header.
    pub(super) fn params(&self, placement: Option<Placement>) -> Result<Translated, BenchOutputError> {
        let refuse = |why: String| BenchOutputError::Params { file: self.file.clone(), why };
        let Some(place) = placement else {
            return Err(refuse(
                "HACC-IO does not print how many ranks ran: give nodes and ranks per node, on the command line with \
                 --nodes and --ranks-per-node"
                    .into(),
            ));
        };
        let ranks = u64::from(place.nodes) * u64::from(place.ranks_per_node);
        let particles = |files: u64| {
            let arrays = self.written_bytes.checked_sub(files.checked_mul(HEADER_BYTES)?)?;
            let each = ranks.checked_mul(PARTICLE_BYTES).filter(|each| *each > 0)?;
            (arrays % each == 0 && arrays > 0).then_some(arrays / each)
        };
        let ways = [(Access::Fpp, particles(ranks)), (Access::Ssf, particles(1))];
        let Some((access, particles)) = ways.into_iter().find_map(|(access, found)| Some((access, found?)))
        else {
            return Err(refuse(format!(
                "{} bytes are no whole particles of {PARTICLE_BYTES} bytes and headers for {ranks} ranks: give the \
                 number of ranks that ran as nodes and ranks per node, on the command line with --nodes and \
                 --ranks-per-node",
                self.written_bytes
            )));
        };
        let params = HaccParams {
            nodes: place.nodes,
            ranks_per_node: place.ranks_per_node,
            access,
            particles,
            restart: self.read_bytes.is_some(),
            ..HaccParams::default()
        };
        Ok(Translated { params: Params::Hacc(params), notes: Vec::new() })
    }
}

/// Reads the text.
pub(super) fn text(file: &str, text: &str) -> Result<HaccOutput, BenchOutputError> {
    let line =
        |what: &str| text.lines().find_map(|line| line.split_once(what)).and_then(|(_, rest)| perf(rest));
    let missing =
        || BenchOutputError::Missing { file: file.to_owned(), what: "the line WRITE Checkpoint Perf" };
    let (write_bytes_per_s, written_bytes, write_s) = line("WRITE Checkpoint Perf:").ok_or_else(missing)?;
    let read = line("READ Restart Perf:");
    Ok(HaccOutput {
        file: file.to_owned(),
        written_bytes,
        write_bytes_per_s,
        write_s,
        read_bytes: read.map(|read| read.1),
        read_bytes_per_s: read.map(|read| read.0),
        read_s: read.map(|read| read.2),
    })
}

/// `206.997 BW[MB/s] 61645824 Bytes 0.284015 MaxTime[sec]`, where MB are 2^20 bytes.
fn perf(rest: &str) -> Option<(f64, u64, f64)> {
    let words: Vec<&str> = rest.split_whitespace().collect();
    match words.as_slice() {
        [rate, "BW[MB/s]", bytes, "Bytes", time, "MaxTime[sec]", ..] => {
            Some((positive(rate)? * f64::from(1 << 20), bytes.parse().ok()?, positive(time)?))
        }
        _ => None,
    }
}
