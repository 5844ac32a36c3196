"""The progress of long work, where somebody watches it: a bar on a terminal, one that is redrawn in a notebook."""

from __future__ import annotations

import html
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

Show = Callable[[float, str], None]
"""Shows how far it is, 0 to 1, and in words what it is at."""


def is_watched() -> bool:
    """Whether there is a terminal or a notebook to draw on."""
    return sys.stdout.isatty() or _notebook() is not None


@contextmanager
def shown(wanted: bool) -> Iterator[Show]:
    """A bar until the end of the block; nothing where it is not wanted."""
    if not wanted:
        yield lambda done, text: None
    elif _notebook() is not None:
        yield from _in_notebook()
    else:
        yield from _on_terminal()


def _on_terminal() -> Iterator[Show]:
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
    with Progress(*columns) as bar:
        task = bar.add_task("", total=1.0)
        yield lambda done, text: bar.update(task, completed=done, description=text)


def _in_notebook() -> Iterator[Show]:
    """One output of the cell, redrawn; without ipywidgets, which many notebooks lack."""
    handle, last = _ipython("display").DisplayHandle(), [""]
    handle.display(_bar(0.0, ""))

    def show(done: float, text: str) -> None:
        if (said := f"{done:.3f} {text}") != last[0]:  # what has not changed is not sent again
            last[0] = said
            handle.update(_bar(done, text))

    yield show


def _bar(done: float, text: str) -> Any:
    said = html.escape(text)
    bar = f'<progress max="1" value="{done:.3f}" style="width: 24em"></progress>'
    return _ipython("display").HTML(f"{bar} {done:.0%} {said}")


def _ipython(*path: str) -> Any:
    """IPython or a module of it: untyped, and only there where a notebook is."""
    return import_module(".".join(("IPython", *path)))


def _notebook() -> Any:
    """The kernel's shell; None in a plain process and in IPython on a terminal, which has a terminal's bar."""
    if "IPython" not in sys.modules:
        return None
    shell = _ipython().get_ipython()
    return shell if shell is not None and getattr(shell, "kernel", None) is not None else None
