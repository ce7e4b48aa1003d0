#!/usr/bin/env bash
# Fuzzes one target from its committed corpus and prints libFuzzer's closing statistics.
# usage: fuzz/run.sh TARGET [RUNS] [SANITIZER]   RUNS 10000000, SANITIZER none (or address: slower, sees memory)
#        fuzz/run.sh --keep TARGET               minimises seeds and what earlier runs found into the committed corpus
# What a run finds lies below ${CARGO_TARGET_DIR:-fuzz/target}/fuzz-corpus, a failing input in fuzz/artifacts.
# Installs cargo-fuzz where it is missing. RUSTC_BOOTSTRAP=1 lets a stable compiler instrument.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
export RUSTC_BOOTSTRAP=1
# cargo-fuzz takes the folder from its own option, and libFuzzer's arguments behind `--`.
target_dir=${CARGO_TARGET_DIR:-$here/target}
keep=
[ "${1:-}" = --keep ] && keep=1 && shift
target=${1:?usage: fuzz/run.sh [--keep] TARGET [RUNS] [SANITIZER]}
runs=${2:-10000000}
sanitizer=${3:-none}
found=$target_dir/fuzz-corpus/$target
committed=$here/corpus/$target
mkdir -p "$found" "$committed"
# What once failed is tried again.
folders=("$found" "$committed")
[ -d "$here/regressions/$target" ] && folders+=("$here/regressions/$target")

# Long enough for several records, short enough for ten thousand runs a second; see STATISTICS.md.
case $target in
  darshan | bench_output) longest=3072 ;;
  darshan_plain | darshan_convert) longest=4096 ;;
  lov | spool) longest=1024 ;;
  *) longest=1536 ;;
esac
dictionary=$here/dictionaries/${target%%_plain}.dict
dictionary=${dictionary/_convert/}
# csv-core builds a table for each reader, and an instrumented table of comparisons costs five times the rest.
instrument=()
[ "$target" = workload_csv ] && instrument=(--no-trace-compares) && build_dir=$target_dir/no-compares
build=(--target-dir "${build_dir:-$target_dir}" "${instrument[@]}")

command -v cargo-fuzz >/dev/null || cargo install cargo-fuzz --version 0.13.2 --locked
cd "$here/.."

if [ -n "$keep" ]; then
  # Into an empty folder: what the committed corpus has too much goes as well. Without counters, one input for each
  # edge is kept instead of one for each number of passes over it.
  kept=$(mktemp -d)
  cargo fuzz run --sanitizer none "${build[@]}" "$target" "$kept" "$committed" "$found" -- \
    -merge=1 -use_counters=0 -max_len=$longest
  rm -rf "$committed"
  mkdir "$committed"
  cp "$kept"/* "$committed"
  rm -rf "$kept"
  du -sh --apparent-size "$committed"
  ls "$committed" | wc -l
  exit
fi

# -seed makes a run repeatable on one core; -timeout is seconds for one input, -rss_limit_mb its memory.
exec cargo fuzz run --sanitizer "$sanitizer" "${build[@]}" "$target" "${folders[@]}" -- \
  -runs="$runs" -seed=1 -max_len=$longest -timeout=5 -rss_limit_mb=2048 -malloc_limit_mb=512 \
  -dict="$dictionary" -print_final_stats=1
