"""The games: what a move does, what ends one, and that pictures are the emulator's own."""

import sys

import cv2
import numpy as np
import pytest
from ale_py import ALEInterface, LoggerMode, roms

from trickkit import games

STAY, FIRE, RIGHT, LEFT = range(4)


def moved(many, *actions):
    """What the last of some actions did, each played in all games."""
    for action in actions:
        many.send(np.full(many.n, action))
        step = many.recv()
    return step


def cannons(states):
    return (states[:, -1, -1] == games.Tiny.greys["cannon"]).argmax(1)


def aliens(states):
    return (states[:, -1] == games.Tiny.greys["alien"]).sum((1, 2))


# The tiny game


def test_a_state_is_the_last_pictures_the_newest_at_the_end():
    many = games.Tiny(5, stack=3)
    begun = many.reset(0)
    assert begun.shape == (5, *many.shape) == (5, 3, 10, 10) and begun.dtype == np.uint8
    assert not begun[:, :2].any() and begun[:, 2].any((1, 2)).all()
    first = moved(many, STAY).states
    second = moved(many, STAY).states
    np.testing.assert_array_equal(first[:, 1], begun[:, 2])
    np.testing.assert_array_equal(second[:, :2], first[:, 1:])


def test_the_cannon_moves_and_stays_on_the_board():
    many = games.Tiny(50, bombs=0.0)
    at = cannons(many.reset(0))
    np.testing.assert_array_equal(cannons(moved(many, RIGHT).states), np.minimum(at + 1, 9))
    assert (cannons(moved(many, *[LEFT] * 12).states) == 0).all()


def test_a_hit_takes_one_alien_and_is_worth_a_point():
    many = games.Tiny(200, bombs=0.0)
    before = aliens(many.reset(0))
    assert (before == games.Tiny.best).all()
    hits = np.zeros(200)
    for _ in range(10):
        step = moved(many, FIRE)
        assert not step.ended.any()
        hits += step.rewards
    np.testing.assert_array_equal(aliens(step.states), before - hits)
    assert 0 < (hits > 0).mean() < 1


def test_nobody_scores_more_than_all_aliens_and_all_games_end():
    many = games.Tiny(100)
    many.reset(1)
    rng = np.random.default_rng(0)
    points, best, ended = np.zeros(100), 0.0, np.zeros(100, bool)
    for _ in range(400):
        many.send(rng.choice([FIRE, FIRE, RIGHT, LEFT], 100))
        step = many.recv()
        points += step.rewards
        best = max(best, points.max())
        np.testing.assert_array_equal(aliens(step.states)[step.ended], games.Tiny.best)
        points[step.ended] = 0
        ended |= step.ended
    assert ended.all() and best <= games.Tiny.best


def test_a_game_that_ends_begins_anew_without_its_past():
    many = games.Tiny(100)
    many.reset(0)
    seen = 0
    for _ in range(150):
        step = moved(many, STAY)
        assert not step.states[step.ended, :-1].any()
        assert (step.lost == step.ended).all()
        seen += step.ended.sum()
    assert seen >= 100  # who stands still is hit, or landed upon


def test_a_game_is_put_down_and_taken_up_again():
    rng = np.random.default_rng(0)
    actions = rng.integers(0, 4, (60, 8))
    many = games.Tiny(8)
    many.reset(3)
    for some in actions[:30]:
        many.send(some)
    kept = many.state_dict()
    other = games.Tiny(8)
    other.load_state_dict(kept)
    for some in actions[30:]:
        many.send(some)
        other.send(some)
        for a, b in zip(many.recv(), other.recv(), strict=True):
            np.testing.assert_array_equal(a, b)


# Space Invaders


def emulator():
    ALEInterface.setLoggerMode(LoggerMode.Error)
    one = ALEInterface()
    one.setFloat("repeat_action_probability", 0.0)
    one.loadROM(roms.get_rom_path("space_invaders"))
    one.reset_game()
    return one


@pytest.mark.parametrize("skip, maximum", [(3, False), (4, True)])
def test_the_pictures_are_the_emulators_own(skip, maximum):
    many = games.SpaceInvaders(1, skip=skip, maximum=maximum)
    many.reset(0)
    states, info = many.env.reset(seed=0)
    one = emulator()
    for _ in range(int(info["frame_number"][0])):
        one.act(0)
    buttons = one.getMinimalActionSet()
    rng = np.random.default_rng(0)
    points = 0.0
    before = one.getScreenGrayscale()
    for _ in range(120):
        picture = one.getScreenGrayscale()
        if maximum:
            picture = np.maximum(picture, before)
        small = cv2.resize(picture, (84, 84), interpolation=cv2.INTER_AREA)
        np.testing.assert_allclose(states[0, -1].astype(int), small, atol=1)  # of 255: rounding
        action = int(rng.integers(6))
        got = 0
        for _ in range(skip):
            before = one.getScreenGrayscale()
            got += one.act(buttons[action])
        many.send(np.array([action]))
        step = many.recv()
        assert step.rewards[0] == got
        points += got
        states = step.states
    assert points > 0


def test_a_lost_life_is_seen_and_does_not_end_the_game():
    many = games.SpaceInvaders(8)
    many.reset(0)
    rng = np.random.default_rng(0)
    lost, ended = np.zeros(8), np.zeros(8)
    for _ in range(700):
        many.send(rng.integers(0, 6, 8))
        step = many.recv()
        assert (step.lost | ~step.ended).all()  # an end is a loss
        assert not step.states[step.ended, :-1].any()
        still = ended == 0
        lost += step.lost * still
        ended += step.ended
    assert ended.any() and (lost[ended > 0] == 3).all() and (lost <= 3).all()


def test_without_the_emulator_a_sentence_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "ale_py.vector_env", None)
    with pytest.raises(ImportError, match="pip install ale-py"):
        games.SpaceInvaders(1)


@pytest.mark.parametrize("skip", [3, 4])
@pytest.mark.parametrize("maximum", [False, True])
def test_frames_are_stacked_as_the_emulator_does(skip, maximum):
    """All but the odd pixel: the emulator takes the brighter before it scales down, we after."""
    one = games.SpaceInvaders(1, skip=1, maximum=False)
    frames = [one.reset(5)[0, -1]]
    many = games.SpaceInvaders(1, skip=skip, maximum=maximum)
    many.reset(5)
    for action in np.random.default_rng(1).integers(0, 6, 60):
        frames += [moved(one, action).states[0, -1] for _ in range(skip)]
        states = moved(many, action).states[0]
    apart = games.stacked(np.stack(frames), skip=skip, maximum=maximum) != states
    assert apart.mean() < 0.001 if maximum else not apart.any()


def test_too_few_frames_are_refused():
    with pytest.raises(ValueError, match="15 frames came; .* want 16"):
        games.stacked(np.zeros((15, 2, 2)))


def test_a_game_in_colour_is_the_same_game():
    many = games.SpaceInvaders(1)
    many.reset(3)
    actions = np.random.default_rng(0).integers(0, 6, 80)
    states = moved(many, *actions).states[0, -1]
    colour = games.in_colour(actions, seed=3)
    assert colour.shape == (80, 210, 160, 3) and colour.dtype == np.uint8
    grey = cv2.resize(colour[-1].max(-1), (84, 84), interpolation=cv2.INTER_AREA)
    assert np.corrcoef(grey.ravel(), states.ravel())[0, 1] > 0.95
    other = games.in_colour(actions, seed=4)  # begins after another number of idle frames
    assert (other[-1] != colour[-1]).any()


def test_whether_the_emulator_is_there_is_said(monkeypatch, capsys):
    assert games.at_hand() and capsys.readouterr().out == ""
    monkeypatch.setitem(sys.modules, "ale_py.vector_env", None)
    assert not games.at_hand() and "pip install ale-py" in capsys.readouterr().out
