"""trickkit: the helper package of the course *How to trick a neural network, and see inside one*.

Each module is imported when it is first used: `tk.data`, `tk.models`, `tk.attacks`, … (`MODULES`).
"""

import importlib
import inspect
import pkgutil
from collections.abc import Callable
from types import ModuleType

from trickkit._memory import give_back_after_cells

__version__ = "1.5.0"
MODULES = tuple(
    module.name for module in pkgutil.iter_modules(__path__) if not module.name.startswith("_")
)

give_back_after_cells()


def __getattr__(name: str) -> ModuleType:
    if name in MODULES:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(
        f"trickkit has no module called {name!r}; its modules are {', '.join(MODULES)}"
    )


def __dir__() -> list[str]:
    return [*globals(), *MODULES]


def show(thing: Callable) -> None:
    """Show the source of a function or class of the course, coloured.

    thing: any Python function or class with readable source.
    """
    from IPython.display import display

    source = inspect.getsource(thing)
    display({"text/markdown": f"```python\n{source}```", "text/plain": source}, raw=True)
