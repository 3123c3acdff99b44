"""A lesson on paper: make pdf LESSON=03. Chromium prints the book's page to build/pdf.

python tools/pdf.py 03
"""

import shutil
import subprocess
import sys

import guide

import book

PAPER = book.ROOT / "build" / "pdf"


def main(numbers: list[str]) -> None:
    browser = shutil.which("chromium") or shutil.which("google-chrome")
    if not browser:
        sys.exit("Chromium prints the pages, and there is none here: apt-get install chromium")
    if len(numbers) != 1:
        sys.exit("Which lesson? make pdf LESSON=03")
    page = book.MADE / "lessons" / f"{guide.lesson(numbers[0]).stem}.html"
    if not page.exists():
        book.main([])
    PAPER.mkdir(parents=True, exist_ok=True)
    paper = PAPER / f"{page.stem}.pdf"
    command = [browser, "--headless", "--no-sandbox", "--disable-gpu", "--no-pdf-header-footer"]
    subprocess.run(
        [*command, "--virtual-time-budget=10000", f"--print-to-pdf={paper}", page.as_uri()],
        check=True,
        capture_output=True,
    )
    print(f"{paper}: {paper.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main(sys.argv[1:])
