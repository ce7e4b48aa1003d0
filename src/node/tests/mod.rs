//! The daemon against a controller behind a real socket, and its pure parts by many random histories.

pub(crate) mod controller;
mod exchange;
mod pure;
