"""Train a player of Space Invaders: `make player`, or python -m trickkit.course.player.

It begins from scratch, or goes on from the last checkpoint of the same network.
"""

import argparse
import csv
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from trickkit import games, player

# What each network is trained with. The 2013 one is for two cores, the 2015 one for a GPU.
RECIPES: dict[str, dict[str, Any]] = {
    "2013": {
        "games": {"n": 16, "skip": 3, "maximum": False},
        "moves": 1_600_000,
        "learner": {
            "capacity": 200_000,
            "warm": 20_000,
            "batch_size": 32,
            "every": 4,
            "lr": 1e-4,
            "sync": 1_000,
            "schedule": ((0, 1.0), (160_000, 0.1), (800_000, 0.05), (1_600_000, 0.01)),
        },
    },
    "2015": {
        "games": {"n": 128, "skip": 4, "maximum": True},
        "moves": 7_000_000,
        "learner": {
            "capacity": 1_000_000,
            "warm": 20_000,
            "batch_size": 512,
            "every": 64,
            "lr": 2.5e-4,
            "sync": 500,
            "schedule": ((0, 1.0), (250_000, 0.1), (1_000_000, 0.1), (5_000_000, 0.01)),
        },
    },
}
COLUMNS = ("minutes", "moves", "updates", "games", "score", "value", "loss", "epsilon")


def device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def train(kind: str, folder: Path, *, moves: int | None = None, every: float = 600) -> None:
    recipe = RECIPES[kind]
    moves = moves or recipe["moves"]
    folder.mkdir(parents=True, exist_ok=True)
    checkpoint, curve = folder / f"{kind}.pt", folder / f"{kind}.csv"
    if not torch.cuda.is_available():
        torch.set_num_threads(1)  # the other core runs the games
    torch.set_float32_matmul_precision("high")
    torch.manual_seed(0)
    many = games.SpaceInvaders(**recipe["games"])
    net = player.network(kind, len(many.actions)).to(device())
    learner = player.Learner(many, net, **recipe["learner"])
    before = 0.0
    rows: list[tuple] = []
    if checkpoint.exists():
        state = torch.load(checkpoint, map_location=device(), weights_only=True)
        learner.load_state_dict(state["learner"])
        before, rows = state["seconds"], state["rows"]
    start = saved = time.perf_counter()
    note = learner.moves
    while learner.moves < moves:
        learner.move()
        now = time.perf_counter()
        if learner.moves >= note + moves // 200:
            note = learner.moves
            rows.append(
                (
                    round((before + now - start) / 60, 2),
                    learner.moves,
                    learner.updates,
                    len(learner.scores),
                    round(float(np.mean(learner.scores[-200:])), 1) if learner.scores else None,
                    round(learner.value.item(), 4),
                    round(learner.loss.item(), 5),
                    round(player.epsilon(learner.moves, learner.schedule), 4),
                )
            )
            print(dict(zip(COLUMNS, rows[-1], strict=True)), flush=True)
        if now - saved > every or learner.moves >= moves:
            saved = now
            whole = {
                "learner": learner.state_dict(),
                "seconds": before + now - start,
                "rows": rows,
            }
            torch.save(whole, checkpoint.with_suffix(".part"))
            os.replace(checkpoint.with_suffix(".part"), checkpoint)
            with curve.open("w", newline="", encoding="utf-8") as file:
                csv.writer(file).writerows([COLUMNS, *rows])


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--net", default="2013")
    parser.add_argument("--moves", type=int, default=None)
    parser.add_argument("--folder", default="build/player")
    parser.add_argument("--every", type=float, default=600)
    options = parser.parse_args()
    train(options.net, Path(options.folder), moves=options.moves, every=options.every)
