"""Words in their contexts, for the features of a network that reads."""

from collections.abc import Mapping, Sequence

from matplotlib.patches import Rectangle

from trickkit.plots.panels import ADVANCE, TYPE_SIZE
from trickkit.plots.picture import BLUE, DPI, ORANGE, Picture, panel_figure


def concordance(
    groups: Mapping[str, Sequence[tuple[str, str, str, float]]],
    title: str,
    *,
    columns: int = 2,
    side: int = 24,
    alt: str = "",
) -> Picture:
    """Places in texts, the words that matter below one another, on the deeper an orange the higher
    a feature is there. Quick enough for a panel.

    groups: name -> before, word, after, and a share from 0 to 1, as `autoencoders.contexts` finds
        them.
    columns: groups side by side.
    side: characters shown before the word, at most; after it a few more, since it is short. Words
        that do not fit are left out whole.
    """
    columns = min(columns, len(groups))
    lines = max(len(places) for places in groups.values()) + 1.6
    across = 2 * side + 12  # characters a column
    unit = TYPE_SIZE * 1.35 / 72  # inches a line of type
    rows = -(-len(groups) // columns)
    width = columns * across * ADVANCE / DPI + 0.2
    height = rows * lines * unit + 0.45
    figure = panel_figure(width, height, title, y=1 - 0.08 / height, va="top")
    ax = figure.add_axes((0.1 / width, 0, 1 - 0.2 / width, 1 - 0.4 / height))
    ax.set(xlim=(0, columns * across), ylim=(rows * lines, 0))
    ax.axis("off")
    said = []
    for place, (name, found) in enumerate(groups.items()):
        left = place % columns * across + side + 1
        top = place // columns * lines
        ax.text(left, top + 0.6, name, fontsize=11, fontweight="bold", va="center", color=BLUE)
        for line, (before, word, after, share) in enumerate(found, start=1):
            y = top + line + 0.6
            shade = Rectangle(
                (left - 0.3, y - 0.5), len(word) + 0.6, 1, color=ORANGE, alpha=0.8 * share, lw=0
            )
            ax.add_patch(shade)
            room = side + 8 - len(word)
            for x, text, ha in (
                (left - 1, fitting(before[::-1], side)[::-1], "right"),
                (left, word, "left"),
                (left + len(word) + 1, fitting(after, room), "left"),
            ):
                ax.text(
                    x,
                    y,
                    text,
                    ha=ha,
                    va="center",
                    family="DejaVu Sans Mono",
                    fontsize=TYPE_SIZE,
                    parse_math=False,
                )
        said.append(f"{name}: {', '.join(word for _, word, _, _ in found) or 'nowhere'}")
    return Picture(figure, alt or f"{title}. Words in context. {'; '.join(said)}.")


def fitting(text: str, room: int) -> str:
    """The first words of a text, as many as fit into so many characters."""
    return text if len(text) <= room else text[: room + 1].rpartition(" ")[0]
