"""What tarazu brings in the situations that it was built for; prints Markdown (see README.md).

usage: run.py TARAZU [a] [b] [c] [d] [ablation] [--quick]
"""

import json
import math
import statistics
import subprocess
import sys
import tempfile

import mix

STOCK = ["lustre-rr", "lustre-qos"]
SEEDS = range(1, 11)
LOADS = [0.1, 0.5, 0.8, 0.95]
WINDOW_S = 120
OST35_WRITE_BPS = 35 * 500 * mix.MIB


def sim(tarazu, *arguments):
    """Results of one experiment: policy -> metric -> values by seed, and the whole report."""
    command = [tarazu, "sim", *arguments, "--output", "json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)}\n{done.stderr}")
    report = json.loads(done.stdout)
    values = {
        policy["policy"]: {name: metric["by_seed"] for name, metric in policy["metrics"].items()}
        for policy in report["policies"]
    }
    return values, {policy["policy"]: policy for policy in report["policies"]}


def interval(changes):
    """Mean and half of the 95 % interval."""
    mean = statistics.mean(changes)
    if len(changes) < 2:
        return mean, math.nan
    quantile = {3: 4.303, 4: 3.182, 5: 2.776, 10: 2.262}.get(len(changes), 1.96)
    return mean, quantile * statistics.stdev(changes) / math.sqrt(len(changes))


def against_better(values, metric, more_is_better=False):
    """Changes seed by seed against the stock allocator with the better mean, and its name."""
    means = {policy: statistics.mean(values[policy][metric]) for policy in STOCK}
    better = (max if more_is_better else min)(STOCK, key=lambda policy: means[policy])
    pairs = zip(values["tarazu"][metric], values[better][metric])
    return better, [ours / theirs - 1 for ours, theirs in pairs if theirs]


def cell(changes):
    mean, half = interval(changes)
    return f"{100 * mean:+.1f} ±{100 * half:.1f} %"


def joined(runs):
    """Values of several experiments of one seed each, side by side."""
    names = runs[0]["tarazu"].keys()
    return {p: {n: [v for run in runs for v in run[p].get(n, [])] for n in names} for p in runs[0]}


def row(*cells):
    print("| " + " | ".join(cells) + " |", flush=True)


def paper(tarazu, loads, seeds):
    """(a) 35 targets on 7 servers, IOR and HACC-IO at once, no load of others."""
    print("\n### (a) IOR and HACC-IO at once, mixed stripe counts, some progressive; nothing else on the system\n")
    row("load", "steering", "CoV of written work", "read, right after", "read together, 1 min later", "10 min later", "a day later",
        "job I/O", "makespan", "makespan / bound", "bytes steered")
    row(*["---"] * 11)
    for load in loads:
        for label, extra in [("as built", []), ("always", ["--steer-always"])]:
            results = {}
            steered = []
            loose = []
            for when, read_at in [("now", None), ("1min", WINDOW_S + 60), ("10min", 600), ("day", 86400)]:
                runs = []
                for seed in seeds:
                    specs = mix.jobs(seed, load, WINDOW_S, OST35_WRITE_BPS, read_at)
                    generated = [part for spec in specs for part in ("--generate", spec)]
                    values, whole = sim(tarazu, "--policy", "lustre-rr,lustre-qos,tarazu", "--seeds", "1", *generated, *extra)
                    runs.append(values)
                    if when == "now":
                        steered.append(whole["tarazu"]["bytes_steered_share"] or 0.0)
                        bound = whole["tarazu"].get("makespan_over_bound")
                        loose.append(bound if bound else math.nan)
                results[when] = joined(runs)
            now = results["now"]
            reads = [cell(against_better(results[when], "read_MiBps", True)[1]) for when in ("now", "1min", "10min", "day")]
            row(f"{100 * load:.0f} %", label, cell(against_better(now, "stored_cov")[1]), *reads,
                cell(against_better(now, "job_io_s")[1]), cell(against_better(now, "makespan_s")[1]),
                f"{statistics.mean(loose):.2f}", f"{100 * statistics.mean(steered):.0f} %")


def striping(tarazu, loads, seeds):
    """(a) with the stripe counts of tarazu's own rule: what striping brings besides placement."""
    print("\n### (a) with stripe counts as tarazu advises, against the same jobs as they were striped before\n")
    row("load", "striped before", "CoV of written work", "read, right after", "read together, 1 min later", "job I/O", "makespan")
    row(*["---"] * 7)
    for load in loads:
        for label, before in [("one stripe (Lustre's default)", "count=1"), ("mixed, by hand", "as-logged")]:
            results = {}
            for when, read_at in [("now", None), ("1min", WINDOW_S + 60)]:
                runs = []
                for seed in seeds:
                    specs = mix.jobs(seed, load, WINDOW_S, OST35_WRITE_BPS, read_at)
                    generated = [part for spec in specs for part in ("--generate", spec)]
                    stock, _ = sim(tarazu, "--policy", "lustre-rr,lustre-qos", "--seeds", "1", "--striping", before, *generated)
                    ours, _ = sim(tarazu, "--policy", "tarazu", "--seeds", "1", "--striping", "advised", *generated)
                    runs.append({**stock, **ours})
                results[when] = joined(runs)
            now, later = results["now"], results["1min"]
            row(f"{100 * load:.0f} %", label, cell(against_better(now, "stored_cov")[1]),
                cell(against_better(now, "read_MiBps", True)[1]), cell(against_better(later, "read_MiBps", True)[1]),
                cell(against_better(now, "job_io_s")[1]), cell(against_better(now, "makespan_s")[1]))


def background(tarazu, dwells, loads):
    """(b) Load of others as on Spider II."""
    print("\n### (b) Load of others as on Spider II, against how long it stays\n")
    row("system", "others' mean load", "dwell", "p99 of file I/O time", "job I/O", "bytes steered")
    row(*["---"] * 6)
    for load in loads:
        for dwell in dwells:
            spec = "ior:nodes=16,ranks_per_node=8,block=256M,transfer=16M,iterations=4,gap=30,read=true"
            values, whole = sim(tarazu, "--policy", "lustre-rr,lustre-qos,tarazu", "--seeds", "10", "--generate", spec,
                                "--background", f"markov={load},dwell={dwell}")
            steered = whole["tarazu"]["bytes_steered_share"] or 0.0
            row("ost35", f"{100 * load:.0f} %", f"x {dwell}", cell(against_better(values, "file_io_p99_s")[1]),
                cell(against_better(values, "job_io_s")[1]), f"{100 * steered:.0f} %")


def sick(tarazu, speeds):
    """(c) A slow target that nobody knows of."""
    print("\n### (c) A slow target from cold: job I/O time\n")
    row("its speed", "lustre-rr [s]", "better stock allocator that knew from the start [s]", "tarazu, found by itself [s]", "tarazu, told at the start [s]",
        "tarazu, health off [s]", "found by itself / knew")
    row(*["---"] * 7)
    spec = ["--generate", "checkpoint:nodes=16,ranks_per_node=8,bytes=512M,transfer=16M,count=6,period=120"]
    for speed in speeds:
        target = ["--sick", f"3:{speed}"]

        def job_io(policies, *extra):
            values, _ = sim(tarazu, "--policy", policies, "--seeds", "10", *spec, *extra)
            return min(statistics.mean(metrics["job_io_s"]) for metrics in values.values())

        blind = job_io("lustre-rr", *target)
        # The administrator has taken the target out before the job began.
        knew = job_io("lustre-rr,lustre-qos", "--fault", "down:3")
        found = job_io("tarazu", *target, "--sick-known-after", "never", "--canary")
        told = job_io("tarazu", *target, "--sick-known-after", "0")
        off = job_io("tarazu", *target, "--sick-known-after", "never", "--no-health")
        row(f"{speed}", *(f"{seconds:.2f}" for seconds in (blind, knew, found, told, off)), f"{found / knew:.2f}")


def day(tarazu, hours):
    """(d) A composed day of a machine."""
    print("\n### (d) A composed machine day (`top-heavy`)\n")
    row("others' load", "p99 stretch", "p99 of file I/O time", "job I/O", "files steered", "bytes steered")
    row(*["---"] * 6)
    with tempfile.NamedTemporaryFile(suffix=".csv") as file:
        subprocess.run([tarazu, "trace", "compose", "--preset", "top-heavy", "--hours", str(hours), "--out", file.name], check=True,
                       capture_output=True)
        for others in ["none", "markov", "markov,dwell=16"]:
            values, whole = sim(tarazu, file.name, "--policy", "lustre-rr,lustre-qos,tarazu", "--seeds", "10", "--background", others)
            ours = whole["tarazu"]
            row(others, *(cell(against_better(values, metric)[1]) for metric in ("stretch_p99", "file_io_p99_s", "job_io_s")),
                f"{100 * (ours['files_steered_share'] or 0):.0f} %", f"{100 * (ours['bytes_steered_share'] or 0):.0f} %")


PARTS = [
    ("everything", []),
    ("without health", ["--no-health"]),
    ("without ledger", ["--without", "ledger"]),
    ("without forecast", ["--forecast", "none"]),
    ("with sizes that err by a factor of 2 (deviation of the logarithm 0.7)", ["--forecast", "errs=0.7"]),
    ("without live load", ["--without", "load"]),
    ("without the server term", ["--without", "servers"]),
    ("without the stream term", ["--without", "streams"]),
    ("without what was written lately", ["--without", "written"]),
    ("without places", ["--without", "places"]),
    ("with the exact solver", ["--exact"]),
]


def ablation(tarazu, seeds):
    """Each part off in turn, in four situations."""
    print("\n### Ablation: change of job I/O time against the better stock allocator, and of the CoV of written work in the first\n")
    specs = mix.jobs(3, 0.5, WINDOW_S, OST35_WRITE_BPS)
    generated = [part for spec in specs for part in ("--generate", spec)]
    job = ["--generate", "checkpoint:nodes=16,ranks_per_node=8,bytes=512M,transfer=16M,count=4,period=120"]
    situations = [
        ("mix at half load", generated),
        ("load of others, dwell x 16", [*job, "--background", "markov,dwell=16"]),
        ("slow target (1/20), nobody tells", [*job, "--sick", "3", "--sick-known-after", "never"]),
        ("mixed disks (orion-like)", ["--system", "orion-like", *job]),
    ]
    row("", "mix at half load: CoV", *(name for name, _ in situations))
    row(*["---"] * (len(situations) + 2))
    for name, extra in PARTS:
        cells = []
        for number, (_, arguments) in enumerate(situations):
            values, _ = sim(tarazu, "--policy", "lustre-rr,lustre-qos,tarazu", "--seeds", str(seeds), *arguments, *extra)
            if number == 0:
                cells.append(cell(against_better(values, "stored_cov")[1]))
            cells.append(cell(against_better(values, "job_io_s")[1]))
        row(name, *cells)


def main():
    words = [word for word in sys.argv[2:] if not word.startswith("--")]
    quick = "--quick" in sys.argv
    tarazu = sys.argv[1]
    chosen = words or ["a", "b", "c", "d", "ablation"]
    if "a" in chosen:
        paper(tarazu, LOADS[:2] if quick else LOADS, SEEDS[:3] if quick else SEEDS)
        striping(tarazu, LOADS[:2] if quick else LOADS, SEEDS[:3] if quick else SEEDS)
    if "b" in chosen:
        background(tarazu, [1, 16] if quick else [1, 4, 16, 64], [0.5] if quick else [0.1, 0.5, 0.8])
    if "c" in chosen:
        sick(tarazu, [0.05] if quick else [0.05, 0.25, 0.5])
    if "d" in chosen:
        day(tarazu, 1 if quick else 6)
    if "ablation" in chosen:
        ablation(tarazu, 3 if quick else 10)


if __name__ == "__main__":
    main()
