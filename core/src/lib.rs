//! Every decision of tarazu as pure code.
//!
//! This crate owns who reports ([`registry`]), what the controller sees ([`view`]), what was placed ([`ledger`]), what is foreseen
//! ([`demand`]), how work is spread ([`planner`], [`fill`], [`ring`], and
//! exactly, over all requests at once, [`mincost`]), how a single file is placed
//! ([`placement`], [`stock`], for comparison [`rivals`]) and the controller as a state machine ([`control`]). The simulator and
//! the services run exactly this code.
//!
//! It must not read a clock, open a socket, start a thread, log or draw from a random source of its
//! own: values, `now` and the random source come in, values go out.
#![forbid(unsafe_code)]

pub mod control;
pub mod deal;
pub mod demand;
pub mod exact;
pub mod fill;
pub mod gain;
pub mod health;
pub mod ledger;
pub mod mincost;
pub mod persistence;
pub mod placement;
pub mod plan;
pub mod planner;
pub mod policy;
pub mod publish;
pub mod recent;
pub mod registry;
pub mod ring;
pub mod rivals;
pub mod rng;
pub mod sample;
pub mod stock;
pub mod striping;
pub mod topology;
pub mod view;
pub mod worth;
