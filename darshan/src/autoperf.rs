//! AutoPerf's modules: MPI calls (APMPI) and the network routers of Cray XC machines (APXC).

use super::counters::Shape;
use super::cursor::ByteOrder;
use super::decode::{Decode, Mark, decode};
use super::error::Fault;
use super::header::Region;
use super::inflate::{Packed, Plain};
use super::records::Counters;

/// The header records' marks: the letters `APMPI` and `AUTOPERF` as a number.
const APMPI_MAGIC: u64 = 0x41_50_4d_50_49;
const APXC_MAGIC: u64 = 0x41_55_54_4f_50_45_52_46;

/// Bytes of a router's record: id, rank, place, and 392 counters of its tiles.
const ROUTER_BYTES: usize = 3184;

/// MPI calls of each rank.
#[derive(Clone, Debug, PartialEq)]
pub struct Apmpi {
    /// Whether waiting at collective calls was measured apart.
    pub has_sync_times: bool,
    /// Variance of the ranks' time in MPI calls, in square seconds.
    pub variance_mpi_time: f64,
    /// Variance of the ranks' waiting time at collective calls, in square seconds.
    pub variance_sync_time: f64,
    /// One record per rank; its node is [`Counters::node`].
    pub ranks: Counters,
}

/// Routers that a job's messages passed through on a Cray XC. Their counters are not read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Apxc {
    /// Blades that the job ran on.
    pub blades: i64,
    /// Chassis that the job ran on.
    pub chassis: i64,
    /// Groups (pairs of cabinets) that the job ran on.
    pub groups: i64,
    /// Memory mode of the nodes' processors (Xeon Phi), as Darshan numbers it.
    pub memory_mode: i64,
    /// Cluster mode of the nodes' processors.
    pub cluster_mode: i64,
    /// The application's number in the machine's scheduler.
    pub application_id: i64,
    /// Records of routers behind the header record.
    pub routers: usize,
}

const NO_HEADER: &str = "is not the header record that the module begins with";

impl Apmpi {
    /// Reads a region: whole records of whole streams.
    pub(crate) fn read(
        plain: &mut Plain<'_, '_>,
        packed: Packed,
        order: ByteOrder,
        region: &Region,
    ) -> Result<(Self, Vec<Fault>), Fault> {
        // An unknown version is named as such, not by the header record that it lacks.
        Shape::of(region.module, region.version).ok_or_else(|| unknown_version(region))?;
        let header = read_header(plain, packed, order, APMPI_MAGIC)?;
        let (ranks, faults) = Counters::read(plain, packed, order, region)?;
        let [_, _, _, flag, variance_mpi, variance_sync] = header;
        // The flag is 32 bits wide, and padding that may hold anything follows it.
        let flag = if order == ByteOrder::Big { flag >> 32 } else { flag & u64::from(u32::MAX) };
        let apmpi = Self {
            has_sync_times: flag != 0,
            variance_mpi_time: f64::from_bits(variance_mpi),
            variance_sync_time: f64::from_bits(variance_sync),
            ranks,
        };
        Ok((apmpi, faults))
    }
}

impl Apxc {
    /// Reads a region's header record and counts the others.
    pub(crate) fn read(
        plain: &mut Plain<'_, '_>,
        packed: Packed,
        order: ByteOrder,
        region: &Region,
    ) -> Result<(Self, Vec<Fault>), Fault> {
        if region.version != 1 {
            return Err(unknown_version(region));
        }
        let header: [u64; 9] = read_header(plain, packed, order, APXC_MAGIC)?;
        let [_, _, _, blades, chassis, groups, memory_mode, cluster_mode, application_id] =
            header.map(u64::cast_signed);
        let mut reading = Routers(0);
        let faults = decode(plain, packed, &mut reading);
        let routers = reading.0;
        let apxc = Self { blades, chassis, groups, memory_mode, cluster_mode, application_id, routers };
        Ok((apxc, faults))
    }

    /// What a reader of the numbers should know.
    pub(crate) fn notes(&self) -> Vec<String> {
        vec![format!("APXC: the network counters of {} routers were skipped", self.routers)]
    }
}

fn unknown_version(region: &Region) -> Fault {
    let Region { module, offset, length, version, .. } = *region;
    Fault::RecordVersion { module, offset, length, version, newest: 1 }
}

/// Reads the words of a header record, whose third is the module's mark.
fn read_header<const N: usize>(
    plain: &mut Plain<'_, '_>,
    packed: Packed,
    order: ByteOrder,
    magic: u64,
) -> Result<[u64; N], Fault> {
    let words = plain.words(order).filter(|words: &[u64; N]| words.get(2) == Some(&magic));
    let Packed { module, offset, length, .. } = packed;
    let bad = Fault::Record { module, offset, length, at: 0, what: NO_HEADER, kept: 0 };
    words.ok_or_else(|| plain.take_fault().unwrap_or(bad))
}

/// Routers' records, counted only.
struct Routers(usize);

impl Decode for Routers {
    fn next(&mut self, plain: &mut Plain<'_, '_>) -> Result<(), &'static str> {
        let records = plain.take_items(ROUTER_BYTES, u64::MAX).len() / ROUTER_BYTES;
        if records == 0 {
            return Err("is cut short");
        }
        self.0 += records;
        Ok(())
    }

    fn mark(&self) -> Mark {
        [self.0, 0, 0]
    }

    fn cut(&mut self, mark: Mark) {
        self.0 = mark[0];
    }

    fn records(&self) -> usize {
        self.0
    }
}
