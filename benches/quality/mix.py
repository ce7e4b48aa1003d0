"""Jobs of one situation, drawn from a seed: arguments for `tarazu sim --generate`.

IOR and HACC-IO at once, as in the paper's evaluation: half of the jobs each, 8 to 128 ranks, stripe counts of 1, 2, 4 and 8
for files of one process and of 8, 16 and 35 for shared files, one job in five with a progressive layout. Jobs arrive at random
within the window until their bytes are `load` of what the system writes in that time; half of them are written, half read.
"""

import random

PROGRESSIVE = "-E 64M -c 1 -S 1M -E 1G -c 4 -S 1M -E -1 -c 16 -S 4M"
MIB = 1 << 20


def job(draw, number, start_s, wait_s):
    """One job: its specification and its bytes."""
    nodes = draw.choice([1, 2, 4, 8, 16])
    ranks = nodes * 8
    progressive = draw.random() < 0.2
    is_ior = draw.random() < 0.5
    if is_ior:
        block = draw.choice([16, 64, 256, 1024]) * MIB
        access = draw.choice(["fpp", "fpp", "ssf"])
        count = draw.choice([1, 2, 4, 8] if access == "fpp" else [8, 16, 35])
        moved = 2 * block * ranks
        transfer = min(block, 16 * MIB)
        kind = f"ior:access={access},block={block},transfer={transfer},read=true"
    else:
        particles = draw.choice([1, 4, 16]) * MIB
        count = draw.choice([1, 2, 4, 8])
        moved = 2 * (particles * 38 + 24 * MIB) * ranks
        kind = f"hacc:particles={particles}"
    layout = PROGRESSIVE if progressive else f"-c {count} -S 1M"
    shared = f"nodes={nodes},ranks_per_node=8,job={number},start={start_s:.3f},wait={wait_s:.3f},dir=/j{number}"
    return f"{kind},{shared},layout={layout}", moved


def jobs(seed, load, window_s, write_bps, read_at_s=None):
    """All jobs of a situation; with `read_at_s` all of them read back at about that moment instead of at once."""
    draw = random.Random(seed)
    left = load * window_s * write_bps
    specs = []
    while left > 0:
        start_s = draw.uniform(0, window_s)
        wait_s = 0 if read_at_s is None else read_at_s - start_s
        spec, moved = job(draw, len(specs) + 1, start_s, wait_s)
        specs.append(spec)
        left -= moved
    return specs
