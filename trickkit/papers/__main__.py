"""`make papers`: the scoreboard, gathered anew."""

from trickkit import folders, papers

(folders.ROOT / "PAPERS.md").write_text(papers.gather(), encoding="utf-8")
