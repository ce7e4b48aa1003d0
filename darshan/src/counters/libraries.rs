//! Counters of I/O libraries: HDF5 files and datasets, PnetCDF files and variables.

use super::{FLOATS, Head, RANKS, SIZE_READ_AGG, SIZE_WRITE_AGG, Shape, join};
use crate::header::Module;

/// The four commonest accesses of a dataset or variable: bytes, then length and stride in each of the last
/// five dimensions; then how often each occurred.
const SELECTIONS: [&str; 48] = [
    "ACCESS1_ACCESS",
    "ACCESS1_LENGTH_D1",
    "ACCESS1_LENGTH_D2",
    "ACCESS1_LENGTH_D3",
    "ACCESS1_LENGTH_D4",
    "ACCESS1_LENGTH_D5",
    "ACCESS1_STRIDE_D1",
    "ACCESS1_STRIDE_D2",
    "ACCESS1_STRIDE_D3",
    "ACCESS1_STRIDE_D4",
    "ACCESS1_STRIDE_D5",
    "ACCESS2_ACCESS",
    "ACCESS2_LENGTH_D1",
    "ACCESS2_LENGTH_D2",
    "ACCESS2_LENGTH_D3",
    "ACCESS2_LENGTH_D4",
    "ACCESS2_LENGTH_D5",
    "ACCESS2_STRIDE_D1",
    "ACCESS2_STRIDE_D2",
    "ACCESS2_STRIDE_D3",
    "ACCESS2_STRIDE_D4",
    "ACCESS2_STRIDE_D5",
    "ACCESS3_ACCESS",
    "ACCESS3_LENGTH_D1",
    "ACCESS3_LENGTH_D2",
    "ACCESS3_LENGTH_D3",
    "ACCESS3_LENGTH_D4",
    "ACCESS3_LENGTH_D5",
    "ACCESS3_STRIDE_D1",
    "ACCESS3_STRIDE_D2",
    "ACCESS3_STRIDE_D3",
    "ACCESS3_STRIDE_D4",
    "ACCESS3_STRIDE_D5",
    "ACCESS4_ACCESS",
    "ACCESS4_LENGTH_D1",
    "ACCESS4_LENGTH_D2",
    "ACCESS4_LENGTH_D3",
    "ACCESS4_LENGTH_D4",
    "ACCESS4_LENGTH_D5",
    "ACCESS4_STRIDE_D1",
    "ACCESS4_STRIDE_D2",
    "ACCESS4_STRIDE_D3",
    "ACCESS4_STRIDE_D4",
    "ACCESS4_STRIDE_D5",
    "ACCESS1_COUNT",
    "ACCESS2_COUNT",
    "ACCESS3_COUNT",
    "ACCESS4_COUNT",
];

const FILE_OLD_FLOATS: [&str; 2] = ["F_OPEN_START_TIMESTAMP", "F_CLOSE_END_TIMESTAMP"];
/// Opening and closing of files, as H5F 2 and PNETCDF_FILE 2 have them.
const FILE_FLOATS: [&str; 4] =
    ["F_OPEN_START_TIMESTAMP", "F_CLOSE_START_TIMESTAMP", "F_OPEN_END_TIMESTAMP", "F_CLOSE_END_TIMESTAMP"];
const H5F_FLOATS: [&str; 5] = join(&[&FILE_FLOATS, &["F_META_TIME"]]);

const H5D_INTS: [&str; 94] = join(&[
    &["OPENS", "READS", "WRITES", "FLUSHES", "BYTES_READ", "BYTES_WRITTEN", "RW_SWITCHES"],
    &["REGULAR_HYPERSLAB_SELECTS", "IRREGULAR_HYPERSLAB_SELECTS", "POINT_SELECTS"],
    &["MAX_READ_TIME_SIZE", "MAX_WRITE_TIME_SIZE"],
    &SIZE_READ_AGG,
    &SIZE_WRITE_AGG,
    &SELECTIONS,
    &["DATASPACE_NDIMS", "DATASPACE_NPOINTS", "DATATYPE_SIZE"],
    &["CHUNK_SIZE_D1", "CHUNK_SIZE_D2", "CHUNK_SIZE_D3", "CHUNK_SIZE_D4", "CHUNK_SIZE_D5"],
    &["USE_MPIIO_COLLECTIVE", "USE_DEPRECATED"],
    &RANKS,
]);

const PNETCDF_FILE_INTS: [&str; 9] = [
    "CREATES",
    "OPENS",
    "REDEFS",
    "INDEP_WAITS",
    "COLL_WAITS",
    "SYNCS",
    "BYTES_READ",
    "BYTES_WRITTEN",
    "WAIT_FAILURES",
];
const PNETCDF_FILE_FLOATS: [&str; 8] = [
    "F_OPEN_START_TIMESTAMP",
    "F_CLOSE_START_TIMESTAMP",
    "F_WAIT_START_TIMESTAMP",
    "F_OPEN_END_TIMESTAMP",
    "F_CLOSE_END_TIMESTAMP",
    "F_WAIT_END_TIMESTAMP",
    "F_META_TIME",
    "F_WAIT_TIME",
];

const PNETCDF_VAR_INTS: [&str; 120] = join(&[
    &["OPENS", "INDEP_READS", "INDEP_WRITES", "COLL_READS", "COLL_WRITES", "NB_READS", "NB_WRITES"],
    &["BYTES_READ", "BYTES_WRITTEN", "RW_SWITCHES"],
    &["PUT_VAR", "PUT_VAR1", "PUT_VARA", "PUT_VARS", "PUT_VARM", "PUT_VARN", "PUT_VARD"],
    &["GET_VAR", "GET_VAR1", "GET_VARA", "GET_VARS", "GET_VARM", "GET_VARN", "GET_VARD"],
    &["IPUT_VAR", "IPUT_VAR1", "IPUT_VARA", "IPUT_VARS", "IPUT_VARM", "IPUT_VARN"],
    &["IGET_VAR", "IGET_VAR1", "IGET_VARA", "IGET_VARS", "IGET_VARM", "IGET_VARN"],
    &["BPUT_VAR", "BPUT_VAR1", "BPUT_VARA", "BPUT_VARS", "BPUT_VARM", "BPUT_VARN"],
    &["MAX_READ_TIME_SIZE", "MAX_WRITE_TIME_SIZE"],
    &SIZE_READ_AGG,
    &SIZE_WRITE_AGG,
    &SELECTIONS,
    &["NDIMS", "NPOINTS", "DATATYPE_SIZE", "IS_RECORD_VAR"],
    &RANKS,
]);

const fn h5d(head: Head) -> Shape {
    Shape { head, ..Shape::plain(Module::H5d, "H5D_", &H5D_INTS, &FLOATS) }
}

const fn h5f(ints: &'static [&'static str], floats: &'static [&'static str]) -> Shape {
    Shape::plain(Module::H5f, "H5F_", ints, floats)
}

const fn pnetcdf_file(ints: &'static [&'static str], floats: &'static [&'static str]) -> Shape {
    Shape::plain(Module::PnetcdfFile, "PNETCDF_FILE_", ints, floats)
}

/// By version, the first is 1.
pub(super) static H5F: [Shape; 3] = [
    h5f(&["OPENS"], &FILE_OLD_FLOATS),
    h5f(&["OPENS"], &FILE_FLOATS),
    h5f(&["OPENS", "FLUSHES", "USE_MPIIO"], &H5F_FLOATS),
];
pub(super) static H5D: [Shape; 2] = [h5d(Head::None), h5d(Head::FileId)];
pub(super) static PNETCDF_FILE: [Shape; 3] = [
    pnetcdf_file(&["INDEP_OPENS", "COLL_OPENS"], &FILE_OLD_FLOATS),
    pnetcdf_file(&["INDEP_OPENS", "COLL_OPENS"], &FILE_FLOATS),
    pnetcdf_file(&PNETCDF_FILE_INTS, &PNETCDF_FILE_FLOATS),
];
pub(super) static PNETCDF_VAR: [Shape; 1] = [Shape {
    head: Head::FileId,
    ..Shape::plain(Module::PnetcdfVar, "PNETCDF_VAR_", &PNETCDF_VAR_INTS, &FLOATS)
}];
