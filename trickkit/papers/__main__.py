"""`make papers`: the scoreboard, gathered anew."""

from trickkit import data, papers

(data.ROOT / "PAPERS.md").write_text(papers.gather(), encoding="utf-8")
