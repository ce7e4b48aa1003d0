//! IOR's summary files: JSON has what the text has, CSV only results.

use serde_json::Value;

use super::ior::{self, Direction, IorOutput, IorResult, IorTest, TESTS_MAX, WITH_VALUE};
use super::options::Options;
use super::{BenchOutputError, bad, positive};

/// Reads the JSON of `summaryFormat=JSON`.
pub(super) fn json(file: &str, text: &str) -> Result<IorOutput, BenchOutputError> {
    let root: Value = serde_json::from_str(text)
        .map_err(|source| BenchOutputError::Json { file: file.to_owned(), source })?;
    let Some(tests) = root.get("tests").and_then(Value::as_array) else {
        let what = "is JSON without IOR's list of tests";
        return Err(BenchOutputError::Unknown { file: file.to_owned(), what });
    };
    if tests.is_empty() || tests.len() > TESTS_MAX {
        return Err(bad(file, "tests", &tests.len().to_string(), "1 to 4096 tests"));
    }
    let command = string(&root, "Command line");
    let options = Options::parse(&command, WITH_VALUE);
    let tests = tests.iter().map(|test| json_test(file, test, &options)).collect::<Result<_, _>>()?;
    Ok(IorOutput { file: file.to_owned(), version: string(&root, "Version"), command, tests })
}

fn string(object: &Value, key: &str) -> String {
    object.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}

fn json_test(file: &str, test: &Value, options: &Options) -> Result<IorTest, BenchOutputError> {
    let none = Value::Null;
    let parameters = test.get("Parameters").unwrap_or(&none);
    let printed = test.get("Options").unwrap_or(&none);
    let number = |key: &str| parameters.get(key).and_then(Value::as_u64);
    let printed_number = |key: &str| printed.get(key).and_then(Value::as_u64);
    let small = |number: u64| u32::try_from(number).unwrap_or(u32::MAX);
    let flag = |key: &str| number(key).is_some_and(|value| value != 0);
    let mut out = IorTest::begin(options);
    out.api = string(parameters, "api");
    out.file_name = string(parameters, "testFileName");
    out.access = Some(ior::access(file, &string(printed, "access"))?);
    out.collective = flag("collective");
    out.random = flag("randomOffset");
    out.reordered = flag("reorderTasks");
    out.segments = number("segmentCount").unwrap_or(out.segments);
    out.tasks = printed_number("tasks").map_or(0, small);
    out.tasks_per_node = number("tasksPerNode").map(small);
    out.nodes = number("nodes").map(small);
    out.repetitions = number("repetitions").map_or(1, small);
    out.transfer_bytes = number("transferSize").unwrap_or(out.transfer_bytes);
    out.block_bytes = number("blockSize").unwrap_or(out.block_bytes);
    out.fsync = flag("fsync");
    out.delay_s = number("interTestDelay").map_or(out.delay_s, |seconds| seconds as f64);
    out.stonewall_s =
        number("deadlineForStonewall").filter(|seconds| *seconds > 0).map(|seconds| seconds as f64);
    out.writes = flag("writeFile");
    out.reads = flag("readFile");
    let rows = test.get("Results").and_then(Value::as_array).into_iter().flatten();
    let mut counts = [0u32; 2];
    for row in rows {
        let Some(direction) = Direction::parse(&string(row, "access")) else { continue };
        let value = |key: &str| row.get(key).and_then(Value::as_f64).filter(|value| *value >= 0.0);
        let count = &mut counts[usize::from(direction == Direction::Read)];
        out.results.push(IorResult {
            direction,
            iteration: *count,
            bytes_per_s: value("bwMiB").unwrap_or(0.0) * f64::from(1 << 20),
            ops_per_s: value("iops"),
            open_s: value("openTime"),
            transfer_s: value("wrRdTime"),
            close_s: value("closeTime"),
            total_s: value("totalTime"),
        });
        *count = count.saturating_add(1);
    }
    out.settle(file, options)?;
    Ok(out)
}

/// Reads the CSV of `summaryFormat=CSV`: one test, of which sizes and results are known.
pub(super) fn csv(file: &str, text: &str) -> Result<IorOutput, BenchOutputError> {
    let mut lines = text.lines();
    let header: Vec<&str> = lines.next().unwrap_or_default().split(',').collect();
    let mut test = IorTest::begin(&Options::default());
    for line in lines.filter(|line| !line.trim().is_empty()) {
        let cells: Vec<&str> = line.split(',').collect();
        let cell = |name: &str| {
            let place = header.iter().position(|column| column.split('(').next() == Some(name));
            place.and_then(|place| cells.get(place)).copied().unwrap_or_default()
        };
        let value = |name: &str| positive(cell(name));
        let Some(direction) = Direction::parse(cell("access")) else {
            return Err(bad(file, "access", cell("access"), "write or read"));
        };
        let required = |name: &str| value(name).ok_or_else(|| bad(file, name, cell(name), "a number"));
        // Printed with four decimals of a KiB: finer than a byte.
        test.block_bytes = (required("block")? * 1024.0).round() as u64;
        test.transfer_bytes = (required("xfer")? * 1024.0).round() as u64;
        test.tasks =
            cell("numTasks").parse().map_err(|_| bad(file, "numTasks", cell("numTasks"), "a number"))?;
        let iteration = cell("iter").parse().map_err(|_| bad(file, "iter", cell("iter"), "a number"))?;
        test.repetitions = test.repetitions.max(u32::saturating_add(iteration, 1));
        test.results.push(IorResult {
            direction,
            iteration,
            bytes_per_s: required("bw")? * f64::from(1 << 20),
            ops_per_s: value("IOPS"),
            open_s: value("open"),
            transfer_s: value("wr/rd"),
            close_s: value("close"),
            total_s: value("total"),
        });
    }
    if test.results.is_empty() {
        return Err(BenchOutputError::Missing { file: file.to_owned(), what: "a row of results" });
    }
    test.settle(file, &Options::default())?;
    Ok(IorOutput { file: file.to_owned(), tests: vec![test], ..IorOutput::default() })
}
