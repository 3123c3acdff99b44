import base64
import inspect
import io
import re

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from trickkit import data, fairness, monitors, plots
from trickkit.plots import charts, contexts, images, picture

DAYS = pd.DataFrame({"a": np.zeros(366)}, pd.date_range("2012-01-01", periods=366))
PICTURES = {  # by the name of what drew them
    "across": plots.across(
        [0.2, 0.3],
        [2.0, 1.0],
        1.0,
        {"straight": [0.4, 0.2], "sideways": torch.tensor([0.5, 0.0])},
        ("cat", "dog"),
        "two ways",
        xlabel="a",
        ylabel="b",
    ),
    "atlases": plots.atlases(
        {"drawn": torch.rand(144, 3, 8, 8), "real": torch.rand(144, 3, 8, 8)},
        torch.arange(144) > 70,
        "island",
        ways={"a": [(0.1, 0.2), (0.5, 0.5)]},
        dim=0.5,
    ),
    "cell_opened": plots.cell_opened(
        torch.rand(144, 3, 8, 8),
        torch.arange(144) > 70,
        80,
        torch.rand(5, 3, 20, 20),
        "a cell",
        drawing=torch.rand(3, 8, 8),
    ),
    "pictures": plots.pictures(torch.rand(5, 3, 120, 120), list("abcde"), "five < six & seven"),
    "pictures, small": plots.pictures(torch.rand(2, 1, 28, 28), ["a\nb", "c"], "digits"),
    "pictures, named": plots.pictures(
        torch.rand(4, 1, 28, 28),
        list("abcd"),
        "t",
        columns=2,
        rows=["up", "down"],
        heads=["l", "r"],
    ),
    "signed, named": plots.signed(
        torch.randn(4, 28, 28), list("abcd"), "t", columns=2, rows=["up", "down"], heads=["l", "r"]
    ),
    "signed": plots.signed(torch.randn(3, 28, 28), list("abc"), "weights"),
    "maps": plots.maps(torch.rand(1, 3, 60, 60), torch.randn(2, 60, 60), ["a\nb", "c"], "reasons"),
    "every_game": plots.every_game(
        {"left alone": [800, 600, 900], "tricked": [30, 60, 45]},
        "far less",
        marked=["tricked"],
        lines={"any action": 110.0},
        printed={"left alone": 850.0},
    ),
    "moment": plots.moment(
        torch.rand(84, 84),
        ["stay", "fire", "right"],
        [3.0, 3.2, 3.1],
        "move 7",
        before=torch.tensor([3.1, 3.0, 3.1]),
        heat=torch.rand(84, 84),
        note="40 points",
    ),
    "film": plots.film([torch.rand(1, 3, 20, 30) for _ in range(3)], "noise"),
    "curves": plots.curves(
        [1, 2, 3],
        {"up": [1, 2, 3], "down": [3, 2, 1]},
        "crossing",
        xlabel="x",
        ylabel="y",
        log="xy",
    ),
    "histograms": plots.histograms({"one": torch.rand(50)}, "spread", xlabel="how far"),
    "probabilities": plots.probabilities(
        torch.rand(1, 3, 50, 50), ["cat", "dog"], [0.25, 0.75], "a dog", mark="dog"
    ),
    "attacked": plots.attacked(
        torch.rand(1, 3, 50, 50),
        torch.rand(1, 3, 50, 50),
        ["cat", "dog"],
        [0.25, 0.75],
        "moved",
        note=" (3 pixels)",
    ),
    "ticks": plots.ticks(
        torch.tensor([[False, True], [True, False]]),
        ["a", "b"],
        ["c", "d"],
        "table",
        label="rows by columns",
    ),
    "matrix": plots.matrix(
        torch.tensor([[0.25, 1.0], [0.5, 0.0]]),
        ["a", "b"],
        ["c", "d"],
        "shares",
        xlabel="defence",
        ylabel="attack",
    ),
    "there_and_back": plots.there_and_back(
        [("x", "2 × 3"), ("h", "2 × 4"), ("loss", "1")],
        [("@ W", "back through W", "gW"), ("mean", "back through the mean", "")],
        "there and back",
    ),
    "products": plots.products(
        [(("x", 5, 784), ("W", 784, 50), "a"), (("x", 5, 784), ("g", 5, 50), "")], "boxes"
    ),
    "neuron": plots.neuron(
        np.array([[0.0, 1.0], [1.0, 0.0], [2.0, 0.0]]),
        np.array([0, 1, 0]),
        "ab",
        (1, -1),
        0.0,
        "plane",
        xlabel="x",
        ylabel="y",
    ),
    "region": plots.region(
        np.array([[1.0, 10.0], [2.0, 20.0], [3.0, 300.0]]),
        np.array([0, 1, 1]),
        "ab",
        (1, 15),
        "part",
        xlabel="x",
        ylabel="y",
    ),
    "weights": plots.weights(
        ["age > 42", "sex is male"],
        np.array([-0.2, 0.3]),
        np.array([[-0.25, -0.15], [0.2, 0.4]]),
        "bars <",
    ),
    "intervals": plots.intervals(
        ["if 3rd", "else"],
        [0.4, 0.9],
        np.array([[0.3, 0.5], [0.8, 1.0]]),
        "lines",
        label="chance to live",
        notes=["of 20", ""],
    ),
    "shortfall": plots.shortfall(
        [1, 2, 3], [3, 4, 6], [3, 3, 4], ("a", "b"), "apart", ylabel="rides", marks={2: "here"}
    ),
    "spread": plots.spread(["test", "day"], np.array([[1, 0.5], [1, 2]]), "equal", ylabel="ratio"),
    "served": plots.served(
        ["Jan", "Feb"], {"a": np.array([np.nan, 0.3]), "b": np.array([0.4, 0.2])}, "month by month"
    ),
    "coloured_text": plots.coloured_text(
        "if x:\n    return x + y if y else x", torch.randn(34), "one cell"
    ),
    "alignment_matrix": plots.alignment_matrix(
        torch.tensor([[0.9, 0.1, 0.0, 0.0], [0.2, 0.1, 0.7, 0.0]]),
        "a b",
        "ba",
        "it looks at b first",
        right=torch.eye(4, dtype=torch.bool)[:2],
    ),
    "attended": plots.attended(
        ["to", "be"], {"one": torch.tensor([0.98, 0.02, 0.0]), "two": torch.ones(2) / 2}, "a $5 one"
    ),
    "concordance": plots.concordance(
        {"one?": [("a $5", "b <", "c " * 40, 1.0)], "two": [], "three": [("", "x", "", 0.2)]},
        "words",
    ),
    "microscope": plots.microscope(
        torch.rand(1, 3, 64, 64),
        torch.tensor([[-1.5, 0.0], [0.5, 3.0]]),
        torch.rand(1, 3, 20, 20),
        torch.rand(1, 3, 32, 32),
        "unit 3",
        corner=(3, 4),
        side=20,
    ),
    "catches": plots.catches(
        np.eye(3, 2), ["a", "b", "quiet"], ["c", "d"], ["1", "2", "3"], "t", xlabel="x", note="n"
    ),
    "lights": plots.lights(
        np.eye(2, 30, dtype=bool),
        ["a", "b"],
        ["one", "two"],
        {"error": np.ones(30)},
        "month",
        anyway=np.eye(2, 30, 1, dtype=bool),
    ),
    "on_call": plots.on_call(
        monitors.Year(DAYS, {"fault": DAYS[5:8]}, {"fault": DAYS["a"][5:8]}),
        {
            "setting": monitors.Ledger(
                {DAYS.index[5]: "fault", DAYS.index[9]: ""}, {"fault": 1}, 7e3
            )
        },
        "a year",
    ),
    "readiness": plots.readiness({"a": [1, 0.5, 0], "b": [1, 1, 1]}, "score", fresh=[("b", 1)]),
    "icosahedra": plots.icosahedra(torch.eye(12)[:2], ["a\nb", "c"], "lights"),
    "cubes": plots.cubes({"a": torch.rand(9, 3)}, np.arange(9) % 2, "dots"),
    "planes": plots.planes(
        {"a": (np.ones((3, 2, 6)), np.ones((3, 2, 6))), "b": (np.eye(6)[:3, None],) * 2},
        [0, 1, 50],
        "paths",
    ),
    "layers_in_plane": plots.layers_in_plane(
        {"a": (np.ones((3, 6)), np.ones((3, 6))), "b": (np.eye(6)[:3],) * 2}, "dots", note="a note"
    ),
    "bands": plots.bands(
        [0, 1, 10], {"up": torch.rand(3, 5)}, "spread", xlabel="x", ylabel="y", log=True
    ),
    "lit": plots.lit(
        torch.rand(1, 3, 28, 28),
        torch.rand(3, 4, 4),
        ["a", "b", ""],
        "lights",
        box=(0, 0, 0.5, 0.5),
    ),
    "relief": plots.relief([np.ones((5, 5)), np.full((5, 5), 2.0)], ["a", "b"], "hills"),
    "bars_by_group": plots.bars_by_group(
        ["a, from 3", "b"], {"get <one>": np.array([0.2, 0.95]), "lost": np.zeros(2)}, "refused"
    ),
    "drifting": plots.drifting(
        {"by lot": np.random.rand(9, 5), "top": np.random.rand(9, 5), "c": np.ones((9, 5))},
        "cities",
        truth=0.5,
        xlabel="day",
        ylabel="share",
    ),
    "contours": plots.contours([1 + np.random.rand(5, 5)] * 3, ["a\nb", "c", "d"], "maps"),
    "trails": plots.trails([np.random.rand(4, 2)] * 2, ["a", "b"], "ways"),
    "rearranged": plots.rearranged(
        torch.randn(4, 9, 9), torch.randn(4, 9, 9), "film", begin=np.arange(4)[::-1], alt="a b"
    ),
    "path_between": plots.path_between(
        [0, 0.5, 1],
        {"straight": ([1, 3, 1], [0.9, 0.5, 0.9]), "bent": ([1, 1, 1], [0.9, 0.9, 0.9])},
        torch.randn(5, 9, 9),
        chosen="straight",
        t=0.25,
        title="between",
    ),
    "likeness": plots.likeness(
        [torch.eye(3), torch.rand(3, 3)], ["a\nb", "c"], "tables", layers="xyz", axes=("i", "j")
    ),
    "clouds": plots.clouds(
        torch.rand(5, 2), torch.rand(5, 2), ["a", "b"], "dots", star=2, note="a note"
    ),
    "wall": plots.wall(torch.randn(7, 4, 5, 5), "many", columns=4, across=2, dots=9, alt="noise"),
    "suspect": plots.suspect(
        torch.randn(6, 5, 5),
        torch.randn(5, 5),
        {"one": (0.9, 0.2), "two": (0.1, 0.1)},
        "on trial",
        note="loud",
        mask=torch.eye(5) > 0,
    ),
    "loud_maps": plots.loud_maps(
        torch.randn(3, 5, 5), torch.rand(3, 5, 5) > 0.5, "abc", "loud", columns=2, alt="maps"
    ),
    "flow": plots.flow(
        [-1, 0, 1],
        [np.arange(9).reshape(3, 3) % 2, np.zeros((3, 3), dtype=int)],
        [(np.ones((3, 3)), np.ones((3, 3)))] * 2,
        ["a", "b"],
        ["one", "two"],
        "planes",
        axes=[("x", "y")] * 2,
        path=np.zeros((2, 2)),
    ),
    "audits": plots.audits(
        {
            name: {
                group: fairness.rates(fairness.confusion([[6, 3], [2, 5]], threshold))
                for group, threshold in (("one", 2), ("two", last))
            }
            for name, last in (("even", 2), ("uneven", 3))
        },
        "bars",
    ),
    "base_rate_lines": plots.base_rate_lines(
        {"one": (0.4, 0.6), "two": (0.25, 0.5)}, {"one": 0.5, "two": 1 / 3}, "two lines"
    ),
    "reachable": plots.reachable(
        {"one": fairness.roc([[6, 3], [2, 5]]), "two": fairness.roc([[3, 3], [3, 5]])},
        (0.3, 0.7),
        "two roofs",
    ),
    "boards": plots.boards(torch.zeros(2, 10, 10), ["a", "b"], "two boards"),
    "learnt": plots.learnt(
        {"one": {"whole": np.ones((3, 5)), "part": np.zeros((3, 5))}, "two": {"whole": np.eye(3)}},
        [1e3, 2e3, 3e3],
        "lines",
        levels={"best": 12, "chance": 3},
    ),
    "strips": plots.strips(
        {"skip 3": np.zeros((4, 20, 20)), "skip 4": np.ones((4, 20, 20))}, "rows of pictures"
    ),
    "training_log": plots.training_log([0, 1e6], {"score": [1, 9], "loss": [2, 2]}, "logged"),
    "by_month": plots.by_month(["2013-01", "2013-02"], np.array([1, 2]), np.array([3, 2]), "bars"),
}


def test_no_figure_is_forgotten():
    functions = {name for name, value in vars(plots).items() if inspect.isfunction(value)}
    assert {name.partition(",")[0] for name in PICTURES} == functions - {"magnified"}


@pytest.mark.parametrize("picture", PICTURES.values(), ids=PICTURES)
def test_each_picture_has_bytes_and_the_same_alt_text_in_every_form(picture):
    bundle, metadata = picture._repr_mimebundle_()
    mime = f"image/{picture.kind}"
    image = Image.open(io.BytesIO(base64.b64decode(bundle[mime])))
    assert image.format.lower() == picture.kind and image.width > 150
    assert bundle["text/plain"] == metadata[mime]["alt"] == picture.alt
    alt = re.search(r'<img alt="([^"]*)" src="data:image/', bundle["text/html"]).group(1)
    assert "<" not in alt and picture.alt.startswith(alt[:5])


def test_numbers_are_said():
    said = {name: picture.alt for name, picture in PICTURES.items()}
    assert "border between cat and dog" in said["across"]
    assert "straight 0.45; sideways 0.50." in said["across"]
    assert (
        "up goes from 1 to 3" in said["curves"]
        and "dog 0.75" in said["probabilities"]
        and "No: a to c, b to d." in said["ticks"]
    )
    assert "cat 0.25, dog 0.75. (3 pixels)" in said["attacked"]
    assert "attack by defence. a: c 25%, d 100%; b: c 50%, d 0%." in said["matrix"]
    assert "2 lines of text" in said["coloured_text"]
    assert "from -1.5 to 3." in said["microscope"]
    assert "of each row: b at 'a' 90%, a at 'b' 70%." in said["alignment_matrix"]
    assert "one: most on to 98%, be 2%; two: most on to 50%, be 50%." in said["attended"]
    assert "a: c 100%, d 0%, 1; b: c 0%, d 100%, 2;" in said["catches"]
    assert "a 1 of 30, 0 of them with nothing wrong, too, one; b 1 of 30" in said["lights"]
    assert "setting: 2 pages, 1 of them false, 7,000 rides lost." in said["on_call"]
    assert "a 1.5; b 3." in said["readiness"]
    assert "Weights: sex is male +0.30, age > 42 -0.20." in said["weights"]
    assert (
        "x (5 × 784) @ W (784 × 50) = a (5 × 50); x (5 × 784) @ g (5 × 50) does not fit, 784"
        " meets 5" in said["products"]
    )
    assert "3 points, y over x; 1 on the wrong side" in said["neuron"]
    assert "where x is above 1 and y above 15 lie 0 of 1 a and 2 of 2 b" in said["region"]
    assert (
        "Chance to live: if 3rd: 40%, 30% to 50%, of 20; else: 90%, 80% to 100%."
        in said["intervals"]
    )
    assert "a, b: 1.00 on the diagonal, 0.00 off it" in said["likeness"]
    assert "uneven: two: FPR 0%, FNR 100%, PPV –, flagged 0%." in said["audits"]
    assert "one, base rate 50%: 0.40 and 0.60; two, base rate 33%:" in said["base_rate_lines"]
    assert "is at FPR 0.30 and FNR 0.30." in said["reachable"]
    assert "1 of 3 charged again in the first, 2 of 2 in the last." in said["by_month"]
    assert "dots. a note. 5 dots, one of them a star: a; b." in said["clouds"]
    assert "Path straight, t = 0.25: loss 2.00, accuracy 0.70." in said["path_between"]
    flat = plots.neuron(
        np.array([[0.0, 1.0], [1.0, 0.0]]),
        np.array([0, 1]),
        "ab",
        (0, 0),
        0.0,
        "flat",
        xlabel="x",
        ylabel="y",
    )
    assert "no line" in flat.alt and "side" not in flat.alt


def test_colours_are_told_apart_by_lightness_or_hue():
    """Okabe and Ito's palette: no two of the line colours are close for a reader without red-green
    vision."""

    def seen(colour):  # deuteranopia, Viénot, Brettel, Mollon 1999, on linear RGB
        r, g, b = ((int(colour[i : i + 2], 16) / 255) ** 2.2 for i in (1, 3, 5))
        m = 0.29275 * r + 0.70725 * g
        return torch.tensor([m, m, -0.02234 * r + 0.02234 * g + b]).clamp(min=0) ** (1 / 2.2)

    shades = [seen(c) for c in picture.COLOURS[:4]]
    assert all((a - b).norm() > 0.15 for i, a in enumerate(shades) for b in shades[:i])


def test_what_colours_cannot_tell_apart_is_refused():
    values = {str(i): [1.0, 2.0, 3.0] for i in range(len(picture.COLOURS))}
    assert len(picture.COLOURS) == 6 == len(charts.MARKERS) == len(set(charts.HATCHES))
    said = plots.curves([1, 2, 3], values, "six", xlabel="x", ylabel="y").alt
    assert said.count("goes from") == 6
    assert plots.histograms(values, "six", xlabel="x").alt.count(" 2.000") == 6
    values["one more"] = [0.0, 0.0, 0.0]
    with pytest.raises(ValueError, match="7 lines came; at most 6"):
        plots.curves([1, 2, 3], values, "seven", xlabel="x", ylabel="y")
    with pytest.raises(ValueError, match="7 groups came; at most 6"):
        plots.histograms(values, "seven", xlabel="x")


def test_lights_are_on_their_own_scale_or_on_one():
    """Two maps, one a tenth of the other: alike on scales of their own, dark on a common one."""
    maps = [torch.ones(4, 4), torch.full((4, 4), 0.1)]

    def brightness(**options):
        lit = plots.lit(torch.ones(1, 3, 28, 28), maps, ["", ""], "lights", **options)
        sheet = np.asarray(Image.open(io.BytesIO(lit.bytes)).convert("L"), dtype=float)
        middle = sheet[sheet.shape[0] * 2 // 3]
        return middle[len(middle) // 4], middle[3 * len(middle) // 4]

    assert np.ptp(brightness()) < 5
    first, second = brightness(full=1.0)
    assert first > 245 and second < 70


def test_words_that_do_not_fit_are_left_out_whole():
    assert [contexts.fitting("one two three", n) for n in (13, 12, 7, 6, 2)] == [
        "one two three",
        "one two",
        "one two",
        "one",
        "",
    ]


def test_magnified():
    change = torch.tensor([-0.01, 0.0, 0.004])
    assert torch.allclose(plots.magnified(change), torch.tensor([0.0, 0.5, 0.7]))
    assert torch.equal(plots.magnified(torch.zeros(3)), torch.full((3,), 0.5))


def test_a_film_plays_a_few_times_when_asked_and_stands_still_elsewhere(monkeypatch):
    frames = [torch.full((1, 3, 20, 30), v) for v in (0.1, 0.5, 0.9)]
    film = plots.film(
        frames,
        "Three greys",
        seconds=0.2,
        plays=3,
        alt="Three greys, ever lighter, one after another.",
    )
    bundle, metadata = film._repr_mimebundle_()
    moving = Image.open(io.BytesIO(base64.b64decode(bundle["image/gif"])))
    assert moving.n_frames == 3 and moving.info["loop"] == 2 and moving.info["duration"] == 200
    assert all(len(metadata[mime]["alt"]) > 20 for mime in bundle if mime.startswith("image/"))
    assert (
        bundle["text/plain"] == film.alt
        and "<summary>Play the film (1 s, 3 times over)" in bundle["text/html"]
    )
    once = Image.open(io.BytesIO(plots.film(frames, "once", plays=1).moving))
    assert "loop" not in once.info
    photos = [data.scene("dahlia", size=60).roll(by, 3) for by in (0, 9, 18)]
    photographed = plots.film(photos, "Three dahlias", seconds=0.1)
    shown = Image.open(io.BytesIO(photographed.moving))
    assert photographed.format == shown.format.lower() == "webp"
    assert shown.n_frames == 3 and shown.info["loop"] == 3 and shown.size == (60, 60)
    assert 'src="data:image/webp;base64,' in photographed._repr_mimebundle_()[0]["text/html"]
    for frame, photo in enumerate(photos):
        shown.seek(frame)
        kept = torch.from_numpy(np.array(shown.convert("RGB"))).permute(2, 0, 1) / 255
        assert (kept - photo[0]).abs().mean() < 0.05
    monkeypatch.setattr(images, "pictures", lambda shown, captions, *_, **__: captions)
    monkeypatch.setattr(images, "Film", lambda still, *_, **__: still)
    for count, stills, chosen in (
        (5, 3, (1, 3, 5)),
        (6, 3, (1, 4, 6)),
        (5, 2, (1, 5)),
        (1, 3, (1,)),
    ):
        shown = plots.film(photos[:1] * count, "stills", stills=stills)
        assert shown == [f"frame {i} of {count}" for i in chosen]
    with pytest.raises(ValueError, match="stills"):
        plots.film(photos, "one", stills=1)
    for wrong in ([], [torch.rand(1, 3, 4, 4), torch.rand(1, 3, 4, 5)]):
        with pytest.raises(ValueError, match="Frames of one size"):
            plots.film(wrong, "wrong")


def test_rows_and_columns_are_named_in_the_alt_text():
    for name in ("pictures, named", "signed, named"):
        assert PICTURES[name].alt.startswith("t. Rows: up, down. Columns: l, r. ")
    assert "Rows" not in PICTURES["pictures"].alt


def test_what_falls_out_on_the_way_back():
    said = PICTURES["there_and_back"].alt
    assert "@ W gives h, mean gives loss." in said
    assert said.endswith("the slope for h, back through W gives the slope for x and gW.")


def test_lines_are_named_in_the_order_in_which_they_end(monkeypatch):
    shown = []
    monkeypatch.setattr(charts, "Picture", lambda figure, *_, **__: shown.append(figure))
    lines = {"low": [3, 1], "high": [0, 2]}
    plots.curves([1, 2], lines, "two", xlabel="x", ylabel="y", notes=["first", "second"])
    words = [text.get_text() for text in shown[0].legends[0].get_texts()]
    assert words == ["high", "low"]
    assert [text.get_text() for text in shown[0].axes[0].texts] == ["first", "second"]
