"""``python -m bench.fidelity.scale``: what random full trainings find, into ``scale.json``."""

from __future__ import annotations

import json

import numpy as np

from bench.fidelity import tables
from bench.fidelity.rows import SCALE
from bench.quality.spec import draw

SAMPLE = 10_000


def main() -> None:
    held = {}
    for name in tables.NAMES:
        task, rng = tables.get(name), np.random.default_rng(1)
        if isinstance(task, tables.TaskSet):
            least = task.losses.min(axis=1)  # the table has no more
        else:
            configs = [draw(task.parameters, rng) for _ in range(SAMPLE)]
            least = np.concatenate(
                [task.curves(configs[i : i + 500]).min(axis=1) for i in range(0, SAMPLE, 500)]
            )
        held[name] = {"best": float(f"{least.min():.6g}"), "median": float(f"{np.median(least):.6g}")}
    SCALE.write_text(json.dumps(held, indent=1) + "\n")


if __name__ == "__main__":
    main()
