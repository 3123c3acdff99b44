"""Deep Q-learning: a player that sees pictures, acts, and learns from what comes of it.

Mnih et al. 2013, "Playing Atari with deep reinforcement learning", arXiv:1312.5602; Mnih et al.
2015, "Human-level control through deep reinforcement learning", Nature 518.
"""

import copy
import itertools
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from trickkit import data, models
from trickkit.common import (
    unknown,
    validate_count,
    validate_flag,
    validate_number,
    validate_positive,
    validate_seed,
)
from trickkit.contract import device, logits_of
from trickkit.games import Games

if TYPE_CHECKING:
    import pandas as pd


# What each of the two that came with the course sees: options of `games.SpaceInvaders`.
PREPROCESSING: dict[str, dict[str, Any]] = {
    "2013": {"skip": 3, "maximum": False},
    "2015": {"skip": 4, "maximum": True},
}


def q_network(kind: str, actions: int, *, pictures: int = 4) -> nn.Sequential:
    """An untrained player: (N, pictures, H, W) in [0, 1] to the value of each action, (N, actions).

    kind: "2013" or "2015", as in those papers, for 84 × 84 pixels; "tiny" for 10 × 10.
    actions: how many there are. pictures: in a state.
    Raises ValueError for another kind.
    """
    sizes = {  # of each convolution: filters, side, stride, padding; then of the hidden layer
        "tiny": ([(16, 3, 1, 0)], (1024, 64)),
        "2013": ([(16, 8, 4, 0), (32, 4, 2, 0)], (2592, 256)),
        "2015": ([(32, 8, 4, 0), (64, 4, 2, 0), (64, 3, 1, 0)], (3136, 512)),
    }
    if kind not in sizes:
        raise unknown("player", kind, sizes)
    convolutions, (flat, hidden) = sizes[kind]
    parts: dict[str, nn.Module] = {}
    channels = pictures
    for i, (filters, side, stride, padding) in enumerate(convolutions, 1):
        parts[f"conv{i}"] = nn.Conv2d(channels, filters, side, stride, padding)
        parts[f"relu{i}"] = nn.ReLU()
        channels = filters
    parts["flat"] = nn.Flatten()
    parts["hidden"] = nn.Linear(flat, hidden)
    parts["relu"] = nn.ReLU()
    parts["values"] = nn.Linear(hidden, actions)
    return nn.Sequential(OrderedDict(parts)).eval()  # no part of it is otherwise in training


def shipped_player(kind: str) -> nn.Sequential:
    """A player of Space Invaders that came with the course, frozen and in eval mode.

    kind: "2013", trained on two cores, or "2015", trained on a GPU (`trickkit.course.player`).
    Raises ValueError for another kind; FileNotFoundError or ValueError where the file is missing or
        damaged.
    """
    if kind not in PREPROCESSING:
        raise unknown("player", kind, PREPROCESSING)
    net = models.load_weights(q_network(kind, 6), f"weights/space_invaders_{kind}.safetensors")
    return net.to(device())


def learning_curves() -> "pd.DataFrame":
    """How the two trained players learnt.

    Returns a pandas frame: net ("2013" or "2015"), minutes, moves, updates, games, score (mean of
        the last 200 games, played with ε), value (mean Q of a batch), loss and epsilon.
    """
    import pandas as pd

    return pd.read_csv(data.shipped("tables/space_invaders_curves.csv"), dtype={"net": str})


def target(
    rewards: torch.Tensor, ended: torch.Tensor, next_values: torch.Tensor, gamma: float
) -> torch.Tensor:
    """What an action should have been thought worth: its reward, and the best of what follows.

    Mnih et al. 2013, eq. 3 and algorithm 1: r + γ·max Q(s', a'), and r alone at the end.

    rewards: (N,).
    ended: (N,), bool: nothing follows.
    next_values: (N, actions), of the state that came of it.
    gamma: what a point is worth one move later, 0 to 1.
    Returns (N,), through which no gradient flows.
    """
    return rewards + gamma * ~ended * next_values.detach().amax(1)


def epsilon(moves: int, schedule: Sequence[tuple[int, float]]) -> float:
    """The chance of a random action after so many moves: straight lines from point to point.

    moves: at least 0.
    schedule: (moves, ε), in order; before the first and after the last ε stays as it is.
    Raises ValueError for a schedule that is out of order, or an ε outside 0 to 1.
    """
    at, values = zip(*schedule, strict=True)
    if any(a >= b for a, b in itertools.pairwise(at)) or not all(0 <= v <= 1 for v in values):
        raise ValueError(
            f"schedule is {schedule!r}; wanted are pairs (moves, ε), moves rising, ε from 0 to 1."
        )
    return float(np.interp(moves, at, values))


class Moves(NamedTuple):
    """Moves drawn from memory."""

    states: torch.Tensor  # (N, k, H, W) in [0, 1]
    actions: torch.Tensor  # (N,)
    rewards: torch.Tensor  # (N,)
    lost: torch.Tensor  # (N,), bool
    after: torch.Tensor  # (N, k, H, W): the states that came of them


class Memory:
    """The last moves of n games, from which a player learns in random order.

    Lin 1993; Mnih et al. 2013, "experience replay". One picture a move is kept, and the stack of
    the last few is put together when it is asked for: a quarter of what four would take.
    """

    def __init__(
        self,
        capacity: int,
        n: int,
        shape: tuple[int, int, int],
        *,
        device: torch.device | str = "cpu",
    ) -> None:
        """capacity: moves of all n games together; never fewer than a state and one more a game.

        n: games side by side.
        shape: (pictures in a state, H, W).
        device: where it lives: a byte a pixel.
        Raises ValueError for numbers that are not whole and above 0.
        """
        validate_count(capacity=capacity, n=n)
        self.stack, *side = shape
        self.length = max(capacity // n, self.stack + 1)
        self.n, self.device = n, device
        # one after another, and a black one at the end, for what was before a game began
        self.pictures = torch.zeros(self.length * n + 1, *side, dtype=torch.uint8, device=device)
        self.actions = torch.zeros(self.length, n, dtype=torch.uint8, device=device)
        self.rewards = torch.zeros(self.length, n, device=device)
        self.lost = torch.zeros(self.length, n, dtype=torch.bool, device=device)
        self.first = torch.zeros(self.length, n, dtype=torch.bool, device=device)
        self.head = self.filled = 0

    def add(
        self,
        pictures: np.ndarray,
        actions: np.ndarray,
        rewards: np.ndarray,
        lost: np.ndarray,
        first: np.ndarray,
    ) -> None:
        """Remember one move of each game, the oldest being forgotten.

        pictures: (n, H, W), uint8: the newest of each state.
        actions: (n,), chosen in that state.
        rewards, lost: (n,), what came of it.
        first: (n,), bool: whether the picture begins a game.
        """
        here = slice(self.head * self.n, (self.head + 1) * self.n)
        self.pictures[here] = torch.from_numpy(pictures).to(self.device)
        for kept, new in (
            (self.actions, actions),
            (self.rewards, rewards),
            (self.lost, lost),
            (self.first, first),
        ):
            kept[self.head] = torch.from_numpy(new).to(self.device)
        self.head = (self.head + 1) % self.length
        self.filled = min(self.filled + 1, self.length)

    def sample(self, size: int, generator: torch.Generator) -> Moves:
        """`size` moves at random, each with the state that came of it.

        A stack never reaches back into the game before: what would is black.

        size: how many, drawn with replacement.
        generator: on the memory's device.
        Raises ValueError where too little is remembered.
        """
        ages = self.filled - self.stack
        if ages < 1:
            raise ValueError(
                f"Nothing can be drawn from {self.filled} moves a game: a state is a stack of"
                f" {self.stack} pictures, and the picture after it is wanted too."
            )
        back = torch.randint(ages, (size, 1), generator=generator, device=self.device)
        game = torch.randint(self.n, (size, 1), generator=generator, device=self.device)
        move = (self.head - 2 - back) % self.length
        place = (move * self.n + game).flatten()
        return Moves(
            self._states(move, game),
            self.actions.flatten()[place].long(),
            self.rewards.flatten()[place],
            self.lost.flatten()[place],
            self._states(move + 1, game),
        )

    def _states(self, move: torch.Tensor, game: torch.Tensor) -> torch.Tensor:
        """What was seen at those moves of those games, (N, 1) each: (N, k, H, W) in [0, 1]."""
        back = torch.arange(self.stack - 1, -1, -1, device=self.device)
        at = (move - back) % self.length * self.n + game
        first = self.first.flatten()[at].long()
        began_later = first.flip(1).cumsum(1).flip(1) - first
        at = torch.where(began_later > 0, self.length * self.n, at)  # black
        pictures = self.pictures.index_select(0, at.flatten())
        return pictures.view(*at.shape, *pictures.shape[1:]).float().div_(255)

    _kept = ("pictures", "actions", "rewards", "lost", "first", "head", "filled")

    def state_dict(self) -> dict[str, Any]:
        """All that is remembered."""
        return {name: getattr(self, name) for name in self._kept}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Remember what `state_dict` did."""
        for name in self._kept:
            if isinstance(state[name], torch.Tensor):
                getattr(self, name).copy_(state[name])  # in place: it may fill half the memory
            else:
                setattr(self, name, state[name])


class Learner:
    """Algorithm 1 of Mnih et al. 2013, with the second network of Mnih et al. 2015 (algorithm 1
    there), in n games side by side.

    The loss is the square of the difference, but grows straight beyond 1 ("error clipping", 2015);
    rewards are cut to their sign; the optimizer is Adam, for RMSProp.
    """

    def __init__(
        self,
        games: Games,
        net: nn.Module,
        *,
        capacity: int = 100_000,
        warm: int = 5_000,
        batch_size: int = 32,
        every: int = 4,
        lr: float = 1e-4,
        gamma: float = 0.99,
        sync: int = 1_000,
        schedule: Sequence[tuple[int, float]] = ((0, 1.0), (250_000, 0.1)),
        sees_ends: bool = True,
        seed: int = 0,
    ) -> None:
        """games: begun anew here.

        net: (N, k, H, W) in [0, 1] to the value of each action; trained in place, where it is.
        capacity: moves that are remembered.
        warm: moves before the first update.
        batch_size: moves an update.
        every: moves from one update to the next.
        lr: Adam's step.
        gamma: what a point is worth one move later, 0 to 1.
        sync: updates after which the second network becomes a copy of the first; 1 for none.
        schedule: of `epsilon`.
        sees_ends: False to let values flow on from one life into the next.
        seed: of games, actions and batches.
        Raises ValueError for settings that make no sense.
        """
        validate_count(capacity=capacity, batch_size=batch_size, every=every, sync=sync)
        validate_count(warm=warm, at_least=0)
        validate_positive(lr=lr)
        validate_number(gamma=gamma, at_least=0, at_most=1)
        validate_flag(sees_ends=sees_ends)
        validate_seed(seed)
        if warm < games.n * (games.shape[0] + 1):
            raise ValueError(
                f"warm is {warm}; nothing can be learnt before every game has made"
                f" {games.shape[0] + 1} moves: {games.n * (games.shape[0] + 1)} at least."
            )
        epsilon(0, schedule)
        self.games, self.net = games, net.to(memory_format=torch.channels_last)  # faster on a CPU
        self.device = next(net.parameters()).device
        self.batch_size, self.every, self.gamma = batch_size, every, gamma
        self.warm, self.sync, self.schedule, self.sees_ends = warm, sync, schedule, sees_ends
        self.target = copy.deepcopy(net)
        self.optimizer = torch.optim.Adam(net.parameters(), lr=lr, eps=1.5e-4, fused=True)
        self.memory = Memory(capacity, games.n, games.shape, device=self.device)
        self.rng = np.random.default_rng(seed)
        self.generator = torch.Generator(self.device).manual_seed(seed)
        self.states = games.reset(seed)
        self.first = np.ones(games.n, bool)  # whether a state begins a game
        self.points = np.zeros(games.n)  # of the games that go on
        self.scores: list[float] = []  # of those that are over
        self.moves = self.updates = 0
        self.loss = self.value = torch.zeros(())  # of the last batch

    def update(self) -> None:
        """One step of the optimizer on a batch from memory."""
        states, actions, rewards, lost, after = self.memory.sample(self.batch_size, self.generator)
        if not self.sees_ends:
            lost = torch.zeros_like(lost)
        with torch.no_grad():
            wanted = target(rewards, lost, self.target(after), self.gamma)
        values = self.net(states).gather(1, actions[:, None])[:, 0]
        loss = F.smooth_l1_loss(values, wanted)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.updates += 1
        if self.updates % self.sync == 0:
            self.target.load_state_dict(self.net.state_dict())
        self.loss, self.value = loss.detach(), values.detach().mean()

    def move(self) -> None:
        """One action in each game; and, while they run, the updates that are due."""
        with torch.no_grad():
            values = self.net(as_images(self.net, self.states))
        actions = choose(values, epsilon(self.moves, self.schedule), self.rng)
        self.games.send(actions)
        while self.updates * self.every < self.moves - self.warm:
            self.update()
        step = self.games.recv()
        self.memory.add(self.states[:, -1], actions, np.sign(step.rewards), step.lost, self.first)
        self.states, self.first = step.states, step.ended
        self.points += step.rewards
        self.scores += self.points[step.ended].tolist()
        self.points[step.ended] = 0
        self.moves += self.games.n

    def row(self) -> dict[str, float]:
        """How it stands: moves, updates, games that are over, score (the mean of the last 200),
        value (mean Q of the last batch), loss and epsilon.
        """
        return {
            "moves": self.moves,
            "updates": self.updates,
            "games": len(self.scores),
            "score": float(np.mean(self.scores[-200:])) if self.scores else float("nan"),
            "value": self.value.item(),
            "loss": self.loss.item(),
            "epsilon": epsilon(self.moves, self.schedule),
        }

    def state_dict(self) -> dict[str, Any]:
        """All that is needed to go on later: networks, optimizer, memory, dice and games."""
        return {
            "net": self.net.state_dict(),
            "target": self.target.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "memory": self.memory.state_dict(),
            "games": self.games.state_dict(),
            "dice": self.rng.bit_generator.state,
            "generator": self.generator.get_state(),
            "first": torch.from_numpy(self.first),
            "points": torch.from_numpy(self.points),
            "scores": self.scores,
            "moves": self.moves,
            "updates": self.updates,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on where `state_dict` was asked."""
        self.net.load_state_dict(state["net"])
        self.target.load_state_dict(state["target"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.memory.load_state_dict(state["memory"])
        self.rng.bit_generator.state = state["dice"]
        if state["generator"].numel() == self.generator.get_state().numel():
            self.generator.set_state(state["generator"])  # another device has dice of another kind
        self.scores, self.moves = list(state["scores"]), state["moves"]
        self.updates = state["updates"]
        going_on = self.games.load_state_dict(state["games"])
        if going_on is None:  # these games cannot be put down and taken up: begin new ones
            self.states = self.games.reset(self.moves)
            self.first, self.points = np.ones(self.games.n, bool), np.zeros(self.games.n)
        else:
            self.states = going_on
            self.first, self.points = state["first"].cpu().numpy(), state["points"].cpu().numpy()


def as_images(net: nn.Module, states: np.ndarray) -> torch.Tensor:
    """States, (n, k, H, W) of uint8, as images in [0, 1] where a network's weights are."""
    return torch.from_numpy(states).to(next(net.parameters()).device).float() / 255


def choose(values: torch.Tensor, epsilon: float, rng: np.random.Generator) -> np.ndarray:
    """The action of highest value in each state, or with chance epsilon any.

    values: (N, actions).
    Returns (N,).
    """
    n, actions = values.shape
    anything = rng.integers(0, actions, n)
    return np.where(rng.random(n) < epsilon, anything, values.argmax(1).cpu().numpy())


Actor = Callable[[np.ndarray], np.ndarray]  # states (n, k, H, W), uint8 -> actions (n,)


def epsilon_greedy(
    net: nn.Module,
    *,
    epsilon: float = 0.05,
    seed: int = 0,
    seen: Callable[[torch.Tensor], torch.Tensor] | None = None,
) -> Actor:
    """A policy: the action that a network values most, or with chance epsilon any.

    net: (n, k, H, W) in [0, 1] to the value of each action, (n, actions).
    epsilon: 0 to 1.
    seed: of the dice.
    seen: what the states (n, k, H, W) in [0, 1] become before the network sees them, such as an
        attack; None for the states as they are.
    Raises ValueError for an epsilon or a seed that makes no sense.
    """
    validate_number(epsilon=epsilon, at_least=0, at_most=1)
    validate_seed(seed)
    rng = np.random.default_rng(seed)

    def policy(states: np.ndarray) -> np.ndarray:
        images = as_images(net, states)
        if seen is not None:
            images = seen(images)
        with torch.no_grad():
            return choose(logits_of(net, images), epsilon, rng)

    return policy


def play_games(many: Games, policy: Actor, *, seed: int = 0, most: int = 30_000) -> np.ndarray:
    """The points of the first game that each of n players finishes, (n,).

    many: games, begun anew here.
    policy: states (n, k, H, W) of uint8 -> actions (n,).
    seed: of the games.
    most: rounds, of a move in each game, after which all are stopped, with the points so far.
    """
    states = many.reset(seed)
    points, over = np.zeros(many.n), np.zeros(many.n, bool)
    for _ in range(most):
        many.send(policy(states))
        step = many.recv()
        points += np.where(over, 0, step.rewards)
        over |= step.ended
        if over.all():
            break
        states = step.states
    return points
