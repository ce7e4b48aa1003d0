"""Times PyDarshan: for each line of standard input (paths of logs, tab-separated) prints one line of JSON.

The time is that of `DarshanReport(path, read_all=True)` alone: imports and the garbage of earlier reports do not count."""
import gc, json, logging, sys, time, warnings

warnings.filterwarnings("ignore")
import darshan

logging.disable(logging.CRITICAL)
KEYS = {"posix": "POSIX", "mpiio": "MPI-IO", "stdio": "STDIO", "lustre": "LUSTRE", "dxt_posix": "DXT_POSIX", "dxt_mpiio": "DXT_MPIIO"}

for line in sys.stdin:
    seconds, counts, failed = 0.0, dict.fromkeys(KEYS, 0), 0
    for path in line.rstrip("\n").split("\t"):
        gc.collect()
        start = time.perf_counter()
        try:
            report = darshan.DarshanReport(path, read_all=True)
        except Exception:
            failed += 1
            continue
        seconds += time.perf_counter() - start
        for key, module in KEYS.items():
            counts[key] += len(report.records[module]) if module in report.records else 0
        del report
    print(json.dumps({"seconds": seconds, "failed": failed, **counts}), flush=True)
