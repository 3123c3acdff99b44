"""The form of a paper's grid: what is measured, in which settings, from how many seeds."""

import inspect
import itertools
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from trickkit.common import unknown, validate_count
from trickkit.papers import reported

Setting = str | int | float | bool
ID = re.compile(r"(?:(?P<null>.+): )?(?P<id>[a-z]+\d{4}\w*/\S+)")


def axes(**values: Sequence[Setting]) -> list[dict[str, Setting]]:
    """Every combination of named settings: axes(eps=(0.1, 0.2), skips=(True, False)) has four.

    values: the values of each setting.
    """
    return [
        dict(zip(values, chosen, strict=True)) for chosen in itertools.product(*values.values())
    ]


def name_parts(name: str) -> tuple[str, str]:
    """What a number's name says: the words of a null, if it is one, and the id of the paper's
    number; or the sentence that it is, and no id.

    Raises ValueError for an id that is not in data/papers.csv.
    """
    found = ID.fullmatch(name)
    if not found:
        return name, ""
    if found["id"] not in reported():
        raise unknown("paper's number", found["id"], reported())
    return found["null"] or "", found["id"]


@dataclass(frozen=True, kw_only=True)
class Grid:
    """A paper's table as cells that are measured one by one: each setting from each seed.

    measure: (*, seed, full, **one of the settings) -> numbers by name, at the top of a module that
        is called as the paper in data/papers.csv. Same arguments, same numbers: all dice come from
        the seed. Every number is finite; what has none is left out. A name is

        - an id of data/papers.csv: "li2018/resnet56";
        - a null of one, shown beneath it: "untrained: li2018/resnet56";
        - or a sentence with its unit, shown as it is: "misread after coin tosses of ±ε, %".
    settings: of the cells, such as `axes` gives; one cell a seed without.
    seeds: how many, unless told otherwise: 0, 1, 2, …
    ours: what was measured here, in a few words, for the head of the table: data, sizes, epochs.
    ours_full: the same for the complete data set.
    varies: what is another from seed to seed, and what is not, for the same place: of that alone an
        interval tells.
    complete: fetches the complete data set when called with full=True, such as data.digits; None
        where there is none, and full is refused.
    why: why a number differs from the paper's, by its id; with "perhaps" where no cell tests it.
    Raises ValueError for settings that measure does not take, or that come twice, and for a measure
        that no worker could import.
    """

    measure: Callable[..., Mapping[str, float]]
    settings: Sequence[Mapping[str, Setting]] = ({},)
    seeds: int
    ours: str
    varies: str
    ours_full: str = ""
    complete: Callable[..., object] | None = None
    why: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        validate_count(seeds=self.seeds, settings=len(self.settings))
        if self.measure.__module__ == "__main__":
            raise ValueError("measure stands in a script; workers want it in a module of its own.")
        taken = {*inspect.signature(self.measure).parameters} - {"seed", "full"}
        seen = []
        for setting in self.settings:
            if setting.keys() != taken:
                raise ValueError(
                    f"{self.paper}: measure takes {sorted(taken) or 'no settings'}, and a cell has"
                    f" {dict(setting)}."
                )
            if not all(isinstance(value, Setting) for value in setting.values()):
                raise ValueError(
                    f"{self.paper}: a setting is a word, a number, True or False; a cell has"
                    f" {dict(setting)}."
                )
            if repr(dict(setting)) in seen:
                raise ValueError(f"{self.paper}: the cell {dict(setting)} comes twice.")
            seen.append(repr(dict(setting)))
        for name in taken:
            kinds = {type(setting[name]) for setting in self.settings}
            if len(kinds) > 1 and kinds != {int, float}:
                raise ValueError(f"{self.paper}: the values of {name} are of different types.")
        for id in self.why:
            name_parts(id)

    @property
    def paper(self) -> str:
        """The name of the paper, as its module is called."""
        return self.measure.__module__.rpartition(".")[2]
