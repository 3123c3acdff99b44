"""Every lesson's panels in a real JupyterLab: each control is moved by keyboard, and the picture
follows and says so. Of a lesson run only the cells that its panels need.

What only some panels have (photos to upload or to click in, buttons) has its own tests:
test_browser.py, test_gaze_panel.py, test_atlas_panel.py, test_dream_panel.py.
"""

import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from browser import (
    chromium,
    end_kernels,
    jupyterlab,
    panels_of,
    require_chromium,
    run_all,
    shown_panels,
)
from sliced import has_panel, needed

from trickkit import folders

ELSEWHERE = ("03", "09", "14")
FILES = sorted((folders.ROOT / "notebooks").glob("*.ipynb"))
LESSONS = [
    file.name
    for file in FILES
    if has_panel(file.read_text(encoding="utf-8")) and not file.name.startswith(ELSEWHERE)
]
# the controls whose value the picture's words tell
TOLD = {
    "01": {"digit", "towards", "steps"},
    "02": {"garment", "becomes", "fraction"},
    "04": {"network", "ε"},
    "05": {"attack"},
    "06": {"σ", "votes"},
    "07": {"photo", "layer", "unit", "cell"},
    "08": {"left", "right"},
    "10": {"weights times"},
    "11": {"t", "path"},
    "12": {"compare", "rows", "how far the star moves, in typical distances"},
    "13": {"feature"},
    "15": {"step"},
    "16": {"rows", "seed", "patches shown"},
    "17": {"months >", "amount >"},
    "18": set(),
    "19": {"Black: from decile", "white: from decile", "Asian: from"},
    "20": {"trained on 1", "months of memory", "fault"},
    "21": {"move", "ε, grey levels"},
}
# changes the photo to click in, not the picture's words
SILENT = {"real patches"}


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    """A folder, the address of its JupyterLab, and a page."""
    require_chromium()
    folder = tmp_path_factory.mktemp("lab")
    with jupyterlab(folder) as address, chromium() as page:
        yield folder, address, page


def tells(words, value):
    """Whether words hold a value, and not only as part of another."""
    return re.search(rf"(?<![\w.]){re.escape(value)}(?![\w]|\.\d)", words) is not None


def moved(panel, control, *, told):
    """Whether a control can be moved so that the picture says something else.

    told: its value too, wherever it stands.
    """
    before = panel.alt()
    for key in control.keys:
        if control.press(key):
            panel.settle(before)
            if panel.alt() != before:
                assert not told or tells(panel.alt(), control.value()), (control.label, panel.alt())
                return True
    return False


@pytest.mark.parametrize("lesson", LESSONS)
def test_each_control_moves_the_picture(lesson, lab):
    folder, address, page = lab
    panels_of(lesson, folder)
    told = TOLD.get(lesson[:2], set())
    try:
        run_all(page, address.format(lesson))
        assert page.locator("[data-mime-type*='error'], [data-mime-type*='stderr']").count() == 0
        panels = shown_panels(page)
        assert panels
        labels = set()
        for panel in panels:
            for control in panel.controls():
                labels.add(control.label)
                changes = moved(panel, control, told=control.label in told)
                assert changes or control.label in SILENT, control.label
            assert panel.said() == ""
        assert labels >= told
        rules = ["image-alt", "role-img-alt", "aria-input-field-name"]
        wordless = Axe().run(page, context=".jp-OutputArea", options={"runOnly": rules}).response
        assert wordless["violations"] == []
    finally:
        end_kernels(address)


CELLS = [
    "import os\nn = 1",
    "def double(x):\n    return n * x",
    "n = 2\nlist_of = [n for n in 'ab']",
    "m = 5\nrows = []",
    "rows.append(m)\nos.getcwd()",
    "def draw(x):\n    y = double(x)\n    return y, rows\nwidgets.panel(draw, x=1)",
]


def test_a_cell_needs_those_that_it_has_its_names_from():
    assert needed(CELLS, 0) == [0] and needed(CELLS, 1) == [0, 1]
    assert needed(CELLS, 4) == [0, 3, 4]
    assert needed(CELLS, 5) == [0, 1, 2, 3, 4, 5]
    assert needed(["a = 1", "a = 2", "b = 3", "print(a)"], 3) == [1, 3]
    assert needed(["a = 1", "a += 1", "print(a)"], 2) == [0, 1, 2]


def test_a_value_is_told_or_not():
    assert tells("ε = +0.250: 9", "+0.250") and tells("step 5.", "5") and tells("× 2: a", "2")
    assert not tells("step 15", "5") and not tells("0.5 of", "5") and not tells("5.5 of", "5")


def test_a_panel_is_told_from_its_parts():
    assert has_panel(CELLS[-1]) and not has_panel("widgets.slider([1], 'n')")
