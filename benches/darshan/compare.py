"""Reads the same Darshan logs with tarazu, libdarshan-util and PyDarshan and prints two tables.

usage: compare.py READ_SPEED UTIL_READ TARAZU MEASURE PYTHON_WITH_PYDARSHAN [--quick] [LOG...]

The programs take turns in every round, so that all meet the same noise; figures are medians over the rounds. Fails where
tarazu and libdarshan-util do not read the same number of records."""
import glob, json, os, resource, statistics, subprocess, sys, time

HERE = os.path.dirname(os.path.abspath(__file__))
TRACES = os.path.join(HERE, "..", "..", "..", "shared", "traces")
# The logs with the most records or traced accesses, by falling number of bytes.
LOGS = [
    "public/dxt-explorer/openpmd-bench-cori-1024.darshan",
    "generated/ior-partial-n4.darshan",
    "public/darshan-logs/partial_data_dxt.darshan",
    "public/darshan-logs/nonmpi_workflow/worker_0.darshan",
    "public/darshan-logs/e3sm_io_heatmap_only.darshan",
    "public/pydarshan/sample-badost.darshan",
    "public/darshan-logs/apmpi-theta-128.darshan",
    "public/pydarshan/noposix.darshan",
]
# Where the traces are absent: logs that come with PyDarshan.
PACKAGED = ["sample-badost.darshan", "noposix.darshan", "dxt.darshan", "ior_hdf5_example.darshan"]
COUNTS = ["names", "posix", "mpiio", "stdio", "lustre", "dxt_posix", "dxt_mpiio", "segments"]


def chosen_logs(python):
    """The logs to read one by one, and all that there are."""
    if os.path.isdir(TRACES):
        everything = sorted(glob.glob(os.path.join(TRACES, "public", "**", "*.darshan"), recursive=True))
        return [os.path.normpath(os.path.join(TRACES, log)) for log in LOGS], list(map(os.path.normpath, everything))
    print("../shared/traces is absent: reading the logs that come with PyDarshan instead", file=sys.stderr)
    find = "import darshan, os; print(os.path.dirname(darshan.__file__))"
    package = subprocess.run([python, "-c", find], check=True, capture_output=True, text=True).stdout.strip()
    logs = [os.path.join(package, "examples", "example_logs", name) for name in PACKAGED]
    return [log for log in logs if os.path.exists(log)], []


class PyDarshan:
    """One process for all rounds, so that its imports cost nothing here."""

    def __init__(self, python):
        command = [python, os.path.join(HERE, "pydarshan_read.py")]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def read(self, logs):
        self.process.stdin.write("\t".join(logs) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())


def run_json(command):
    """What a driver printed, and the CPU seconds of one of its passes (the uncounted one included)."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    run = subprocess.run(command, capture_output=True, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if run.returncode != 0 or not run.stdout:
        return None
    result = json.loads(run.stdout)
    cpu_s = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return result | {"cpu_s": cpu_s / (result["passes"] + 1)}


def readable(log, python):
    """Whether each of the three reads the log; a crash of the library would take PyDarshan's process along."""
    theirs = run_json([UTIL_READ, "time", "0", log])
    ours = run_json([READ_SPEED, "0", log])
    return bool(theirs and ours) and theirs["failed"] + ours["failed"] == 0 and PyDarshan(python).read([log])["failed"] == 0


def compare_reading(name, logs, python, rounds, seconds):
    """Reading within the process, in seconds; returns whether the counts agree."""
    ours, theirs, pythons = [], [], []
    for _ in range(rounds):
        ours.append(run_json([READ_SPEED, str(seconds), *logs]))
        theirs.append(run_json([UTIL_READ, "time", str(seconds), *logs]))
        pythons.append(python.read(logs))
    agrees = all(ours[0][key] == theirs[0][key] for key in COUNTS)
    ms, c_ms, py_ms = [1e3 * statistics.median(run["seconds"] for run in runs) for runs in (ours, theirs, pythons)]
    cpu_ms, c_cpu_ms = [1e3 * statistics.median(run["cpu_s"] for run in runs) for runs in (ours, theirs)]
    records = sum(ours[0][key] for key in COUNTS[1:-1])
    print(f"| {name} | {sum(map(os.path.getsize, logs)):,} | {records:,} / {ours[0]['segments']:,} | {ms:.3f} / {cpu_ms:.3f} "
          f"| {c_ms:.3f} / {c_cpu_ms:.3f} | {py_ms:.1f} | {c_ms / ms:.1f} | {py_ms / ms:.0f} |", flush=True)
    if not agrees:
        print(f"{name}: counts differ: {ours[0]} {theirs[0]}", file=sys.stderr)
    return agrees


def measure(command):
    """Wall ms, CPU ms and peak MiB of a command whose output goes nowhere."""
    start = time.perf_counter()
    run = subprocess.run([MEASURE, *command], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    wall_s = time.perf_counter() - start
    if run.returncode != 0:
        sys.exit(f"{' '.join(command)} failed:\n{run.stderr}")
    cpu_s, peak_kib = run.stderr.strip().splitlines()[-1].split()
    return 1e3 * wall_s, 1e3 * float(cpu_s), float(peak_kib) / 1024


def compare_programs(name, log, rounds):
    """Whole processes that print what they read."""
    ours, theirs = [], []
    for _ in range(rounds):
        ours.append(measure([TARAZU, "trace", "show", "--output", "json", log]))
        theirs.append(measure([UTIL_READ, "print", log]))
    (wall, cpu, peak), (c_wall, c_cpu, c_peak) = [[statistics.median(column) for column in zip(*runs)] for runs in (ours, theirs)]
    print(f"| {name} | {c_wall:.1f} / {c_cpu:.1f} / {c_peak:.1f} | {wall:.1f} / {cpu:.1f} / {peak:.1f} | {c_wall / wall:.1f} "
          f"| {c_cpu / cpu:.1f} | {peak / c_peak:.2f} |", flush=True)


def main():
    quick = "--quick" in sys.argv
    rounds, seconds = (3, 0.1) if quick else (11, 0.3)
    logs, everything = chosen_logs(PYTHON) if len(ARGUMENTS) == 0 else (ARGUMENTS, [])
    python, agrees = PyDarshan(PYTHON), True
    print("| log | bytes | records / traced accesses | tarazu wall / cpu ms | libdarshan-util wall / cpu ms | PyDarshan wall ms | libdarshan-util / tarazu | PyDarshan / tarazu |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    for log in logs:
        agrees &= compare_reading(os.path.basename(log).removesuffix(".darshan"), [log], python, rounds, seconds)
    if everything and not quick:
        kept = [log for log in everything if readable(log, PYTHON)]
        agrees &= compare_reading(f"{len(kept)} public logs", kept, python, rounds, seconds)
        left = [os.path.basename(log) for log in everything if log not in kept]
        print(f"\nLeft out of all public logs, because not all three read them: {', '.join(left) or 'none'}.")
    print("\n| log | printing through libdarshan-util: wall ms / cpu ms / peak MiB | `tarazu trace show --output json`: the same "
          "| wall, ratio | cpu, ratio | memory, ratio |")
    print("| --- | --- | --- | --- | --- | --- |")
    for log in logs:
        compare_programs(os.path.basename(log).removesuffix(".darshan"), log, rounds)
    if not agrees:
        sys.exit("tarazu and libdarshan-util read different numbers of records")


ARGUMENTS = [argument for argument in sys.argv[1:] if argument != "--quick"]
READ_SPEED, UTIL_READ, TARAZU, MEASURE, PYTHON, *ARGUMENTS = ARGUMENTS
main()
