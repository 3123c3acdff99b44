"""Rates of two groups beside each other, what both can have, and when people came into a table."""

from collections.abc import Mapping, Sequence

import numpy as np

from trickkit import fairness
from trickkit.plots.picture import BLUE, ORANGE, SKY, Picture, grid_figure, panel_figure

RATE_WORDS = {  # what a rate is of whom, as it stands below its bars
    "FPR": "flagged, of those not\ncharged again (FPR)",
    "FNR": "not flagged, of those\ncharged again (FNR)",
    "PPV": "charged again, of\nthose flagged (PPV)",
    "flagged": "flagged,\nof everyone",
}
GROUPS = ((BLUE, "", "o"), (ORANGE, "//", "^"))


def audits(
    decisions: Mapping[str, Mapping[str, Mapping[str, fairness.Rate]]],
    title: str,
    *,
    shown: Sequence[str] = tuple(RATE_WORDS),
) -> Picture:
    """Rates of two groups as bars in pairs, with 95 % intervals as whiskers; decisions one above
    the other. For panels.

    decisions: name -> group -> `fairness.rates`; a rate of nobody has no bar.
    shown: the rates, of `RATE_WORDS`.
    """
    height = 1.9 * len(decisions) + 0.85
    figure = panel_figure(7.6, height, title)
    said = []
    for place, (name, groups) in enumerate(decisions.items()):
        bottom = (0.6 + 1.9 * (len(decisions) - 1 - place)) / height
        ax = figure.add_axes((0.075, bottom, 0.915, 1.5 / height))
        for side, (group, found) in enumerate(groups.items()):
            colour, hatch, _ = GROUPS[side]
            bars = []  # where, how high, and its whisker
            for x, rate in enumerate(shown):
                hits, n = found[rate]
                at = x + 0.36 * side - 0.18
                if not n:
                    ax.text(at, 0.03, "nobody", ha="center", fontsize=9)
                    continue
                low, high = fairness.interval(hits, n)
                bars.append((at, hits / n, low, high))
                ax.text(at, high + 0.03, f"{hits / n:.0%}", ha="center", fontsize=9.5)
            places, shares, lows, highs = np.reshape(bars, (-1, 4)).T
            ax.bar(
                places,
                shares,
                0.34,
                color=colour,
                hatch=hatch,
                edgecolor="white",
                label=group if bars else None,
            )
            ax.vlines(places, lows, highs, color="black", linewidth=1.4, capstyle="projecting")
            told = ", ".join(
                f"{rate} {found[rate][0] / found[rate][1]:.0%}" if found[rate][1] else f"{rate} –"
                for rate in shown
            )
            said.append(f"{name}: {group}: {told}" if name else f"{group}: {told}")
        ax.set(xlim=(-0.5, len(shown) - 0.5), ylim=(0, 1.12), xticks=range(len(shown)))
        ax.set_yticks((0, 0.5, 1), ("0", "50 %", "100 %"), fontsize=9)
        last = place == len(decisions) - 1
        ax.set_xticklabels(
            [RATE_WORDS[r] for r in shown] if last else [""] * len(shown), fontsize=9.5
        )
        ax.tick_params(length=0)
        ax.spines[["top", "right"]].set_visible(False)
        ax.set_title(name, loc="left", fontsize=10.5, pad=2, y=1)
        if place == 0:
            ax.legend(frameon=False, fontsize=9.5, ncols=2, loc="upper right", borderaxespad=0)
    return Picture(figure, f"{title}. {'; '.join(said)}.")


def base_rate_lines(
    means: Mapping[str, tuple[float, float]], bases: Mapping[str, float], title: str
) -> Picture:
    """The mean score of each outcome's people: where a calibrated score may lie, a line a group,
    and where it does.

    Calibrated, (1 − p) x + p y = p; so the lines of two base rates meet in (0, 1) alone.

    means: group -> (x, y), the mean of those for whom it did not come true, and of those for whom
        it did.
    bases: group -> its base rate p.
    """
    figure, axes = grid_figure(6.0, 4.4)
    ax = axes[0, 0]
    x = np.linspace(0, 1, 2)
    for (group, (no, yes)), (colour, _, marker) in zip(means.items(), GROUPS, strict=True):
        p = bases[group]
        ax.plot(x, 1 - (1 - p) / p * x, color=colour, linewidth=1.6)
        ax.plot(no, yes, marker, color=colour, markersize=9, label=f"{group}, base rate {p:.0%}")
    ax.plot(0, 1, "*", color="black", markersize=15, clip_on=False, zorder=5)
    ax.text(0.07, 1.02, "perfect prediction: both lines", fontsize=10, va="center")
    ax.set(xlim=(0, 1), ylim=(0, 1.06), title=title)
    ax.set_xlabel("mean score of those not charged again")
    ax.set_ylabel("mean score of those charged again")
    ax.legend(frameon=False, loc="lower left")
    said = "; ".join(
        f"{group}, base rate {bases[group]:.0%}: {no:.2f} and {yes:.2f}"
        for group, (no, yes) in means.items()
    )
    return Picture(
        figure,
        f"{title}. A line a group, which meet only where one mean is 0 and the other 1. Means of"
        f" those not charged again and of those charged again: {said}.",
    )


def reachable(points: Mapping[str, np.ndarray], target: tuple[float, float], title: str) -> Picture:
    """What thresholds can do for two groups, the roof over each, and what lies under both.

    points: group -> `fairness.roc`.
    target: (FPR, 1 − FNR), a star.
    """
    figure, axes = grid_figure(6.0, 4.6)
    ax = axes[0, 0]
    roofs = []
    for (group, roc), (colour, _, marker) in zip(points.items(), GROUPS, strict=True):
        roof = roc[fairness.hull(roc) - 1].T
        roofs.append(roof)
        ax.plot(*roc.T, marker, color=colour, markersize=6, label=f"{group}, by threshold")
        ax.plot(*roof, color=colour, linewidth=1.4)
        aside, align = ((-22, 16), "right") if len(roofs) == 1 else ((22, -16), "left")
        for threshold in range(3, len(roc) - 1):  # the outer ones stand too close
            ax.annotate(
                str(threshold),
                roc[threshold - 1],
                aside,
                textcoords="offset points",
                ha=align,
                va="center",
                fontsize=9,
                # a thread to its own mark: the other group's lie in between
                arrowprops={"arrowstyle": "-", "color": colour, "lw": 0.8, "shrinkA": 0},
            )
    fpr = np.linspace(0, 1, 201)
    under = np.min([np.interp(fpr, *roof) for roof in roofs], axis=0)
    ax.fill_between(fpr, fpr, under, color=SKY, alpha=0.25, linewidth=0, label="both can have")
    ax.plot((0, 1), (0, 1), "--", color="0.5", linewidth=1, label="by lot alone")
    ax.plot(*target, "*", color="black", markersize=16, zorder=5, label="the most right answers")
    ax.set(xlim=(0, 1), ylim=(0, 1), title=title)
    ax.set_xlabel("flagged, of those not charged again (FPR)")
    ax.set_ylabel("flagged, of those charged again (1 − FNR)")
    ax.legend(frameon=False, loc="lower right")
    return Picture(
        figure,
        f"{title}. Two rising roofs over the thresholds of {' and '.join(points)}; the star, on the"
        f" lower one, is at FPR {target[0]:.2f} and FNR {1 - target[1]:.2f}.",
    )


def by_month(
    months: Sequence[str], charged: np.ndarray, people: np.ndarray, title: str, *, alt: str = ""
) -> Picture:
    """People in a table by the month they came into it, and how many were charged again.

    months, charged, people: (n,), in the order of time.
    """
    figure, axes = grid_figure(7.6, 3.5)
    ax = axes[0, 0]
    ax.bar(months, charged, color=BLUE, label="charged again")
    rest = np.asarray(people) - charged
    ax.bar(months, rest, bottom=charged, color="0.82", label="not charged again")
    ax.set_xticks(range(0, len(months), 3), [months[i] for i in range(0, len(months), 3)])
    ax.set(xlabel="month of the screening", ylabel="people", title=title)
    ax.legend(frameon=False)
    return Picture(
        figure,
        alt
        or f"{title}. A bar a month from {months[0]} to {months[-1]}, of {np.min(people)} to"
        f" {np.max(people)} people; {charged[0]} of {people[0]} charged again in the first,"
        f" {charged[-1]} of {people[-1]} in the last.",
    )
