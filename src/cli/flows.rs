//! `tarazu sim flows`: finish times of given transfers on a given platform. Reads no clock and decides nothing; the
//! files and the run belong to `tarazu_sim::flows`.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::ValueEnum;
use tarazu_sim::flows::{Transfers, finish_times_s, read_platform, read_transfers};

use super::output::{self, CANNOT_WRITE};

/// The schema of the JSON printed here.
const SCHEMA: &str = "tarazu.flows/1";

#[derive(Debug, clap::Args)]
pub(crate) struct FlowsArgs {
    /// Bandwidths of client NICs, server links and target disks: JSON of schema tarazu-fluid/1
    platform: PathBuf,
    /// Transfers: CSV with the columns id, start_s, client, bytes and osts (targets separated by ';')
    transfers: PathBuf,
    /// Form of the result: one id and finish_s per transfer, in the order of the input
    #[arg(long, value_enum, default_value_t = Output::Csv)]
    output: Output,
}

#[derive(Debug, Clone, Copy, PartialEq, ValueEnum)]
enum Output {
    Csv,
    Json,
}

pub(crate) fn run(args: &FlowsArgs) -> anyhow::Result<ExitCode> {
    let network = read_platform(&args.platform)?;
    let transfers = read_transfers(&args.transfers, &network)?;
    let finish_s = finish_times_s(network, &transfers)?;
    let mut out = output::Output::open();
    let written = match args.output {
        Output::Csv => write_csv(&mut out, &transfers, &finish_s),
        Output::Json => write_json(&mut out, &transfers, &finish_s),
    };
    written.context(CANNOT_WRITE)?;
    out.finish()?;
    Ok(ExitCode::SUCCESS)
}

fn write_csv(out: &mut impl Write, transfers: &Transfers, finish_s: &[f64]) -> std::io::Result<()> {
    writeln!(out, "id,finish_s")?;
    for (transfer, finish_s) in transfers.list().iter().zip(finish_s) {
        writeln!(out, "{},{finish_s:.9}", transfer.id)?;
    }
    Ok(())
}

fn write_json(out: &mut impl Write, transfers: &Transfers, finish_s: &[f64]) -> std::io::Result<()> {
    // By hand, because the nine decimals are part of the format.
    write!(out, "{{\"schema\":\"{SCHEMA}\",\"transfers\":[")?;
    for (index, (transfer, finish_s)) in transfers.list().iter().zip(finish_s).enumerate() {
        let comma = if index == 0 { "" } else { "," };
        write!(out, "{comma}\n{{\"id\":{},\"finish_s\":{finish_s:.9}}}", transfer.id)?;
    }
    writeln!(out, "\n]}}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn tiny() -> (Transfers, Vec<f64>) {
        let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("sim/tests/data/simgrid");
        let network = read_platform(&data.join("tiny.json")).unwrap();
        let transfers = read_transfers(&data.join("tiny.csv"), &network).unwrap();
        let finish_s = finish_times_s(network, &transfers).unwrap();
        (transfers, finish_s)
    }

    #[test]
    fn csv_has_nine_decimals_in_the_order_of_the_input() {
        let (transfers, finish_s) = tiny();
        let mut out = Vec::new();
        write_csv(&mut out, &transfers, &finish_s).unwrap();
        let expected = "id,finish_s\n0,9.825000000\n1,5.500000000\n2,9.025000000\n3,5.000000000\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn json_says_the_same() {
        let (transfers, finish_s) = tiny();
        let mut out = Vec::new();
        write_json(&mut out, &transfers, &finish_s).unwrap();
        let json: serde_json::Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(json["schema"], SCHEMA);
        let rows = json["transfers"].as_array().unwrap();
        assert_eq!(rows.len(), 4);
        assert_eq!((&rows[1]["id"], &rows[1]["finish_s"]), (&1.into(), &5.5.into()));
    }
}
