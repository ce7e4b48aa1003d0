#!/usr/bin/env bash
# Compares reading Darshan logs with libdarshan-util (C) and PyDarshan in the same job; prints two tables (see README.md).
# usage: benches/darshan/run.sh [--quick] [LOG...]     without LOG: the logs of compare.py; --quick takes fewer, shorter rounds
# Installs PyDarshan into an environment of its own below ${CARGO_TARGET_DIR:-target}/darshan-bench. Needs gcc and python3.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
build=${CARGO_TARGET_DIR:-$root/target}
work=$build/darshan-bench
mkdir -p "$work"

# The wheel brings libdarshan-util. darshan-parser itself is in no package index: util_read.c does its work with the library.
if ! "$work/venv/bin/python" -c 'import darshan' 2>/dev/null; then
  python3 -m venv "$work/venv"
  "$work/venv/bin/pip" install --quiet darshan==3.5.0
fi
libraries=$("$work/venv/bin/python" -c 'import darshan, os; print(os.path.dirname(os.path.dirname(darshan.__file__)) + "/darshan.libs")')
library=$(ls "$libraries"/libdarshan-util-*.so*)

gcc -O2 -o "$work/util_read" "$here/util_read.c" "$library" -Wl,-rpath,"$libraries"
gcc -O2 -o "$work/measure" "$here/../fluid/measure.c"
cargo build --release --manifest-path "$root/Cargo.toml" -p tarazu --bin tarazu
cargo build --release --manifest-path "$root/Cargo.toml" -p tarazu-darshan --example read_speed

PYTHONDONTWRITEBYTECODE=1 python3 "$here/compare.py" "$build/release/examples/read_speed" "$work/util_read" \
  "$build/release/tarazu" "$work/measure" "$work/venv/bin/python" "$@"
