"""A lesson cut down to what one of its cells needs: the cells that it has its names from, theirs,
and so on."""

import ast

PANELS = ("panel", "OwnPhoto", "Microscope", "Gaze", "DreamPanel", "Arcade", "AtlasPanel")
FUNCTION = ast.FunctionDef | ast.Lambda
SCOPE = ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp | FUNCTION


def has_panel(source: str) -> bool:
    """Whether a cell shows a live panel."""
    return any(f"widgets.{name}(" in source for name in PANELS)


def free(node: ast.AST) -> set[str]:
    """The names that a piece of code reads from outside it."""
    if isinstance(node, ast.Name):
        return {node.id} if isinstance(node.ctx, ast.Load) else set()
    found = set().union(*map(free, ast.iter_child_nodes(node)))
    if isinstance(node, ast.AugAssign):
        found |= stored(node.target)
    return found - stored(node, inside=True) if isinstance(node, SCOPE) else found


def stored(node: ast.AST, *, inside: bool = False) -> set[str]:
    """The names that a piece of code gives a value to; not what is local to its functions.

    inside: what is local to this function instead.
    """
    if isinstance(node, ast.Name):
        return {node.id} if isinstance(node.ctx, ast.Store) else set()
    if isinstance(node, ast.arg):
        return {node.arg}
    if isinstance(node, ast.alias):
        return {(node.asname or node.name).partition(".")[0]}
    if isinstance(node, SCOPE) and not inside:
        return {node.name} if isinstance(node, ast.FunctionDef) else set()
    return set().union(*map(stored, ast.iter_child_nodes(node)))


def changed(node: ast.AST) -> set[str]:
    """The names whose thing a piece of code changes: it assigns to a part of it, or calls a method
    of it for its own sake.
    """

    def root(part):
        while isinstance(part, ast.Attribute | ast.Subscript):
            part = part.value
        return {part.id} if isinstance(part, ast.Name) else set()

    if isinstance(node, ast.Attribute | ast.Subscript) and isinstance(node.ctx, ast.Store):
        return root(node)
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
        return root(node.value.func) if isinstance(node.value.func, ast.Attribute) else set()
    return set().union(*map(changed, ast.iter_child_nodes(node)))


class Cell:
    """What a cell reads when it runs and when its functions are called, gives and changes."""

    def __init__(self, source: str):
        self.reads: set[str] = set()
        self.called: set[str] = set()
        self.gives: set[str] = set()
        tree = ast.parse(source)
        for statement in tree.body:
            if isinstance(statement, FUNCTION):
                self.called |= free(statement)
            else:
                self.reads |= free(statement) - self.gives
            self.gives |= stored(statement)
        self.changes = changed(tree)


def needed(sources: list[str], place: int) -> list[int]:
    """The places of the cells that the one at `place` needs, it included, in order."""
    cells = [Cell(source) for source in sources[: place + 1]]
    modules = (
        set().union(
            *(stored(n) for s in sources for n in ast.parse(s).body if isinstance(n, ast.Import))
        )
        | Cell(sources[0]).gives
    )
    called: set[str] = set()
    while True:
        kept, wanted, before = [], {*called}, len(called)
        for here in range(place, -1, -1):
            cell = cells[here]
            if here == place or wanted & (cell.gives | cell.changes - modules):
                kept.append(here)
                wanted = (wanted - cell.gives) | cell.reads | called
                called |= cell.called
        if len(called) == before:
            return kept[::-1]
