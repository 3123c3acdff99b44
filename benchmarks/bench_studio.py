"""The most memory that a job of the studio needs, for `jobs.NEEDS`: python
benchmarks/bench_studio.py [--tiny]
"""

from side_by_side import alone, sized, table

from trickkit.course import jobs

JOB = """
import sys

from trickkit import data
from trickkit.course import jobs

kind, *sides = sys.argv[1:]
for side in map(int, sides):
    settings = {
        "side": side,
        "colours": "painting",
        "minutes": 0.3,
        "ratio": 1e-4,
        "tv_weight": 1e-3,
        "layer": "network.blocks.5",
        "octaves": 2,
        "steps": 2,
    }
    photo = data.scaled(data.picture("astronaut"), side=side)
    job = getattr(jobs, f"{kind}_job")
    job(photo, data.painting("great_wave"), settings, lambda image, share: jobs.jpeg(image))
    print(peak())
"""
KINDS, SIDES = sized((jobs.NEEDS, (256, 512, 1024)), (["dream"], (128, 256)))

rows = {}
for kind in KINDS:
    base, each = jobs.NEEDS[kind]
    peaks = alone(JOB, kind, *SIDES)
    slope = (peaks[-1] - peaks[-2]) / (SIDES[-1] ** 2 - SIDES[-2] ** 2)
    rows[kind] = {
        **{f"GB at {side} × {side}": p / 1e9 for side, p in zip(SIDES, peaks, strict=True)},
        "GB to begin with": (peaks[-1] - slope * SIDES[-1] ** 2) / 1e9,
        "jobs.NEEDS": base / 1e9,
        "bytes a pixel": slope,
        "in jobs.NEEDS": each,
    }
table("The most that a job needs, a process for each kind, small pictures first", rows)
