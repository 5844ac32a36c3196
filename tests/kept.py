"""The scene of `tests.factories`, made once for the tests of a module that ask for it in a row.

It is a transaction around theirs, as Django's own `setUpTestData` is: each of them still has a transaction of its own,
a savepoint in it, that ends with it. A test that does not ask for the scene, or commits, never meets it.
"""

from __future__ import annotations

import copy
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.conf import settings
from django.test import TestCase

if TYPE_CHECKING:
    from tests.factories import Scene


def artifacts() -> Path:
    """Where the tests of this process keep artifacts."""
    return Path(settings.STORAGES["artifacts"]["OPTIONS"]["location"])


class Kept:
    """The scene of one module at a time, with the artifacts that belong to it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._module = ""
        self._scene: Scene | None = None
        self._transaction: Any = None

    def begin(self, module: str) -> None:
        """Make the scene, unless it is there; outside every test's own transaction."""
        if self._module == module:
            return
        self.end()
        from tests.factories import scene

        self._transaction = TestCase._enter_atomics()  # type: ignore[attr-defined]  # what setUpTestData runs in
        self._module = module
        shutil.rmtree(artifacts(), ignore_errors=True)
        try:
            self._scene = scene()
            shutil.copytree(artifacts(), self._folder)
        except BaseException:
            self.end()
            raise

    def end(self) -> None:
        """Nothing of it is left."""
        if self._module:
            TestCase._rollback_atomics(self._transaction)  # type: ignore[attr-defined]
            shutil.rmtree(self._folder, ignore_errors=True)
            self._module, self._scene, self._transaction = "", None, None

    def lent(self) -> Scene:
        """Objects of the test's own, so that what it does to them is gone with it; and the artifacts as they were."""
        assert self._scene is not None, "a test that asks for the scene must use the database"
        shutil.rmtree(artifacts(), ignore_errors=True)
        shutil.copytree(self._folder, artifacts())
        return copy.deepcopy(self._scene)
