"""What no lesson shows of the panels: other settings than its own, and what they refuse."""

import asyncio
import base64
import html
import random
import struct
import threading
import time

import numpy as np
import pytest
import torch

from trickkit import data, games, models, player, plots, widgets


@pytest.fixture
def quiet(monkeypatch):
    handle = type("Handle", (), {"update": lambda self, picture: None})()
    monkeypatch.setattr(widgets, "display", lambda *_, **__: handle)


def test_a_control_begins_where_it_is_told():
    assert widgets.slider([1, 5, 9], "n").value == 1
    assert widgets.slider([1, 5, 9], "n", index=2).value == 9
    assert widgets.choice(["cat", "dog"], "pet").value == "cat"
    assert widgets.choice(["cat", "dog"], "pet", value="dog").value == "dog"


def test_a_link_holds_the_picture_and_says_its_words():
    said = widgets.link(b"bytes", "cat.png", words="Save the cat").data
    assert 'download="cat.png"' in said and said.endswith(">Save the cat</a>")
    assert base64.b64encode(b"bytes").decode() in said
    offered = widgets.Download()
    offered.offer(b"bytes", "cat.png", words="Save the cat")
    assert offered.value == said


@pytest.mark.parametrize(("levels", "first"), [((0, 0.5, 1, 2), 1), ((0, 0.5, 2), 0.5), ((4,), 4)])
def test_ones_own_photo_begins_at_1_or_in_the_middle(quiet, levels, first):
    mine = widgets.OwnPhoto(models.imagenet(), levels=levels, steps=1)
    assert mine.eps.value == first and set(mine.tricked) == {0, *levels}
    assert mine.at(first).alt.startswith(f"ε = {first:g} of 255")
    assert "tricked.png" in mine.download.value and mine.says.value == ""


@pytest.mark.parametrize(
    ("wrong", "said"), [({"picture": "pandas"}, "'panda'"), ({"target": "vultur"}, "'vulture'")]
)
def test_ones_own_photo_refuses_what_there_is_none_of(quiet, wrong, said):
    with pytest.raises(ValueError, match=f"Did you mean .*{said}"):
        widgets.OwnPhoto(models.imagenet(), **wrong)


def test_a_link_escapes_what_it_is_told():
    said = widgets.link(b"x", '"><img src=x onerror=alert(1)>.png', words="<b>Save</b>").data
    assert "<img" not in said and "<b>" not in said and said.count("<") == 2


@pytest.mark.parametrize(
    ("error", "says"),
    [
        (ValueError("This is no photo."), "This is no photo. The photo before stays."),
        (OSError("disk gone"), "It stopped with OSError: disk gone. The photo before stays."),
        (struct.error("odd"), "It stopped with error: odd. The photo before stays."),
    ],
)
def test_whatever_a_photo_is_refused_with_is_said(error, says):
    def read(source):
        if isinstance(source, bytes):
            raise error
        return torch.zeros(1, 3, 2, 2)

    source = widgets.PhotoSource("panda", read=read)
    before = source.photo
    source.take(b"mine", name="mine")
    assert html.escape(says, quote=False) in source.says.value
    assert source.photo is before and source.name == "panda"


def test_a_photo_may_be_one_of_our_scenes():
    class Source(widgets.PhotoSource):
        def changed(self):
            pass

    source = Source("dahlia", read=widgets.open_photo)
    assert list(source.ours.options) == data.picture_names() + data.scene_names()
    assert torch.equal(source.photo, data.scene("dahlia"))
    source.ours.value = "palace"
    assert torch.equal(source.photo, data.scene("palace")) and source.name == "palace"
    assert html.escape(data.attribution("palace")) == source.credit.value
    assert torch.equal(widgets.open_photo("palace", size=64), data.scene("palace", size=64))
    with pytest.raises(ValueError, match="panda"):
        widgets.open_photo("pandaa")


def test_ones_own_photo_says_what_its_attack_stopped_with(quiet, monkeypatch):
    mine = widgets.OwnPhoto(models.imagenet(), levels=(1,), steps=1)
    monkeypatch.setattr(widgets.attacks, "pgd", lambda *_, **__: 1 / 0)
    mine.changed()
    assert "It stopped with ZeroDivisionError" in mine.says.value


def test_the_arcade_plays_what_is_pressed_and_begins_anew(monkeypatch):
    shown = []
    handle = type("Handle", (), {"update": lambda self, picture: shown.append(picture.alt)})()
    monkeypatch.setattr(widgets, "display", lambda *_, **__: handle)
    hands = widgets.Arcade(player.q_network("tiny", 4, pictures=2).eval(), seed=3)
    twin = games.Tiny(1)
    twin.reset(3)
    points = 0
    for _ in range(200):
        hands.press(1)
        twin.send(np.array([1]))
        step = twin.recv()
        points += int(step.rewards[0])
        assert (hands.states == step.states).all()
        if step.ended[0]:
            break
        assert hands.points == points and "It thinks: stay" in shown[-1]
    assert f"Game over: {points} points in {len(shown)} moves" in shown[-1]
    assert hands.points == hands.moves == 0
    hands.buttons[3].click()
    assert hands.moves == 1


@pytest.fixture
def shown(monkeypatch):
    """The alt texts of the pictures that were shown."""
    alts = []

    def display(thing, **_):
        if isinstance(thing, plots.Picture):
            alts.append(thing.alt)
        return type("Handle", (), {"update": staticmethod(display)})

    monkeypatch.setattr(widgets, "display", display)
    monkeypatch.setattr(widgets, "PAUSE", 0)
    monkeypatch.setattr(widgets, "REST", 0)
    return alts


def drawn(words):
    return plots.probabilities(torch.zeros(1, 1, 8, 8), ["a"], [1.0], words)


def titles(shown):
    return [alt.partition(".")[0] for alt in shown]


def a_panel(draw, count=9, **more):
    controls = {"n": widgets.slider(list(range(count)), "n", index=4), **more}
    return widgets.Panel(draw, controls), controls["n"]


def test_a_panel_remembers_what_it_drew_until_a_cell_runs(shown, monkeypatch):
    made = []
    panel, n = a_panel(lambda n: made.append(n) or drawn(f"n {n}"))
    n.value = 5
    n.value = 4
    assert titles(shown) == ["n 4", "n 5", "n 4"] and made.count(4) == 1
    monkeypatch.setattr(widgets, "cells_run", lambda: 7)
    n.value = 5
    assert made.count(5) == 2 and panel.says.value == ""


def test_a_panel_draws_ahead_after_a_touch_alone_and_the_likeliest_first(shown):
    made = []
    pet = widgets.choice(["cat", "dog"], "pet")
    panel, n = a_panel(lambda n, pet: made.append((n, pet)) or drawn(f"{n} {pet}"), pet=pet)
    assert made == [(4, "cat")]

    async def learner():
        n.value = 5
        await panel.task
        ahead = [(6, "cat"), (7, "cat"), (8, "cat"), (5, "dog")]
        assert made == [(4, "cat"), (5, "cat"), *ahead]
        n.value = 6
        assert titles(shown)[-1] == "6 cat" and len(made) == 6

    asyncio.run(learner())


def test_nothing_is_drawn_ahead_that_takes_long_or_once_a_cell_has_run(shown, monkeypatch):
    made = []
    _, n = a_panel(lambda n: made.append(n) or drawn(f"n {n}"))
    monkeypatch.setattr(widgets, "AHEAD", 0)
    n.value = 5
    assert made == [4, 5]
    monkeypatch.setattr(widgets, "AHEAD", 1)
    ran = iter([0])
    monkeypatch.setattr(widgets, "cells_run", lambda: next(ran, 1))
    n.value = 6
    assert made == [4, 5, 6]


def test_drawing_ahead_leaves_the_dice_alone(shown):
    def draw(n):
        return drawn(f"{random.random()} {np.random.rand()} {torch.rand(1).item()}")

    def thrown():
        return random.random(), np.random.rand(), torch.rand(1).item()

    panel, n = a_panel(draw)
    widgets.AHEAD, before = 0, widgets.AHEAD
    try:
        random.seed(1), np.random.seed(1), torch.manual_seed(1)
        n.value = 5
        alone = thrown()
    finally:
        widgets.AHEAD = before
    random.seed(1), np.random.seed(1), torch.manual_seed(1)
    n.value = 6
    assert len(panel.known) > 4 and thrown() == alone


def test_what_goes_wrong_while_drawing_is_said_and_the_panel_goes_on(shown):
    panel, n = a_panel(lambda n: drawn(f"n {10 // (n - 5)}"))
    n.value = 5
    assert "It stopped with ZeroDivisionError" in panel.says.value and titles(shown) == ["n -10"]
    n.value = 6
    assert panel.says.value == "" and titles(shown)[-1] == "n 10"


def test_a_panel_shows_the_stages_of_what_takes_long_and_drops_what_was_overtaken(shown):
    def draw(n):
        yield drawn(f"coarse {n}")
        yield drawn(f"fine {n}")

    panel, n = a_panel(draw)
    assert titles(shown) == ["fine 4"]

    async def learner():
        n.value = 5
        n.value = 6
        await panel.task

    asyncio.run(learner())
    assert titles(shown) == ["fine 4", "coarse 5", "coarse 6", "fine 6"]


def test_what_takes_long_is_announced(shown, monkeypatch):
    said = []
    monkeypatch.setattr(widgets, "SLOW", -1)
    panel, n = a_panel(lambda n: said.append(panel.says.value if n == 5 else "") or drawn(f"n {n}"))
    n.value = 5
    assert "working" in said[1] and panel.says.value == ""


def test_a_panel_forgets_the_oldest(shown, monkeypatch):
    monkeypatch.setattr(widgets, "AT_HAND", 3)
    monkeypatch.setattr(widgets, "AHEAD", 0)
    panel, n = a_panel(lambda n: drawn(f"n {n}"))
    for value in (5, 6, 7, 8):
        n.value = value
    assert sorted(panel.known) == [(6,), (7,), (8,)]


class Endless(torch.nn.Module):
    """A network that is asked again and again: it tells when it is asked first, and counts."""

    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Identity()
        self.asked = threading.Event()
        self.times = 0

    def forward(self, x):
        self.times += 1
        self.asked.set()
        return self.layer(x)


def ask_for_ever(net):
    while True:
        net(torch.zeros(1))


def test_what_was_overtaken_ends_at_the_next_layer_that_it_asks(shown, monkeypatch):
    net = Endless()
    panel, n = a_panel(lambda n: ask_for_ever(net) if n == 5 else drawn(f"n {n}"))

    def idle():
        times = net.times
        time.sleep(0.05)
        return net.times == times

    async def learner():
        n.value = 5
        assert net.asked.is_set() and titles(shown) == ["n 4"] and not idle()
        n.value = 6
        assert idle() and titles(shown)[-1] == "n 6"
        await panel.task
        assert idle()  # it was tried ahead, and given up
        assert net.layer(torch.ones(1)) == 1  # nobody else is refused

    monkeypatch.setattr(widgets, "AHEAD", 0.2)
    asyncio.run(learner())


def test_a_panel_gives_way_to_a_cell_and_goes_on_after_it(shown):
    net = Endless()
    slow = [True]
    panel, n = a_panel(lambda n: ask_for_ever(net) if n == 5 and slow[0] else drawn(f"n {n}"))

    async def learner():
        n.value = 5
        assert net.asked.is_set()
        widgets.give_way()
        times, slow[0] = net.times, False
        assert titles(shown) == ["n 4"]
        widgets.take_up()
        await panel.task
        assert net.times == times and titles(shown)[:2] == ["n 4", "n 5"]
        count = len(shown)
        widgets.give_way()
        widgets.take_up()  # what is finished is not drawn anew
        assert len(shown) == count

    asyncio.run(learner())


def test_another_photo_is_shown_as_it_is_before_it_is_tricked(shown):
    mine = widgets.OwnPhoto(models.imagenet(), levels=(0, 1), steps=2)
    assert [alt.partition(":")[0] for alt in shown] == ["ε = 1 of 255"]
    mine.ours.value = "koala"
    told = [alt.partition(".")[0] for alt in shown[1:]]
    assert told[0].startswith("ε = 0 of 255: koala") and told[-1].startswith("ε = 1 of 255")
    assert torch.equal(mine.tricked[0], mine.photo) and mine.says.value == ""
    assert set(mine.tricked) == set(mine.predictions) == {0, 1}


def test_a_photo_that_was_left_before_the_network_looked_is_looked_at_when_one_comes_back(shown):
    gaze = widgets.Gaze(models.dinov2(size=56), picture="panda", layer=11, head=0, patch=(0, 0))
    panda = gaze.attention
    gaze.photo.unobserve_all()
    gaze.photo.value = "koala"
    next(gaze.stages())  # and then something else is chosen
    gaze.photo.value = "panda"
    *_, last = gaze.stages()
    assert last.alt.startswith("panda: where [CLS] looks") and torch.equal(gaze.attention, panda)
    assert gaze.pointer.label == "panda" and torch.equal(gaze.image, data.picture("panda", size=56))
