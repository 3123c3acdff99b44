"""Train a player of Space Invaders: `make player`, or python -m trickkit.course.player.

On a GPU where there is one, else on two processor cores. An interrupted training goes on where its
last checkpoint stands. The same machine makes the same player again, unless the training was
interrupted (the emulator's games begin anew) or ran on a GPU (whose sums come in any order).
"""

import argparse
import csv
import os
import pathlib
import pickle
import time
from typing import Any

import torch
from safetensors.torch import save_file

from trickkit import games, player
from trickkit.common import progress_bar, unknown, validate_count
from trickkit.course.weights import halves
from trickkit.folders import IN_CHECKOUT, ROOT

FOLDER = (ROOT / "build" if IN_CHECKOUT else pathlib.Path()) / "player"  # to train in
PLAYERS: dict[str, dict[str, Any]] = {
    # in an hour and a half on two cores; the memory takes 1.4 GB
    "2013": {
        "games": {"n": 16, **player.PREPROCESSING["2013"]},
        "moves": 1_071_776,  # of the player that came with the course
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
    # on a GPU that has 7 GB for the memory: eight minutes on the fastest of 2025
    "2015": {
        "games": {"n": 128, **player.PREPROCESSING["2015"]},
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


# what reading a file that is no checkpoint of the learner's may raise
DAMAGE = (AttributeError, EOFError, KeyError, RuntimeError, TypeError, pickle.UnpicklingError)


def save(path: pathlib.Path, learner: player.Learner, **more: Any) -> None:
    """Write a checkpoint whole or not at all. more: what else is to be kept."""
    fresh = path.with_suffix(".new")
    try:
        torch.save({"learner": learner.state_dict(), **more}, fresh)
        os.replace(fresh, path)
    finally:
        fresh.unlink(missing_ok=True)  # a half one, where it was interrupted or the disk is full


def resume(path: pathlib.Path, learner: player.Learner) -> dict[str, Any]:
    """Let a learner go on where a checkpoint was written, and return what else was kept.

    Raises ValueError where the file is damaged, or another learner's.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        learner.load_state_dict(state.pop("learner"))
    except DAMAGE as error:
        if isinstance(error, torch.OutOfMemoryError) or "allocate memory" in str(error):
            raise  # the file may be whole
        raise ValueError(
            f"{path} is no checkpoint that this training can go on from: it is damaged, or of"
            " another network. Move it away, and the training begins anew."
        ) from error
    return state


def train(
    kind: str, folder: pathlib.Path, *, moves: int | None = None, minutes_between: float = 10
) -> torch.nn.Module:
    """Train a player, or go on training it, and return it.

    kind: "2013" or "2015", of `PLAYERS`.
    folder: where its checkpoint, weights (float16) and learning curve are written.
    moves: at which it is done; None for the recipe's.
    minutes_between: checkpoints. One is written too when the training is interrupted.
    Raises ValueError for another kind, or a checkpoint that it cannot go on from;
        KeyboardInterrupt, once a checkpoint is written, where it is interrupted.
    """
    if kind not in PLAYERS:
        raise unknown("player", kind, PLAYERS)
    recipe = PLAYERS[kind]
    moves = recipe["moves"] if moves is None else moves
    validate_count(moves=moves)
    # `contract.device` would have it exact, and slow
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.set_num_threads(1)  # the other cores run the games
    torch.set_float32_matmul_precision("high")
    torch.manual_seed(0)
    many = games.SpaceInvaders(**recipe["games"])
    net = player.q_network(kind, len(many.actions)).to(device)
    learner = player.Learner(many, net, **recipe["learner"])
    folder.mkdir(parents=True, exist_ok=True)
    checkpoint = folder / f"space_invaders_{kind}.pt"
    kept: dict[str, Any] = {"minutes": 0.0, "rows": []}
    if checkpoint.exists():
        kept |= resume(checkpoint, learner)
        if learner.moves >= moves:
            print(f"It has made {learner.moves:,} moves already: ask for more of them.", flush=True)
            return net
        print(f"It goes on from {learner.moves:,} moves.", flush=True)
    before, rows = kept["minutes"], kept["rows"]
    start = saved = time.perf_counter()
    between = max(moves // 200, 1)  # rows of the curve

    def minutes() -> float:
        return before + (time.perf_counter() - start) / 60

    def keep() -> None:
        save(checkpoint, learner, minutes=minutes(), rows=rows)

    try:
        steps = range(learner.moves, moves, many.n)
        for _ in progress_bar(steps, f"the player of {kind}, {many.n} moves a step"):
            learner.move()
            if learner.moves % between < many.n:
                rows.append({"minutes": round(minutes(), 2), **learner.row()})
            if time.perf_counter() - saved > 60 * minutes_between:
                saved = time.perf_counter()
                keep()
    except KeyboardInterrupt:
        print("Writing the checkpoint …", flush=True)
        keep()
        raise KeyboardInterrupt(
            f"Stopped at {learner.moves:,} moves. The same command goes on from there."
        ) from None
    keep()
    with (folder / f"space_invaders_{kind}.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ["minutes", *learner.row()])
        writer.writeheader()
        writer.writerows(rows)
    save_file(halves(net), folder / f"space_invaders_{kind}.safetensors")
    return net


def train_and_play() -> None:
    """What the command line asks for; then thirty games.

    Raises SystemExit with a sentence where it cannot be done, or is interrupted.
    """
    parser = argparse.ArgumentParser(description="Train a player of Space Invaders.")
    parser.add_argument("--net", default="2013", help="2013 (two cores) or 2015 (a GPU)")
    parser.add_argument("--moves", type=int, help="at which it is done; its recipe's if not given")
    parser.add_argument("--folder", default=FOLDER, type=pathlib.Path)
    options = parser.parse_args()
    try:
        net = train(options.net, options.folder, moves=options.moves)
        print("It plays thirty games …", flush=True)
        many = games.SpaceInvaders(**PLAYERS[options.net]["games"] | {"n": 30})
        scores = player.play_games(many, player.epsilon_greedy(net, seed=1), seed=1)
    except (ImportError, ValueError) as error:
        raise SystemExit(str(error)) from error
    except KeyboardInterrupt as stop:
        raise SystemExit(
            str(stop) or "Stopped. What is not yet in a checkpoint has to be played again."
        ) from None
    print(
        f"A random move one time in twenty: {scores.mean():.0f} ± {scores.std():.0f} points, the"
        f" best game {scores.max():.0f}. Checkpoint, weights and curve are in {options.folder}."
    )


if __name__ == "__main__":
    train_and_play()
