"""The test that finds a stale picture finds one, and is not alarmed by what machines do."""

import base64
import io
import pathlib
import re
import types

import nbformat
import numpy as np
import pictures
import pytest
import torch
from PIL import Image

import conftest
from trickkit import plots

N = [50, 100, 200, 400, 800]
CURVE = plots.curves(N, {"a": N, "b": N[::-1]}, "one finding", xlabel="n", ylabel="share")


def encoded(image, kind="png", **options):
    file = io.BytesIO()
    Image.fromarray(np.asarray(image, np.uint8)).save(file, kind, **options)
    return base64.b64encode(file.getvalue()).decode()


def outputs(picture):
    """A cell's, with this picture."""
    return [{"output_type": "stream"}, {"data": picture._repr_mimebundle_()[0]}]


def pixels(picture):
    return pictures.read(base64.b64encode(picture.bytes).decode())[0]


def redrawn(**changes):
    """The curve above, but for these options."""
    options = {"title": "one finding", "xlabel": "n", "ylabel": "share"}
    return plots.curves(N, **{"lines": {"a": N, "b": N[::-1]}} | options | changes)


@pytest.mark.parametrize(
    "changes",
    [
        {"log": "x"},  # other ticks
        {"title": "one findings"},
        {"ylabel": ""},
        {"lines": {"a": N}},  # no legend
        {"lines": {"b": N[::-1], "a": N}},  # the colours swapped
        {"lines": {"a": N, "b": [700, 300, 200, 200, 100]}},
    ],
)
def test_what_has_changed_is_found(changes):
    before, now = outputs(CURVE), outputs(redrawn(**changes))
    assert not pictures.stale(before, outputs(redrawn()))
    assert re.search(
        "squares of 8 × 8 pixels differ by more than 4|drawn now", pictures.stale(before, now)
    )


def test_of_what_hangs_on_rounding_another_picture_is_found_and_a_word_is_not():
    def signed(seed):
        maps = torch.randn(2, 9, 9, generator=torch.Generator().manual_seed(seed))
        return outputs(plots.signed(maps, ["", ""], "two maps"))

    assert pictures.stale(signed(0), signed(1), exempt=True)
    assert not pictures.stale(outputs(CURVE), outputs(redrawn(title="one findings")), exempt=True)


def test_a_tick_of_another_name_is_found():
    def drawn(tick):
        figure, axes = plots.picture.grid_figure(3, 2)
        axes[0, 0].set_xticks([0.2, 0.5], ["0", tick])
        return outputs(plots.Picture(figure, "an axis"))

    assert pictures.stale(drawn("10²"), drawn("1,000"))
    assert not pictures.stale(drawn("50"), drawn("60"))  # as little as rounding turns elsewhere


def test_what_machines_do_is_not():
    a = pixels(CURVE)
    noisy = a - np.random.default_rng(0).integers(0, 2, a.shape)
    assert not pictures.compare(encoded(a), encoded(noisy.clip(0)))
    photo = torch.nn.functional.interpolate(torch.rand(1, 3, 9, 9), (150, 150), mode="bicubic")
    grid = pixels(plots.pictures(photo.clamp(0, 1), ["a photo"], "one"))
    twice = [encoded(grid, "jpeg", quality=quality) for quality in (88, 75)]
    assert not pictures.compare(*twice, photo=True)


def test_a_moved_line_passes_only_where_outputs_are_not_compared():
    a = np.full((40, 60, 3), 255)
    a[20:22] = 0
    moved = np.roll(a, 2, axis=0)
    assert not pictures.compare(encoded(a), encoded(moved), exempt=True)
    assert "at 0 from the left and 16 from the top" in pictures.compare(encoded(a), encoded(moved))


def test_in_a_photo_shades_count_and_words():
    photo = torch.nn.functional.interpolate(torch.rand(1, 3, 9, 9), (150, 150), mode="bicubic")
    of = [photo, photo.flip(3)]
    grids = [outputs(plots.pictures(one.clamp(0, 1), ["a photo"], "one")) for one in of]
    grids.append(outputs(plots.pictures(photo.clamp(0, 1), ["photos of one thing"], "one")))
    assert pictures.stale(grids[0], grids[1]) and pictures.stale(grids[0], grids[2])


def test_sizes_counts_kinds_and_films():
    grey = np.full((40, 60, 3), 200)
    small = pictures.compare(encoded(grey), encoded(grey[:, :50]))
    assert small == "stored 60 × 40 pixels, frames 1; drawn now 50 × 40, 1"
    films = [
        plots.film([torch.full((1, 3, 9, 9), float(frame)) for frame in frames], "").moving
        for frames in ((0, 1), (1, 0), (1, 0, 1))
    ]
    dark, light, longer = (base64.b64encode(film).decode() for film in films)
    assert "1 squares" in pictures.compare(dark, light, photo=True)
    assert "frames 2; drawn now" in pictures.compare(light, longer, photo=True)
    found = pictures.stale(outputs(CURVE), outputs(CURVE)[:1])
    assert found == "stored ['image/png']; drawn now []"


def test_a_lesson_whose_picture_is_stale_fails_and_says_what_to_do():
    def refuse(words):
        raise ValueError(words)

    item = types.SimpleNamespace(
        cell=nbformat.NotebookNode(id="cell-07", execution_count=1, outputs=outputs(CURVE)),
        path=pathlib.Path("notebooks/22_my_lesson.ipynb"),
        options={"check": True},
        test_outputs=outputs(redrawn(log="x")),
        raise_cell_error=refuse,
    )
    run = conftest.pytest_runtest_call(item)
    next(run)
    with pytest.raises(ValueError, match="^22_my_lesson, cell-07: .*`make lessons LESSON=22`"):
        run.send(None)
    item.test_outputs = outputs(redrawn())
    run = conftest.pytest_runtest_call(item)
    next(run)
    with pytest.raises(StopIteration):
        run.send(None)
