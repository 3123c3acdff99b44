"""From a key on a panel's slider to the new picture on the screen, in a real browser: python
benchmarks/slider.py
"""

import pathlib
import statistics
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tests"))
from browser import chromium, copy_of, jupyterlab, run_all

WATCH = """alt => new Promise(done => {
    const start = performance.now(), seen = () => {
        const pictures = [...document.querySelectorAll('.jp-OutputArea img')];
        const picture = pictures.find(i => i.alt.startsWith(alt));
        const shown = () => done(performance.now() - start);
        requestAnimationFrame(picture && picture.complete ? shown : seen);
    };
    requestAnimationFrame(seen);
})"""
PANELS = {
    "02_linear_classifiers.ipynb": [f"boot + {i / 50:g} of" for i in range(21, 29)],
    "03_panda_to_vulture.ipynb": [
        f"ε = {levels} of" for levels in ("2", "4", "2", "1", "0.5", "0.25", "0")
    ],
}
KEYS = {
    "02_linear_classifiers.ipynb": ["ArrowRight"] * 8,
    "03_panda_to_vulture.ipynb": ["ArrowRight"] * 2 + ["ArrowLeft"] * 5,
}

for lesson, pictures in PANELS.items():
    with tempfile.TemporaryDirectory() as folder:
        copy_of(lesson, pathlib.Path(folder))
        with jupyterlab(pathlib.Path(folder)) as address, chromium() as page:
            run_all(page, address.format(lesson))
            page.get_by_role("slider").first.focus()
            times = []
            for key, alt in zip(KEYS[lesson], pictures, strict=True):
                page.wait_for_timeout(500)
                page.evaluate(f"void (window.drawn = ({WATCH})({alt!r}))")
                page.keyboard.press(key)
                times.append(page.evaluate("window.drawn"))
    print(
        f"{lesson}: median {statistics.median(times):.0f} ms, longest {max(times):.0f} ms, of"
        f" {len(times)} moves"
    )
