#!/usr/bin/env bash
# Compares placing with LEMON's minimum-cost flow on the same problems in the same job; prints a table (see README.md).
# usage: benches/flow/run.sh [--quick]     --quick takes three small cases
# Installs what is missing (Debian packages need root); builds into ${CARGO_TARGET_DIR:-target}/flow-bench.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
build=${CARGO_TARGET_DIR:-$root/target}
work=$build/flow-bench
mkdir -p "$work"

has_lemon() { echo '#include <lemon/network_simplex.h>' | g++ -x c++ -fsyntax-only - 2>/dev/null; }
if ! has_lemon; then
  apt-get update
  apt-get install -y g++ liblemon-dev
fi
python3 -c 'import numpy' 2>/dev/null || pip install numpy

g++ -O3 -march=native -DNDEBUG -w -o "$work/lemon_flow" "$here/lemon_flow.cpp" -llemon
# The program that cargo built, as it says itself.
program=$(cargo bench --manifest-path "$root/Cargo.toml" -p tarazu-core --bench mincost --no-run --message-format=json |
  python3 -c 'import json, sys
lines = [json.loads(line) for line in sys.stdin]
print(next(l["executable"] for l in lines if l.get("executable") and l["target"]["name"] == "mincost"))')

PYTHONDONTWRITEBYTECODE=1 python3 "$here/compare.py" "$program" "$work/lemon_flow" "$work" "$@"
