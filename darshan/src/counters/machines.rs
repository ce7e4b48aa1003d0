//! Counters of machines and object stores: Blue Gene/Q partitions, DAOS files and objects.

use super::{ACCESSES, FLOATS_START_END, Head, RANKS, SIZE_READ, SIZE_WRITE, Shape, TIMES, join};
use crate::header::Module;

const BGQ_INTS: [&str; 11] = [
    "CSJOBID",
    "NNODES",
    "RANKSPERNODE",
    "DDRPERNODE",
    "INODES",
    "ANODES",
    "BNODES",
    "CNODES",
    "DNODES",
    "ENODES",
    "TORUSENABLED",
];

const DFS_INTS: [&str; 52] = join(&[
    &[
        "OPENS",
        "GLOBAL_OPENS",
        "LOOKUPS",
        "DUPS",
        "READS",
        "READXS",
        "WRITES",
        "WRITEXS",
        "NB_READS",
        "NB_WRITES",
    ],
    &["GET_SIZES", "PUNCHES", "REMOVES", "STATS", "BYTES_READ", "BYTES_WRITTEN", "RW_SWITCHES"],
    &["MAX_READ_TIME_SIZE", "MAX_WRITE_TIME_SIZE"],
    &SIZE_READ,
    &SIZE_WRITE,
    &ACCESSES,
    &["CHUNK_SIZE"],
    &RANKS,
]);

const DAOS_INTS: [&str; 64] = join(&[
    &["OBJ_OPENS", "OBJ_FETCHES", "OBJ_UPDATES", "OBJ_PUNCHES", "OBJ_DKEY_PUNCHES", "OBJ_AKEY_PUNCHES"],
    &["OBJ_DKEY_LISTS", "OBJ_AKEY_LISTS", "OBJ_RECX_LISTS"],
    &["ARRAY_OPENS", "ARRAY_READS", "ARRAY_WRITES", "ARRAY_GET_SIZES", "ARRAY_SET_SIZES", "ARRAY_STATS"],
    &["ARRAY_PUNCHES", "ARRAY_DESTROYS"],
    &["KV_OPENS", "KV_GETS", "KV_PUTS", "KV_REMOVES", "KV_LISTS", "KV_DESTROYS", "NB_OPS"],
    &["BYTES_READ", "BYTES_WRITTEN", "RW_SWITCHES", "MAX_READ_TIME_SIZE", "MAX_WRITE_TIME_SIZE"],
    &SIZE_READ,
    &SIZE_WRITE,
    &ACCESSES,
    &["OBJ_OTYPE", "ARRAY_CELL_SIZE", "ARRAY_CHUNK_SIZE"],
    &RANKS,
]);

/// As POSIX 4, without the variances.
const DAOS_FLOATS: [&str; 15] =
    join(&[&FLOATS_START_END, &TIMES, &["F_FASTEST_RANK_TIME", "F_SLOWEST_RANK_TIME"]]);

/// UUIDs of the pool and the container.
const UUIDS_BYTES: usize = 32;

const fn bgq(head: Head) -> Shape {
    Shape { head, ..Shape::plain(Module::Bgq, "BGQ_", &BGQ_INTS, &["F_TIMESTAMP"]) }
}

/// By version, the first is 1. Version 1 of BG/Q has an alignment word before the counters.
pub(super) static BGQ: [Shape; 2] = [bgq(Head::Unused), bgq(Head::None)];
pub(super) static DFS: [Shape; 1] =
    [Shape { tail_bytes: UUIDS_BYTES, ..Shape::plain(Module::Dfs, "DFS_", &DFS_INTS, &DAOS_FLOATS) }];
/// Behind the UUIDs come the two halves of the object id.
pub(super) static DAOS: [Shape; 1] =
    [Shape { tail_bytes: UUIDS_BYTES + 16, ..Shape::plain(Module::Daos, "DAOS_", &DAOS_INTS, &DAOS_FLOATS) }];
