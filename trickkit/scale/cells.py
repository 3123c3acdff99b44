"""One cell of a grid: its key, its measurement, and the file that keeps it."""

import ast
import functools
import hashlib
import importlib.metadata
import importlib.util
import json
import pathlib
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from threadpoolctl import threadpool_limits

import trickkit
from trickkit.common import finite_number
from trickkit.contract import device, drawn_from
from trickkit.folders import DATA, write_whole
from trickkit.scale.grid import Grid, Setting, name_parts
from trickkit.training import one_thread

# their versions are part of a key, for another may count otherwise in the last digits
COUNTING = ("numpy", "scikit-learn", "scipy", "torch")


@dataclass(frozen=True)
class Cell:
    """One setting from one seed, measured on the small or the complete data."""

    measure: Callable[..., Mapping[str, float]]
    settings: Mapping[str, Setting]
    seed: int
    full: bool

    def __str__(self) -> str:
        said = [f"{name} = {value}" for name, value in self.settings.items()]
        return ", ".join([*said, f"seed {self.seed}"])


def cells_of(grid: Grid, *, seeds: int, full: bool) -> list[Cell]:
    """The cells of a grid, seed by seed, so that a run cut short has whole seeds."""
    return [
        Cell(grid.measure, settings, seed, full)
        for seed in range(seeds)
        for settings in grid.settings
    ]


def _digest(content: bytes) -> str:
    """The SHA-256 of a text, the same with the line ends of any system."""
    return hashlib.sha256(content.replace(b"\r\n", b"\n")).hexdigest()


def _source(module: str) -> pathlib.Path | None:
    """The file of a module, None for what is no module with one."""
    try:
        spec = importlib.util.find_spec(module)
    except ModuleNotFoundError:  # its parent is a module, and no package
        return None
    return pathlib.Path(spec.origin) if spec and spec.has_location and spec.origin else None


def _imported(module: str, source: pathlib.Path, tree: ast.Module) -> Iterator[str]:
    """The modules that a module names in its imports, wherever they stand in it."""
    package = module if source.stem == "__init__" else module.rpartition(".")[0]
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            name = node.module or ""
            if node.level:
                name = importlib.util.resolve_name("." * node.level + name, package)
            for alias in node.names:
                part = f"{name}.{alias.name}"
                yield part if _source(part) else name


def _without_grid(content: bytes, tree: ast.Module) -> bytes:
    """A module's source but for its grid, whose words change no number."""
    lines = content.splitlines(keepends=True)
    for node in tree.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "GRID":
            return b"".join(lines[: node.lineno - 1] + lines[node.end_lineno :])
    return content


@functools.cache  # as it was when first asked, like the imported module itself
def _read(module: str) -> tuple[str, tuple[str, ...]]:
    """The digest of a module's source, and what it imports; nothing for what has no file."""
    source = _source(module)
    if not source:
        return "", ()
    content = source.read_bytes()
    tree = ast.parse(content)
    return _digest(_without_grid(content, tree)), tuple(_imported(module, source, tree))


def _counts(module: str, package: str) -> bool:
    """Whether a module's source can change a number: one of the course, but not of its engine for
    grids, or one of the package that the grid lies in.
    """
    if module.startswith("trickkit.scale"):
        return module.startswith("trickkit.scale.grids.")
    return module.startswith(("trickkit.", f"{package}."))


def code_reached(module: str) -> dict[str, str]:
    """The digests of a module's source and of all that it imports from its own package and the
    course, directly or not, by name.

    A package that is only on the way to a module does not count.

    Raises ModuleNotFoundError where the module is not here.
    """
    if not _source(module):
        raise ModuleNotFoundError(f"No module named {module!r}")
    found: dict[str, str] = {}
    ahead = [module]
    while ahead:
        name = ahead.pop()
        if name not in found:
            found[name], imported = _read(name)
            ahead += [other for other in imported if _counts(other, module.partition(".")[0])]
    return dict(sorted(found.items()))


@functools.cache  # reading it takes longer than a small cell
def _version(library: str) -> str:
    return importlib.metadata.version(library)


def fingerprint(module: str) -> dict[str, str]:
    """What a number rests on besides its settings: the code that a module reaches, the course's
    data, and the libraries' versions. A worker must have the same.
    """
    versions = {name: _version(name) for name in COUNTING}
    return {
        "code": _digest(json.dumps(code_reached(module)).encode()),
        "data": _digest((DATA / "SOURCES.csv").read_bytes()),
        **{name: ".".join(version.split(".")[:2]) for name, version in versions.items()},
    }


def key_of(cell: Cell) -> str:
    """What tells a cell from all others: the same in every checkout with the same files."""
    module = cell.measure.__module__
    told = {
        "paper": module.rpartition(".")[2],
        "settings": dict(cell.settings),
        "seed": cell.seed,
        "full": cell.full,
        **fingerprint(module),
    }
    return _digest(json.dumps(told, sort_keys=True).encode())[:32]


def measured_cell(cell: Cell) -> dict[str, Any]:
    """Measure a cell on one thread of the processor.

    Returns its record: what it is, its numbers by name, seconds and versions.
    Raises ValueError for a number that is not finite, and for an id that the papers do not have.
    """
    begun = time.perf_counter()
    with one_thread(), threadpool_limits(1), drawn_from(cell.seed):
        found = cell.measure(seed=cell.seed, full=cell.full, **cell.settings)
    values = {name: finite_number(value) for name, value in found.items()}
    for name, value in values.items():
        name_parts(name)
        if value is None:
            raise ValueError(
                f"{name} is {found[name]!r}; a finite number is wanted, and a name is left out"
                " where there is none."
            )
    return {
        "paper": cell.measure.__module__.rpartition(".")[2],
        "settings": dict(cell.settings),
        "seed": cell.seed,
        "full": cell.full,
        "key": key_of(cell),
        "values": values,
        "seconds": round(time.perf_counter() - begun, 3),
        "versions": {
            "trickkit": trickkit.__version__,
            **{name: _version(name) for name in COUNTING},
            "device": device().type,
        },
    }


def _checksum(record: dict[str, Any]) -> str:
    return _digest(json.dumps(record, sort_keys=True).encode())


def write_record(record: dict[str, Any], folder: pathlib.Path) -> None:
    """Write a record as folder/KEY.json.

    Raises OSError where it cannot be written.
    """
    content = json.dumps({"sha256": _checksum(record), "cell": record}, indent=1)
    write_whole(folder / f"{record['key']}.json", content.encode() + b"\n")


def read_record(key: str, folder: pathlib.Path) -> dict[str, Any] | None:
    """The record in folder/KEY.json; None where there is none, or what is there is not whole."""
    try:
        read = json.loads((folder / f"{key}.json").read_text(encoding="utf-8"))
        record = read["cell"]
        whole = read["sha256"] == _checksum(record) and record["key"] == key
    except (FileNotFoundError, ValueError, LookupError, TypeError):
        return None
    return record if whole else None
