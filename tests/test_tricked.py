import numpy as np
import pytest
import torch
from torch import nn

from trickkit import attacks, player, tricked
from trickkit.papers import huang2017

STATES = tricked.stored_states("measure")[:4]


@pytest.fixture(scope="module")
def net():
    return player.shipped_player("2015")


def test_a_stored_game_is_what_the_player_played(net):
    game = tricked.stored_game()
    assert len(game.pictures) == len(game.actions) + 3 == len(game.rewards) + 3
    moves = torch.arange(0, len(game.actions), 7)
    chosen = tricked.best_action(net, game.states(moves)) == game.actions[moves]
    assert chosen.float().mean() > 0.9  # but for a random move one time in twenty
    assert (game.states(moves + 1)[:-1, :3] == game.states(moves)[:-1, 1:]).all()


def test_the_tricked_game_begins_alike_and_is_played_tricked(net):
    calm, upset = tricked.stored_game(), tricked.stored_game("fgsm")
    assert (calm.pictures[:4] == upset.pictures[:4]).all()
    moves = torch.arange(0, len(upset.actions), 3)
    seen = tricked.worst_step(net, upset.states(moves), eps=1 / 255)
    assert (tricked.best_action(net, seen) == upset.actions[moves]).float().mean() > 0.85
    with pytest.raises(ValueError, match="trick"):
        tricked.stored_game("no such")


def test_the_stored_states_are_two_hundred_and_fifty_six():
    parts = [tricked.stored_states(part) for part in ("make", "measure")]
    assert all(part.shape == (128, 4, 84, 84) for part in parts)
    assert not (parts[0] == parts[1]).flatten(1).all(1).any()
    with pytest.raises(ValueError, match="part"):
        tricked.stored_states("both")


def test_the_score_that_is_kept_is_the_stored_games():
    told = huang2017.tricked_scores()
    for trick, levels in (("none", 0), ("fgsm", 1)):
        rows = told[(told["trick"] == trick) & (told["levels"] == levels)]
        rows = rows[rows["game"] == huang2017.KEPT_GAME]
        game = tricked.stored_game(trick)
        [points], [moves] = rows["points"], rows["moves"]
        assert (points, moves) == (game.rewards.sum(), len(game.actions))


def test_each_trick_was_played_thirty_times(net):
    told = huang2017.tricked_scores()
    games = told.groupby(["trick", "levels"]).size()
    assert (games == huang2017.GAMES).all()
    assert set(games.index) == {*huang2017.tricks(net, net), *huang2017.BLIND}
    assert told["fired"].between(0, 1).all()


def test_the_worst_step_is_fgsm_against_the_best_action(net):
    moved = tricked.worst_step(net, STATES, eps=0.01)
    assert torch.equal(moved, attacks.fgsm(net, STATES, net(STATES).argmax(1), eps=0.01))
    assert (tricked.best_action(net, moved) != tricked.best_action(net, STATES)).all()


def test_coin_tosses_and_shuffled_steps_are_as_large(net):
    dice = torch.Generator().manual_seed(0)
    worst = (tricked.worst_step(net, STATES, eps=0.01) - STATES).abs()
    for moved in (
        tricked.coin_tosses(STATES, eps=0.01, generator=dice),
        tricked.shuffled_step(net, STATES, eps=0.01, generator=dice),
    ):
        change = (moved - STATES).abs()
        assert change.max() <= 0.01 + 1e-6
        assert 0 <= moved.min() <= moved.max() <= 1
        assert change.mean() > 0.5 * worst.mean()


def test_whoever_is_asked_whether_to_fire_answers_with_two_values(net):
    said = tricked.whether_to_fire(net)(STATES)
    values = net(STATES)
    assert torch.equal(said[:, 0], values[:, [0, 2, 3]].max(1).values)
    assert torch.equal(said.amax(1), values.amax(1))
    fires = torch.isin(tricked.best_action(net, STATES), torch.tensor(tricked.FIRE))
    assert torch.equal(said.argmax(1) == 1, fires)


def test_a_sticker_stays_in_its_corner_and_raises_the_loss(net):
    sticker = tricked.sticker_for(net, STATES, side=6, steps=4)
    stuck = tricked.with_sticker(STATES, sticker)
    assert (stuck[..., -6:, -6:] == sticker).all()
    assert torch.equal(stuck[..., :-6, :], STATES[..., :-6, :])
    labels = tricked.best_action(net, STATES)
    grey = tricked.with_sticker(STATES, torch.full_like(sticker, 0.5))
    loss = nn.functional.cross_entropy
    assert loss(net(stuck), labels) > loss(net(grey), labels)


def test_hidden_rows_are_black_and_the_others_as_they_were():
    left = tricked.blackened(STATES, (61, 71))
    assert left[..., 61:71, :].max() == 0
    assert torch.equal(left[..., 71:, :], STATES[..., 71:, :])


def test_rows_of_others_take_the_place_of_ours_and_nothing_else_does():
    swapped = tricked.with_rows_of(STATES, STATES.roll(1, 0), (72, 78))
    assert torch.equal(swapped[1, :, 72:78], STATES[0, :, 72:78])
    assert torch.equal(swapped[..., :72, :], STATES[..., :72, :])
    assert torch.equal(swapped[..., 78:, :], STATES[..., 78:, :])


def test_the_shares_of_a_map_and_how_alike_two_are():
    maps = torch.zeros(2, 84, 84)
    maps[:, 73], maps[0, 0] = 1, 3
    shares = tricked.map_shares(maps, {"top": (0, 10), "cannon": (72, 78)})
    assert shares == pytest.approx({"top": 37.5, "cannon": 62.5})
    a = torch.rand(2, 9, 9, generator=torch.Generator().manual_seed(0))
    b = a.clone()
    b[:, :4] *= -1
    assert tricked.map_likeness(a, a.square()) == pytest.approx(1)
    lower = torch.zeros(2, 9, 9, dtype=torch.bool)
    lower[:, 4:] = True
    assert tricked.map_likeness(a, b, where=lower) == pytest.approx(1)
    assert tricked.map_likeness(a, b) < 0.5


def test_what_flies_is_small_and_the_shields_do_not():
    state = torch.zeros(1, 4, 84, 84)
    state[0, :, 30:33, 40] = 0.5  # a shot
    state[0, 1, 50:54, 10:12] = 0.4  # a bomb
    state[0, :, 62:70, 20:27] = 0.4  # a shield
    state[0, :, 20:23, 60:66] = 0.3  # an alien
    found = tricked.flying(state)
    assert found.sum((2, 3)).tolist() == [[3, 11, 3, 3]]
    assert found[0, 2, 30:33, 40].all()
    dice = torch.Generator().manual_seed(0)
    others = tricked.as_many_others(state, generator=dice)
    assert not (others & found).any()
    assert (state[others] > 0).all()
    assert others.sum() < 60


def test_a_spot_scores_half_the_squared_change(net):
    state, mask = STATES[:1], torch.zeros(1, 1, 84, 84)
    mask[..., 70:80, 30:50] = 1
    instead = tricked.blurred(state)
    mixed = state.clone()
    mixed[..., 70:80, 30:50] = instead[..., 70:80, 30:50]
    by_hand = (net(mixed) - net(state)).square().sum() / 2
    assert tricked.spot_score(net, state, instead, mask).item() == pytest.approx(
        by_hand.item(), rel=1e-3
    )


def test_a_map_is_hot_where_the_network_looks():
    class Corner(nn.Module):
        def forward(self, x):
            seen = x[:, :, 10:16, 60:66].mean((1, 2, 3))
            return torch.stack([seen, -seen], 1)

    dice = torch.Generator().manual_seed(0)
    states = torch.rand(2, 4, 84, 84, generator=dice)
    maps = tricked.spot_map(Corner().eval(), states, instead=torch.zeros_like(states))
    assert maps.shape == (2, 84, 84)
    assert maps.min() >= 0
    row, column = np.unravel_index(int(maps[0].argmax()), (84, 84))
    assert abs(row - 12.5) < 5
    assert abs(column - 62.5) < 5


def test_spots_lie_half_a_spacing_from_the_edge():
    spots = tricked.round_spots(84, 84)
    assert spots.shape == (144, 1, 84, 84)
    assert np.unravel_index(int(spots[0, 0].argmax()), (84, 84)) == (3, 3)
    assert np.unravel_index(int(spots[13, 0].argmax()), (84, 84)) == (10, 10)
    assert spots.amax((1, 2, 3)).min() == 1
