"""Deep Q-learning: its parts against plain loops, its memory, a training that is interrupted."""

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from trickkit import games, player
from trickkit.course import player as training

SOON = {"capacity": 2_000, "warm": 200, "batch_size": 16, "every": 8, "sync": 5}


def learner(*, seed=0, n=8, **options):
    torch.manual_seed(seed)
    net = player.q_network("tiny", 4, pictures=2)
    return player.Learner(games.Tiny(n), net, **SOON | {"seed": seed} | options)


@pytest.fixture
def small_recipe(monkeypatch):
    """The player of 2013 after sixty moves; torch is as it was afterwards."""
    recipe = {
        "games": {"n": 2, "skip": 3, "maximum": False},
        "moves": 60,
        "learner": {"capacity": 100, "warm": 20, "batch_size": 4, "every": 10},
    }
    monkeypatch.setitem(training.PLAYERS, "2013", recipe)
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)
    torch.set_float32_matmul_precision("highest")


def test_a_target_is_what_a_loop_says():
    generator = torch.Generator().manual_seed(0)
    rewards = torch.randn(50, generator=generator)
    ended = torch.rand(50, generator=generator) < 0.3
    values = torch.randn(50, 6, generator=generator, requires_grad=True)
    wanted = [
        r if end else r + 0.9 * max(row)
        for r, end, row in zip(rewards.tolist(), ended.tolist(), values.tolist(), strict=True)
    ]
    out = player.target(rewards, ended, values, 0.9)
    torch.testing.assert_close(out, torch.tensor(wanted))
    assert not out.requires_grad


def test_epsilon_goes_in_straight_lines_and_stays():
    schedule = ((0, 1.0), (100, 0.1), (300, 0.0))
    at = [player.epsilon(moves, schedule) for moves in (0, 50, 100, 200, 300, 10**9)]
    assert at == pytest.approx([1, 0.55, 0.1, 0.05, 0, 0])
    for wrong in (((0, 1.0), (0, 0.1)), ((0, 1.5),), ((5, 0.1), (1, 0.2))):
        with pytest.raises(ValueError, match="moves rising"):
            player.epsilon(0, wrong)


@pytest.mark.parametrize("moves", [30, 200])  # before and after the oldest are forgotten
def test_what_is_drawn_was_lived(moves):
    n, length, stack = 3, 40, 4
    rng = np.random.default_rng(0)
    memory = player.Memory(n * length, n, (stack, 5, 5))
    lived = {}  # the newest picture of a state -> all that belongs to it
    begin = np.ones(n, bool)
    states = np.zeros((n, stack, 5, 5), np.uint8)
    story = []
    for _ in range(moves):
        states = np.where(begin[:, None, None, None], 0, np.roll(states, -1, 1))
        states[:, -1] = rng.integers(1, 256, (n, 5, 5))
        actions, rewards = rng.integers(0, 6, n), rng.normal(size=n).astype(np.float32)
        ended = rng.random(n) < 0.2
        story.append((states.copy(), actions, rewards, ended))
        memory.add(states[:, -1], actions, rewards, ended, begin)
        begin = ended
    for move in range(max(0, moves - length), moves - 1):
        for game in range(n):
            lived[story[move][0][game, -1].tobytes()] = (move, game)
    oldest = max(0, moves - length)
    drawn = memory.sample(2_000, torch.Generator().manual_seed(0))
    seen = set()
    for i in range(2_000):
        state = (drawn.states[i] * 255).round().byte().numpy()
        move, game = lived[state[-1].tobytes()]
        seen.add((move, game))
        was, actions, rewards, ended = story[move]
        np.testing.assert_array_equal(state, was[game])
        assert drawn.actions[i] == actions[game] and drawn.lost[i] == ended[game]
        assert drawn.rewards[i] == rewards[game]
        after = (drawn.after[i] * 255).round().byte().numpy()
        np.testing.assert_array_equal(after, story[move + 1][0][game])
    # every move whose whole stack is still there is drawn, also across the ring's seam
    assert seen == {(m, g) for m in range(oldest + stack - 1, moves - 1) for g in range(n)}


def test_nothing_can_be_drawn_from_too_little():
    memory = player.Memory(100, 2, (4, 5, 5))
    with pytest.raises(ValueError, match="Nothing can be drawn from 0 moves"):
        memory.sample(1, torch.Generator())


def test_an_update_moves_the_value_of_the_chosen_action_towards_its_target():
    one = learner(lr=1e-4, sync=10**6)
    while one.updates < 1:
        one.move()
    drawn = one.memory.sample(64, torch.Generator().manual_seed(1))
    wanted = player.target(drawn.rewards, drawn.lost, one.target(drawn.after), one.gamma)

    def apart():
        return (one.net(drawn.states).gather(1, drawn.actions[:, None])[:, 0] - wanted).abs().mean()

    before = apart()
    one.memory.sample = lambda *_: drawn
    for _ in range(30):
        one.update()
    assert apart() < 0.7 * before
    assert torch.equal(one.target.values.weight, learner().net.values.weight)  # not yet copied


def test_the_second_network_is_a_copy_from_time_to_time():
    one = learner(sync=3)
    same = []
    while one.updates < 9:
        before = one.updates
        one.update() if one.moves > 400 else one.move()
        if one.updates > before:
            same.append(torch.equal(one.net.hidden.weight, one.target.hidden.weight))
    assert same == [False, False, True] * 3


def test_rewards_are_cut_in_learning_and_whole_in_the_score():
    class Rich(games.Tiny):
        def recv(self):
            step = super().recv()
            return step._replace(rewards=step.rewards * 30)

    torch.manual_seed(0)
    one = player.Learner(Rich(8), player.q_network("tiny", 4, pictures=2), **SOON)
    for _ in range(200):
        one.move()
    assert set(one.memory.rewards.unique().tolist()) == {0.0, 1.0}
    assert max(one.scores) >= 30
    scores = player.play_games(Rich(20), lambda states: np.ones(len(states), int), seed=0)
    assert (scores % 30 == 0).all() and scores.max() >= 30


def test_play_counts_the_first_game_of_each_as_a_loop_would():
    rng = np.random.default_rng(5)
    actions = rng.integers(0, 4, (500, 6))
    turn = iter(actions)
    scores = player.play_games(games.Tiny(6), lambda states: next(turn), seed=2)
    many = games.Tiny(6)
    many.reset(2)
    wanted, over = [0.0] * 6, [False] * 6
    for some in actions:
        many.send(some)
        step = many.recv()
        for i in range(6):
            wanted[i] += 0 if over[i] else step.rewards[i]
            over[i] |= bool(step.ended[i])
    assert all(over) and scores.tolist() == wanted


def test_a_policy_takes_the_best_action_but_for_a_share_of_dice():
    net = player.q_network("tiny", 4, pictures=2)
    states = np.random.default_rng(0).integers(0, 256, (400, 2, 10, 10), dtype=np.uint8)
    best = net(torch.from_numpy(states) / 255).argmax(1).numpy()
    np.testing.assert_array_equal(player.epsilon_greedy(net, epsilon=0)(states), best)
    at_random = (player.epsilon_greedy(net, epsilon=0.4)(states) != best).mean()
    assert 0.2 < at_random < 0.4  # a quarter of the dice hit the best one
    dark = player.epsilon_greedy(net, epsilon=0, seen=torch.zeros_like)(states)
    assert (dark == dark[0]).all()


def test_a_training_taken_up_again_is_the_one_never_put_down(tmp_path):
    whole, first, second = (learner(lr=1e-3) for _ in range(3))
    for _ in range(120):
        whole.move()
    for _ in range(60):
        first.move()
    training.save(tmp_path / "half.pt", first, rows=[1, 2])
    assert training.resume(tmp_path / "half.pt", second) == {"rows": [1, 2]}
    for _ in range(60):
        second.move()
    assert second.updates == whole.updates > 20 and second.row() == whole.row()
    for a, b in zip(whole.net.parameters(), second.net.parameters(), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("damage", ["half", "empty", "text", "a list", "of another network"])
def test_a_damaged_checkpoint_gets_a_sentence(tmp_path, damage):
    path = tmp_path / "it.pt"
    training.save(path, learner())
    whole = path.read_bytes()
    one = learner()
    if damage == "of another network":
        one.net = player.q_network("2013", 6)
    elif damage == "a list":
        torch.save([1, 2], path)
    else:
        path.write_bytes({"half": whole[: len(whole) // 2], "empty": b"", "text": b"hello"}[damage])
    with pytest.raises(ValueError, match="Move it away, and the training begins anew"):
        training.resume(path, one)


def test_too_little_memory_is_not_called_damage(tmp_path, monkeypatch):
    path = tmp_path / "it.pt"
    training.save(path, learner())

    def full(*_, **__):
        raise torch.OutOfMemoryError("out of memory")

    monkeypatch.setattr(torch, "load", full)
    with pytest.raises(torch.OutOfMemoryError):
        training.resume(path, learner())


def test_an_interrupted_training_keeps_what_it_has(tmp_path, monkeypatch, small_recipe):
    def interrupted(self):
        if self.moves >= 30:
            raise KeyboardInterrupt
        move(self)

    move = player.Learner.move
    monkeypatch.setattr(player.Learner, "move", interrupted)
    with pytest.raises(KeyboardInterrupt, match="Stopped at 30 moves"):
        training.train("2013", tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["space_invaders_2013.pt"]


def test_a_checkpoint_that_cannot_be_written_leaves_the_old_one(tmp_path, monkeypatch):
    path = tmp_path / "it.pt"
    training.save(path, learner())
    before = path.read_bytes()

    def half(_, file):
        file.write_bytes(b"half")
        raise OSError("no space left")

    monkeypatch.setattr(torch, "save", half)
    with pytest.raises(OSError, match="no space"):
        training.save(path, learner())
    assert path.read_bytes() == before and list(tmp_path.iterdir()) == [path]


def test_the_games_that_cannot_be_put_down_begin_anew():
    one = player.Learner(games.SpaceInvaders(2), player.q_network("2013", 6), capacity=200, warm=10)
    for _ in range(5):
        one.move()
    other = player.Learner(
        games.SpaceInvaders(2), player.q_network("2013", 6), capacity=200, warm=10
    )
    other.load_state_dict(one.state_dict())
    assert other.moves == 10 and other.first.all() and not other.states[:, :-1].any()


def test_a_player_is_trained_by_a_command_and_goes_on(tmp_path, capsys, small_recipe):
    training.train("2013", tmp_path, moves=40)
    assert not capsys.readouterr().out
    net = training.train("2013", tmp_path)
    assert "goes on from 40 moves" in capsys.readouterr().out
    rows = (tmp_path / "space_invaders_2013.csv").read_text().splitlines()
    assert rows[0].startswith("minutes,moves,updates") and ",60," in rows[-1]
    kept = player.q_network("2013", 6)
    kept.load_state_dict(load_file(tmp_path / "space_invaders_2013.safetensors"))
    torch.testing.assert_close(kept.values.weight, net.values.weight, atol=1e-3, rtol=1e-3)


def test_bad_settings_get_a_sentence():
    with pytest.raises(ValueError, match="no player called '2014'"):
        player.q_network("2014", 6)
    for wrong in ({"lr": 0}, {"gamma": 2}, {"batch_size": 0}, {"warm": 3}, {"sees_ends": "no"}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            learner(**wrong)
