#!/usr/bin/env bash
# Compares `tarazu sim flows` with SimGrid on the same scenarios in the same job; prints a table (see README.md).
# usage: benches/fluid/run.sh [--quick]     --quick leaves out the two cases on which SimGrid takes long
# Installs what is missing (Debian packages need root); builds into ${CARGO_TARGET_DIR:-target}/fluid-bench.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
build=${CARGO_TARGET_DIR:-$root/target}
work=$build/fluid-bench
mkdir -p "$work"

has_simgrid() { echo '#include <simgrid/s4u.hpp>' | g++ -x c++ -fsyntax-only - 2>/dev/null; }
if ! has_simgrid; then
  apt-get update
  apt-get install -y g++ libsimgrid-dev libboost-dev
fi
python3 -c 'import numpy' 2>/dev/null || pip install numpy

g++ -O3 -o "$work/sg_fluid" "$here/sg_fluid.cpp" -lsimgrid
gcc -O2 -o "$work/measure" "$here/measure.c"
cargo build --release --manifest-path "$root/Cargo.toml" -p tarazu --bin tarazu

PYTHONDONTWRITEBYTECODE=1 python3 "$here/compare.py" "$build/release/tarazu" "$work/sg_fluid" "$work/measure" "$work" "$@"
