"""What every module may need, and what needs no torch: errors for unknown names, counts that are
checked, progress bars, an order that rounding does not decide.
"""

import contextlib
import difflib
import io
import math
import numbers
import operator
import os
import sys
from collections.abc import Iterable
from typing import Any

import numpy as np
from tqdm import tqdm

ROUNDING = 1e-9  # of the largest number: another processor's sums differ by less


def _is_truth(thing: object) -> bool:
    return isinstance(thing, bool) or str(getattr(thing, "dtype", "")).endswith("bool")


def whole_number(thing: object) -> int | None:
    """A whole number of Python's, NumPy's or torch's, as Python's; None for anything else.

    True and False are none.
    """
    if _is_truth(thing):
        return None
    try:
        return operator.index(thing)  # type: ignore[arg-type]  # what cannot, says so
    except TypeError:
        return None


def finite_number(thing: object) -> float | None:
    """A finite number of Python's or NumPy's, as Python's; None for anything else.

    True and False are none. Nor are an array or a tensor of one number, a Decimal or a Fraction,
    since what is worked out with them is one too; nor whole numbers of more than 64 bits.
    """
    if isinstance(thing, numbers.Integral) and not isinstance(thing, bool):
        return float(thing) if -(2**63) <= int(thing) < 2**63 else None
    if isinstance(thing, float | np.floating) and math.isfinite(thing):
        return float(thing)
    return None


def _refused(name: str, value: object, wanted: str, *, kind: type = float) -> ValueError:
    """The error for an argument that is no number as wanted.

    kind: int or float, which makes a plain one of an array or a tensor.
    """
    if finite_number(value) is None and not isinstance(value, str | bytes) and not _is_truth(value):
        with contextlib.suppress(TypeError, ValueError, RuntimeError, OverflowError):
            if isinstance(value, int):
                wanted = "a number of 64 bits at most"
            elif math.isfinite(number := float(value)):  # type: ignore[arg-type]
                if kind is float or number.is_integer():
                    return ValueError(
                        f"{name} is {value!r}; a plain number is wanted: {kind.__name__}({name})."
                    )
    return ValueError(f"{name} is {value!r}; {wanted} is wanted.")


def validate_count(*, at_least: int = 1, **counts: int) -> None:
    """Raise ValueError unless each is a whole number of at least 1, or of `at_least`."""
    for name, count in counts.items():
        if (
            finite_number(count) is None
            or isinstance(count, float | np.floating)
            or count < at_least
        ):
            raise _refused(name, count, f"a whole number of at least {at_least}", kind=int)


def validate_positive(**numbers: float) -> None:
    """Raise ValueError unless each is a finite number above 0."""
    for name, number in numbers.items():
        if not (finite_number(number) or 0) > 0:
            raise _refused(name, number, "a number above 0")


def validate_number(
    *, at_least: float = -math.inf, at_most: float = math.inf, **numbers: float
) -> None:
    """Raise ValueError unless each is a finite number, from `at_least` to `at_most`."""
    wanted = "a number"
    if at_most < math.inf:
        wanted += f" from {at_least:g} to {at_most:g}"
    elif at_least > -math.inf:
        wanted += f" of at least {at_least:g}"
    for name, number in numbers.items():
        value = finite_number(number)
        if value is None or not at_least <= value <= at_most:
            raise _refused(name, number, wanted)


def validate_flag(**flags: bool) -> None:
    """Raise ValueError unless each is True or False."""
    for name, flag in flags.items():
        if not isinstance(flag, bool | np.bool_):
            raise ValueError(f"{name} is {flag!r}; True or False is wanted.")


def validate_seed(seed: int) -> None:
    """Raise ValueError unless a seed is one that NumPy takes: a whole number of at least 0."""
    validate_count(seed=seed, at_least=0)


def validate_rng(rng: np.random.Generator) -> None:
    """Raise ValueError unless this is a generator of NumPy's random numbers."""
    if not isinstance(rng, np.random.Generator):
        raise ValueError(f"rng is {rng!r}; a generator is wanted: np.random.default_rng(0).")


def progress_bar(iterable: Iterable, label: str, *, total: int | None = None) -> Iterable:
    """A progress bar that goes away when the work is done; none where TQDM_DISABLE is set.

    iterable: what is worked through.
    label: what stands before the bar.
    total: how many there are, where the iterable cannot tell.
    """
    silent = bool(os.environ.get("TQDM_DISABLE"))
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    place: dict = {}
    if not silent and shell and hasattr(shell, "kernel"):
        place = {"file": _BeneathACell(), "ncols": 80}
    return tqdm(iterable, desc=label, total=total, leave=False, disable=silent, **place)


class _BeneathACell(io.TextIOBase):
    """Where a bar is written in a notebook: a line of text that the next one replaces. The widget
    that tqdm has for it would be "Error displaying widget" once the notebook is opened again.
    """

    encoding = "utf-8"

    def __init__(self) -> None:
        self.handle: Any = None

    def write(self, text: str) -> int:
        from IPython.display import display

        line = {"text/plain": text.strip("\r\n ")}
        if self.handle:
            self.handle.update(line, raw=True)
        else:
            self.handle = display(line, raw=True, display_id=True)
        return len(text)


def printable(text: str) -> str:
    """A text with "?" for what this console cannot show, such as ✓ in a Windows one."""
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    return text.encode(encoding, errors="replace").decode(encoding)


def unknown(kind: str, name: object, names: Iterable[str]) -> ValueError:
    """The error for a name that does not exist, with the nearest names that do.

    kind: what it should be the name of, such as "class".
    name: what came.
    names: those that exist.
    """
    names = [str(n) for n in names]
    near = difflib.get_close_matches(str(name).lower(), names, n=3, cutoff=0.5)
    near += [n for n in names if str(name).lower() in n.lower() and n not in near][: 3 - len(near)]
    if near:
        hint = f"Did you mean {' or '.join(repr(n) for n in near)}?"
    else:
        shown = names if len(names) <= 20 else [*names[:8], f"… {len(names)} in all"]
        hint = f"There are: {', '.join(shown)}."
    return ValueError(f"There is no {kind} called {name!r}. {hint}")


def top_by_magnitude(values: np.ndarray, *, k: int | None = None) -> np.ndarray:
    """The places of the k largest numbers, of either sign, the largest first.

    What differs by rounding alone keeps the order it came in, the same on every processor.

    values: (d,).
    k: None for all.
    """
    sizes = np.abs(values)
    order = np.argsort(-sizes, kind="stable")
    falling = sizes[order]
    rank = np.zeros(len(order), dtype=int)
    rank[order[1:]] = np.cumsum(falling[:-1] - falling[1:] > ROUNDING * falling[:1])
    return np.argsort(rank, kind="stable")[:k]
