"""What no lesson shows of the panels: other settings than its own, and what they refuse."""

import base64

import pytest

from trickkit import models, widgets


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
    assert mine.eps.value == first and len(mine.tricked) == len(levels)
    assert mine.draw().alt.startswith(f"ε = {first:g} of 255")


@pytest.mark.parametrize(
    ("wrong", "said"), [({"picture": "pandas"}, "'panda'"), ({"target": "vultur"}, "'vulture'")]
)
def test_ones_own_photo_refuses_what_there_is_none_of(quiet, wrong, said):
    with pytest.raises(ValueError, match=f"Did you mean .*{said}"):
        widgets.OwnPhoto(models.imagenet(), **wrong)
