"""Runs SimGrid and `tarazu sim flows` on the same scenarios in the same job and prints one table.

usage: compare.py TARAZU SG_FLUID MEASURE WORK_DIRECTORY [--quick]

CPU seconds are of the whole process (reading the input included), the median of the case's runs; the programs take
turns, so that both meet the same noise."""
import csv, json, os, statistics, subprocess, sys

import gen

# name, clients, targets, transfers, seed, offered load, runs
CASES = [
    ("c16-m35-t1k-light", 16, 35, 1_000, 1, 0.30, 7),
    ("c16-m35-t1k-heavy", 16, 35, 1_000, 1, 0.75, 7),
    ("c128-m128-t10k-light", 128, 128, 10_000, 2, 0.30, 5),
    ("c128-m128-t10k-heavy", 128, 128, 10_000, 2, 0.75, 3),
    ("c1024-m450-t50k-light", 1024, 450, 50_000, 3, 0.30, 3),
]
QUICK = {"c16-m35-t1k-light", "c16-m35-t1k-heavy", "c128-m128-t10k-light"}
# The tolerance of the oracles.
ABSOLUTE_S, RELATIVE = 1e-6, 1e-9


def write_case(case, directory):
    """Writes the scenario in the forms of both programs; returns the base of the file names and the flows."""
    name, clients, targets, transfers, seed, load, _ = case
    scenario = gen.scenario(name, clients, targets, transfers, seed, util=load)
    base = os.path.join(directory, name)
    gen.write_txt(scenario, base + ".txt")
    rows = scenario.pop("transfers")
    with open(base + ".json", "w") as out:
        json.dump(scenario, out)
    with open(base + ".csv", "w") as out:
        print("id,start_s,client,bytes,osts", file=out)
        for index, (start, client, size, osts) in enumerate(rows):
            print(index, repr(start), client, size, ";".join(map(str, osts)), sep=",", file=out)
    return base, sum(len(row[3]) for row in rows)


def measure(measure_program, command, stdout):
    """CPU seconds and peak MiB of a command."""
    with open(stdout, "w") as out:
        run = subprocess.run([measure_program, *command], stdout=out, stderr=subprocess.PIPE, text=True)
    if run.returncode != 0:
        sys.exit(f"{' '.join(command)} failed:\n{run.stderr}")
    cpu_s, peak_kib = run.stderr.strip().splitlines()[-1].split()
    return float(cpu_s), float(peak_kib) / 1024


def finish_times(path):
    with open(path) as lines:
        return {int(row["id"]): float(row["finish_s"]) for row in csv.DictReader(lines)}


def largest_difference(ours, theirs):
    """Largest difference, s, and whether each is within the tolerance."""
    assert ours.keys() == theirs.keys()
    differences = [(abs(ours[i] - theirs[i]), theirs[i]) for i in theirs]
    return max(d for d, _ in differences), all(d <= ABSOLUTE_S + RELATIVE * t for d, t in differences)


def main():
    quick = "--quick" in sys.argv[1:]
    tarazu, sg_fluid, measure_program, directory = [a for a in sys.argv[1:] if not a.startswith("--")]
    print("| case | flows | runs | SimGrid cpu s / peak MiB / flows per cpu s | tarazu cpu s / peak MiB / flows per cpu s"
          " | flows per cpu s, ratio | memory, ratio | largest difference, s |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- |")
    agrees = True
    for case in CASES:
        name, runs = case[0], case[-1]
        if quick and name not in QUICK:
            continue
        base, flows = write_case(case, directory)
        theirs, ours = [], []
        for _ in range(runs):
            theirs.append(measure(measure_program, [sg_fluid, base + ".txt", base + ".simgrid", "--cfg=network/optim:Full",
                                                    "--log=root.thresh:error"], os.devnull))
            ours.append(measure(measure_program, [tarazu, "sim", "flows", base + ".json", base + ".csv", "--output", "csv"],
                                base + ".tarazu"))
        difference, within = largest_difference(finish_times(base + ".tarazu"), finish_times(base + ".simgrid"))
        agrees &= within
        (sg_cpu, sg_mem), (cpu, mem) = [[statistics.median(column) for column in zip(*list_)] for list_ in (theirs, ours)]
        print(f"| {name} | {flows:,} | {runs} | {sg_cpu:.3f} / {sg_mem:.0f} / {flows / sg_cpu:,.0f} "
              f"| {cpu:.3f} / {mem:.1f} / {flows / cpu:,.0f} | {sg_cpu / cpu:.1f} | {mem / sg_mem:.2f} | {difference:.1e} |",
              flush=True)
    if not agrees:
        sys.exit(f"finish times differ by more than {ABSOLUTE_S} s + {RELATIVE} relative")


main()
