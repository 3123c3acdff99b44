"""trickkit: the helper package of the course *How to trick a neural network, and see inside one*.

Each room is a module, imported when it is first used: `tk.data`, `tk.models`, `tk.attacks`, … (`ROOMS`).
"""
import importlib
import inspect

__version__ = "0.1.0"

ROOMS = ("adversarial", "attacks", "backprop", "characters", "check", "corels", "data", "defences", "dreams", "explain",
         "fast_style", "features", "linear", "mes", "models", "papers", "plots", "rules", "saliency", "setup", "studio",
         "studio_page", "style", "tables", "trust", "weights", "widgets")


def __getattr__(name: str):
    if name in ROOMS:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"trickkit has no room called {name!r}; its rooms are {', '.join(ROOMS)}")


def __dir__():
    return [*globals(), *ROOMS]


def device():
    """The GPU where there is one, else the processor: where the course's pictures and networks are made."""
    return importlib.import_module("trickkit.data").device()


def show(thing) -> None:
    """Show the source of a function or class of the course, coloured.

    thing: any Python function or class with readable source.
    """
    from IPython.display import display

    source = inspect.getsource(thing)
    display({"text/markdown": f"```python\n{source}```", "text/plain": source}, raw=True)
