#!/usr/bin/env bash
# What tarazu brings in the situations that it was built for; prints Markdown (see README.md).
# usage: benches/quality/run.sh [a] [b] [c] [d] [ablation] [--quick]
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
build=${CARGO_TARGET_DIR:-$root/target}
cargo build --release --manifest-path "$root/Cargo.toml" -p tarazu --bin tarazu
PYTHONDONTWRITEBYTECODE=1 python3 "$here/run.py" "$build/release/tarazu" "$@"
