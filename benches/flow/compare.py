"""Runs LEMON and tarazu on the same placement problems in the same job and prints one table.

usage: compare.py TARAZU_BENCH LEMON_FLOW WORK_DIRECTORY [--quick]

CPU seconds of one solve, medians; the programs take turns, so that both meet the same noise."""
import json, os, statistics, subprocess, sys

import model

# name, requests, kind, targets, seed, options of model.gen
CASES = [
    ("r100-k4-m35", 100, "k4", 35, 1, {}),
    ("r10000-k8-m35", 10_000, "k8", 35, 2, {}),
    ("r1000-k4-m450", 1_000, "k4", 450, 3, {}),
    ("r10000-k4-m450", 10_000, "k4", 450, 4, {}),
    ("r10000-mixed-m450", 10_000, "mixed", 450, 5, {}),
    ("r1000-pools6-m450", 1_000, "mixed", 450, 9, {"pools": 6}),
    ("r10000-k4-m2016", 10_000, "k4", 2_016, 6, {}),
    ("r10000-k8-m2016", 10_000, "k8", 2_016, 7, {}),
    ("r10000-mixed-m2016", 10_000, "mixed", 2_016, 8, {}),
    ("r10000-pools6-m2016", 10_000, "mixed", 2_016, 10, {"pools": 6}),
]
QUICK = {"r100-k4-m35", "r1000-k4-m450", "r1000-pools6-m450"}
# Turns of each program; each turn is the median of several solves.
TURNS, LEMON_SOLVES = 3, 15


def run(command):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(command)} failed:\n{done.stderr}")
    return json.loads(done.stdout)


def lemon(program, network, algorithm):
    answer = run([program, network, algorithm, str(LEMON_SOLVES)])
    return answer["cost"], statistics.median(answer["cpu_s"]), statistics.median(answer["init_s"])


def ms(seconds):
    return f"{seconds * 1e3:.3f}"


def main():
    quick = "--quick" in sys.argv[1:]
    tarazu, lemon_flow, directory = [a for a in sys.argv[1:] if not a.startswith("--")]
    print("| case | arcs | LEMON network simplex, ms | LEMON cost scaling, ms | tarazu auto, ms (solver) | tarazu exact, ms"
          " | tarazu check, ms | LEMON / auto | LEMON / exact |")
    print("| --- | --- | --- | --- | --- | --- | --- | --- | --- |")
    for name, requests, kind, targets, seed, options in CASES:
        if quick and name not in QUICK:
            continue
        problem = model.gen(name, requests, kind, targets, seed, **options)
        base = os.path.join(directory, name)
        with open(base + ".json", "w") as out:
            json.dump(problem, out)
        # Units that cannot be placed take an arc that costs more than any path, so that both solve the same problem.
        overflow = 4 * model.big_cost(problem)
        network = model.build(problem, "compact", overflow)
        model.dump(base + ".bin", network)
        simplex, scaling, init, auto, exact, check = [], [], [], [], [], []
        for turn in range(TURNS):
            cost, seconds, start = lemon(lemon_flow, base + ".bin", "ns")
            simplex.append(seconds)
            init.append(start)
            scaling.append(lemon(lemon_flow, base + ".bin", "cs")[1])
            ours = run([tarazu, base + ".json"])
            auto.append(ours["auto_s"])
            exact.append(ours["exact_s"])
            check.append(ours["check_s"])
            wanted = ours["cost"] + (problem["demand"] - ours["flow"]) * overflow
            if wanted != cost:
                sys.exit(f"{name}: LEMON's optimum is {cost}, tarazu's {wanted}")
        s, c, a, e, k = map(statistics.median, (simplex, scaling, auto, exact, check))
        print(f"| {name} | {len(network[1]):,} | {ms(s)} | {ms(c)} | {ms(a)} ({ours['solver']}) | {ms(e)} | {ms(k)}"
              f" | {s / a:.1f} | {s / e:.2f} |", flush=True)


main()
