"""A value laid down in a file of its own until it is wanted again: worked on often, but not in memory."""

from __future__ import annotations

import os
import pickle
import sys
import tempfile
import weakref
from pathlib import Path
from typing import Any, Generic, TypeVar

A = TypeVar("A")


class Laid(Generic[A]):
    """The value as bytes on this machine, gone with the object. Sent to another machine, it is laid down there."""

    def __init__(self, value: A) -> None:
        number, name = tempfile.mkstemp(prefix="steward-part-", dir=_folder())
        self._path = Path(name)
        weakref.finalize(self, self._path.unlink, missing_ok=True)
        with os.fdopen(number, "wb") as file:
            pickle.dump(value, file, protocol=5)

    def read(self) -> A:
        """The value, each time anew."""
        with self._path.open("rb") as file:
            value: A = pickle.load(file)  # noqa: S301  it is ours, in a file that only we may read
        return value

    def __reduce__(self) -> tuple[Any, ...]:
        return Laid, (self.read(),)


def _folder() -> str | None:
    """Of a Dask worker its own folder, which Dask empties even after one that was killed; else that of the system."""
    found: Any = sys.modules.get("distributed")
    try:
        return None if found is None else str(found.get_worker().local_directory)
    except ValueError:
        return None
