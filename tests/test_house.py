"""The house rules that no single file shows: what a name means, and who may import whom."""

import ast
import collections
import importlib
import inspect
import pkgutil
import re
import subprocess
import sys
import typing

import pytest
from maps import BELOW, FLOORS

from trickkit import folders

HOME = folders.ROOT / "trickkit"
FILES = sorted(HOME.rglob("*.py"))
if sys.platform == "win32":  # whose Python lacks what a room is built on
    FILES = [file for file in FILES if file.parent != HOME / "course/room"]
# Public names that stand in more than one module, and why they may.
SHARED = {
    "BATCH": "pictures at a time, as many as suit each method",
    "FILE": "where a trained model's weights lie in data/",
    "HELD_OUT": "what a model that the course trained never saw",
    "mutual_information": "the same quantity: of columns in nats, and of rows of codes in bits",
    "softmax": "the same function, of NumPy's arrays by hand and of torch's",
    "train": "the same act on another kind of model: classifiers, readers of text, translators, a"
    " painter",
    "untrained": "the same model before its training",
}


def dotted(file):
    parts = file.relative_to(HOME.parent).with_suffix("").parts
    return ".".join(parts).removesuffix(".__init__")


def floor(module):
    name = module.split(".")[1]
    return next(i for i, names in enumerate(FLOORS) if name in names)


def public(module):
    """The functions and classes that a module defines, and the constants, by name."""
    tree = ast.parse((HOME.parent / module.__file__).read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            yield from (t.id for t in targets if isinstance(t, ast.Name))


def modules():
    names = [dotted(f) for f in FILES if f.stem != "__main__"]
    return [importlib.import_module(name) for name in names]


def callables():
    """Every public function, and every public method and constructor of a public class."""
    for module in modules():
        for name, thing in vars(module).items():
            if name.startswith("_") or getattr(thing, "__module__", None) != module.__name__:
                continue
            if inspect.isfunction(thing):
                yield f"{module.__name__}.{name}", thing, 0
            elif inspect.isclass(thing):
                for method, function in vars(thing).items():
                    if inspect.isfunction(function) and function.__module__ == module.__name__:
                        if method == "__init__" or not method.startswith("_"):
                            yield f"{module.__name__}.{name}.{method}", function, 1


def test_options_are_named_where_they_are_given():
    """Nothing that has a default can be given by its place, but for a function's only argument."""
    for name, function, own in callables():
        if name.endswith((".forward", ".fit")) or name.startswith("trickkit.check."):
            continue  # torch and scikit-learn say how these are called; a learner's may differ
        by_place = [
            p
            for p in inspect.signature(function).parameters.values()
            if p.kind is p.POSITIONAL_OR_KEYWORD
        ][own:]
        optional = [p.name for p in by_place[1:] if p.default is not p.empty]
        assert not optional, f"{name}: {optional}"


def test_every_public_function_says_what_it_does():
    silent = [name for name, function, own in callables() if not own and not function.__doc__]
    assert not silent


def defined(file):
    """The functions of a file that stand in no other function, each with its class or None."""

    def within(body, owner):
        for node in body:
            if isinstance(node, ast.ClassDef):
                yield from within(node.body, node)
            elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                yield owner, node

    return within(ast.parse(file.read_text(encoding="utf-8")).body, None)


@pytest.mark.parametrize("file", FILES, ids=dotted)
def test_every_function_says_its_types(file):
    """Some of them, for mypy asks one that says some for all. Not so a function within another, nor
    the check of an exercise, which takes whatever a learner wrote.
    """
    for _, node in defined(file):
        said = [node.returns, *(getattr(part, "annotation", None) for part in ast.walk(node.args))]
        exercise = any(ast.unparse(d).startswith("exercise(") for d in node.decorator_list)
        assert any(said) or exercise, node.name


def raised(node, names):
    """The exceptions that a function raises itself, and not by raising again what it caught."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(child, ast.Raise) and child.exc:
            made = child.exc.func if isinstance(child.exc, ast.Call) else child.exc
            made = eval(ast.unparse(made), names)
            yield made if inspect.isclass(made) else typing.get_type_hints(made)["return"]
        yield from raised(child, names)


@pytest.mark.parametrize("file", FILES, ids=dotted)
def test_every_public_function_says_what_it_raises(file):
    """By the exception's name, in its last paragraph; a constructor or forward may leave it to the
    class.
    """
    names = vars(importlib.import_module(dotted(file))) if file.stem != "__main__" else {}
    for owner, node in defined(file):
        in_class = owner and node.name in ("__init__", "forward")
        if node.name.startswith("_") and not in_class or owner and owner.name.startswith("_"):
            continue
        docs = [ast.get_docstring(n) or "" for n in ([node, owner] if in_class else [node])]
        said = " ".join(re.findall(r"^Raises? .*", "\n".join(docs), re.MULTILINE | re.DOTALL))
        for exception in raised(node, names):
            assert re.search(rf"\b{exception.__name__}\b", said), f"{node.name}: {exception}"


def test_a_name_has_one_meaning():
    homes = collections.defaultdict(set)
    for module in modules():
        # an exercise is called as its answer, and all grids have the same form
        if not module.__name__.startswith(("trickkit.check.", "trickkit.scale.grids.")):
            for name in public(module):
                if not name.startswith("_"):
                    homes[name].add(module.__name__)
    twice = {name: sorted(where) for name, where in homes.items() if len(where) > 1}
    assert twice.keys() == SHARED.keys(), twice


def test_no_function_has_the_name_of_a_file_beside_it():
    """`from trickkit.attacks import …` would give one or the other, by luck."""
    for package in (m for m in modules() if hasattr(m, "__path__")):
        files = {m.name for m in pkgutil.iter_modules(package.__path__)}
        offered = {name for name, thing in vars(package).items() if not inspect.ismodule(thing)}
        assert not files & offered, package.__name__


def imported(file):
    """What a file imports from the package: (module, name or "")."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("trickkit"):
            for alias in node.names:
                yield node.module, alias.name


@pytest.mark.parametrize("file", FILES, ids=dotted)
def test_imports_run_one_way_and_leave_private_names_alone(file):
    module = dotted(file)
    for source, name in imported(file):
        assert not name.startswith("_"), f"{module} takes {source}.{name}"
        if module.count(".") == 0 or file.stem == "__main__":
            continue
        full = f"{source}.{name}" if source == "trickkit" else source
        if full.split(".")[1:2] in (["show"], []):
            continue
        if full.split(".")[1] != module.split(".")[1]:
            assert floor(full) < floor(module) or floor(full) == floor(module) <= len(BELOW), (
                f"{module} takes {name} from {source}, which stands on a higher floor"
            )


def test_no_circle():
    graph = {
        dotted(f): {s if s != "trickkit" else f"{s}.{n}" for s, n in imported(f)} for f in FILES
    }
    done = set()

    def visit(module, way):
        assert module not in way, " → ".join((*way, module))
        if module in graph and module not in done:
            for other in sorted(graph[module] - {"trickkit"}):
                if not other.startswith(module + "."):  # a package and its own files
                    visit(other, (*way, module))
            done.add(module)

    for module in graph:
        visit(module, ())


@pytest.mark.parametrize("name", ["rules", "common"])
def test_what_wants_no_torch(name):
    code = f"import sys; from trickkit import {name}; print('torch' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "False"


ASKED_DIRECTLY = {
    "trickkit.contract.asked": "the door itself",
    "trickkit.characters.train": "a reader of text, not of images, and it learns",
    **dict.fromkeys(
        [
            *("trickkit.alignment.train", "trickkit.alignment.translate"),
            *(
                f"trickkit.papers.jain2019.{n}"
                for n in ("train", "read_sentences", "leave_one_out")
            ),
        ],
        "reads codes of text, not images",
    ),
    "trickkit.characters.bits_per_character": "a reader of text; its codes are made there",
    **dict.fromkeys(
        ["trickkit.player.Learner.move", "trickkit.player.Learner.update"],
        "a learner's own network, which learns",
    ),
}


def called_models(file):
    """Where a function calls a model that it was handed: (its dotted name, the call)."""

    def handed(node):
        for a in [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]:
            kind = ast.unparse(a.annotation) if a.annotation else ""
            if a.arg in ("model", "net", "network", "members") or re.search(
                r"\b(Model|Module|Network|Classifier)\b", kind
            ):
                yield a.arg

    def within(node, name, models):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            models = {*models, *handed(node)}
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            name = f"{name}.{node.name}"
        if isinstance(node, ast.comprehension | ast.For) and isinstance(node.iter, ast.Name):
            models |= {ast.unparse(node.target)} if node.iter.id in models else set()
        if isinstance(node, ast.Call):
            if isinstance(node.func, ast.Name) and node.func.id in models:
                yield name, ast.unparse(node)
            if ast.unparse(node.func) in ("self.model", "self.net", "self.network"):
                yield name, ast.unparse(node)
        for child in sorted(ast.iter_child_nodes(node), key=lambda n: not hasattr(n, "ifs")):
            yield from within(child, name, models)

    return within(ast.parse(file.read_text(encoding="utf-8")), dotted(file), set())


def test_a_model_is_asked_through_the_door():
    """`contract.asked` hands it a copy, for it may work in place on what it is handed."""
    outside = {
        name: call
        for file in FILES
        if not dotted(file).startswith("trickkit.check")  # asks its own networks about its own
        for name, call in called_models(file)
    }
    assert outside.keys() == ASKED_DIRECTLY.keys(), outside
