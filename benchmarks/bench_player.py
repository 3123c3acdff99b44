"""Deep Q-learning on Space Invaders by us and by stable-baselines3, in one process, in turns:
python benchmarks/bench_player.py [--tiny] [part …]

The network of Mnih et al. 2015, eight games side by side, four frames a move, one thread of torch's
on the processor. acting: the network's moves, neither remembered nor learnt from. learning: updates
on batches of 32, from a memory that is filled. both: as in training, an update every fourth move.
memory: bytes of a remembered move, all told; the library's second row forgets the next state, as
ours does.
"""

import sys
import warnings

import torch
from side_by_side import chosen, in_turns, installed, sized, table

from trickkit import games, player

N = 8
MOVES = sized(2_000, 80)
UPDATES = sized(100, 2)
FILLED = sized(2_000, 160)
SETTINGS = {"batch_size": 32, "every": 4, "lr": 1e-4, "sync": 1_000}


class Ours:
    """A learner whose memory is filled."""

    def __init__(self, *, capacity):
        torch.manual_seed(0)
        net = player.q_network("2015", 6)
        many = games.SpaceInvaders(N)
        self.learner = player.Learner(many, net, capacity=capacity, warm=FILLED, **SETTINGS)
        self.learner.warm = 10**9
        self.both(FILLED)
        self.learner.warm = FILLED

    def act(self, moves):
        policy = player.epsilon_greedy(self.learner.net, epsilon=0)
        player.play_games(self.learner.games, policy, most=moves // N)

    def both(self, moves):
        end = self.learner.moves + moves
        while self.learner.moves < end:
            self.learner.move()

    def learn(self, updates):
        for _ in range(updates):
            self.learner.update()

    def bytes_a_move(self):
        memory = self.learner.memory
        kept = (getattr(memory, name) for name in ("pictures", "actions", "rewards"))
        return sum(x.nbytes for x in (*kept, memory.lost, memory.first)) / memory.actions.numel()


class Theirs:
    """The same by stable-baselines3."""

    def __init__(self, *, capacity, lean=False):
        import ale_py
        import gymnasium
        from stable_baselines3 import DQN
        from stable_baselines3.common.env_util import make_atari_env
        from stable_baselines3.common.vec_env import VecFrameStack

        gymnasium.register_envs(ale_py)
        env = make_atari_env("SpaceInvadersNoFrameskip-v4", n_envs=N, seed=0)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that next states might be forgotten
            self.model = DQN(
                "CnnPolicy",
                VecFrameStack(env, n_stack=4),
                learning_rate=SETTINGS["lr"],
                buffer_size=capacity,
                learning_starts=FILLED,
                batch_size=SETTINGS["batch_size"],
                train_freq=1,
                gradient_steps=N // SETTINGS["every"],
                target_update_interval=SETTINGS["every"] * SETTINGS["sync"],
                optimize_memory_usage=lean,
                replay_buffer_kwargs={"handle_timeout_termination": not lean},
                device="cpu",
                seed=0,
            )
        self.both(FILLED)

    def act(self, moves):
        states = self.model.env.reset()
        for _ in range(moves // N):
            actions, _ = self.model.predict(states, deterministic=True)
            states, *_ = self.model.env.step(actions)

    def both(self, moves):
        self.model.learn(moves, reset_num_timesteps=False)

    def learn(self, updates):
        self.model.train(updates, SETTINGS["batch_size"])

    def bytes_a_move(self):
        buffer = self.model.replay_buffer
        kept = (buffer.observations, buffer.actions, buffer.rewards, buffer.dones, buffer.timeouts)
        after = getattr(buffer, "next_observations", None)
        whole = sum(x.nbytes for x in kept) + (0 if after is None else after.nbytes)
        return whole / buffer.rewards.size


PEERS = installed({"trickkit": Ours, "stable_baselines3": Theirs})


def by_speed(method, amount, unit):
    rigs = {name: peer(capacity=4_000) for name, peer in PEERS.items()}
    jobs = {name: lambda rig=rig: getattr(rig, method)(amount) for name, rig in rigs.items()}
    timed = in_turns(jobs, turns=sized(4, 1))
    first = next(iter(timed.values())).seconds
    table(
        f"{method}: {amount} {unit}",
        {
            name: {f"{unit} a second": amount / t.seconds, "× first": t.seconds / first}
            for name, t in timed.items()
        },
    )


def by_memory():
    rows = {name: peer(capacity=4_000) for name, peer in PEERS.items()}
    if Theirs in PEERS.values():
        rows["stable_baselines3, lean"] = Theirs(capacity=4_000, lean=True)
    table("memory", {name: {"bytes a move": rig.bytes_a_move()} for name, rig in rows.items()})


PARTS = {
    "acting": lambda: by_speed("act", MOVES, "moves"),
    "learning": lambda: by_speed("learn", UPDATES, "updates"),
    "both": lambda: by_speed("both", MOVES, "moves"),
    "memory": by_memory,
}

if __name__ == "__main__":
    torch.set_num_threads(1)
    for part in chosen(PARTS).values():
        part()
    sys.stdout.flush()
