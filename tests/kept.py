"""Fixtures whose rows and artifacts are made once for those tests of a module that ask for them in a row.

Write `kept_fixture` for `pytest.fixture`. Each such fixture is a layer, a transaction around those of the tests, as
Django's own `setUpTestData` is: a test still has a transaction of its own, a savepoint in the layers, which ends.
A layer that the next test does not ask for is taken back first. Where a test commits, the fixture is an ordinary one.
"""

from __future__ import annotations

import copy
import inspect
import shutil
from collections.abc import Callable, Mapping, Sequence
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from django.conf import settings
from django.db import connection
from django.test import TestCase

Make = Callable[..., Any]
_numbers = count()


def artifacts() -> Path:
    """Where the tests of this process keep artifacts."""
    return Path(settings.STORAGES["artifacts"]["OPTIONS"]["location"])


def kept_fixture(make: Make) -> Any:
    """A fixture of `make`, which takes `db` and other kept fixtures, and changes rows and artifacts alone.

    Each test gets objects of its own, so that what it does to them is gone with it.
    """

    def lend(keeper: Keeper, **given: Any) -> Any:
        return keeper.lent(make) if keeper.has(make) else make(**given)

    asked = inspect.signature(make)
    keeper = inspect.Parameter("keeper", inspect.Parameter.KEYWORD_ONLY)
    lend.__signature__ = asked.replace(parameters=[*asked.parameters.values(), keeper])  # type: ignore[attr-defined]
    lend.__name__, lend.__doc__, lend.__module__ = make.__name__, make.__doc__, make.__module__
    lend.kept = make  # type: ignore[attr-defined]
    make.number = next(_numbers)  # type: ignore[attr-defined]
    return pytest.fixture(lend)


def layers(item: pytest.Item) -> list[Make]:
    """What of the test's fixtures can be kept, in the order of making."""
    known: Mapping[str, Sequence[Any]] = item._fixtureinfo.name2fixturedefs  # type: ignore[attr-defined]
    makes = {name: getattr(found[-1].func, "kept", None) for name, found in known.items()}
    found = sorted((make for make in makes.values() if make is not None), key=lambda make: make.number)
    able = list[Make]()
    for make in found:
        if all(name == "db" or makes.get(name) in able for name in inspect.signature(make).parameters):
            able.append(make)
    return able


class Layer(NamedTuple):
    """One fixture more: its `values` are of all up to it, its `files` are all artifacts, as they were after it."""

    make: Make
    transaction: Any
    values: Mapping[Make, Any]
    files: Mapping[str, bytes]


class Keeper:
    """The layers of one module at a time, each in a transaction inside the one before."""

    def __init__(self) -> None:
        self._module = ""
        self._layers: list[Layer] = []
        self._lent: dict[Make, Any] = {}
        self._is_in_place = False

    def begin(self, module: str, makes: Sequence[Make]) -> None:
        """Have these layers and no others, before a test's own transaction."""
        if self._module != module or connection.closed_in_transaction or connection.needs_rollback:
            self.end()
        self._module, self._is_in_place = module, False
        same = 0
        while same < min(len(makes), len(self._layers)) and self._layers[same].make is makes[same]:
            same += 1
        self._take_back(same)
        if makes[same:]:
            self._put_artifacts()
            try:
                for make in makes[same:]:
                    self._add(make)
            except BaseException:
                self.end()
                raise
        self._lent = self._values()

    def _add(self, make: Make) -> None:
        values = self._values()
        names = {made.__name__: value for made, value in values.items()}
        given = {name: names.get(name) for name in inspect.signature(make).parameters}
        transaction = TestCase._enter_atomics()  # type: ignore[attr-defined]  # what setUpTestData runs in
        self._layers.append(Layer(make, transaction, {}, {}))
        values[make] = make(**given)
        files = {
            str(path.relative_to(artifacts())): path.read_bytes() for path in artifacts().rglob("*") if path.is_file()
        }
        self._layers[-1] = Layer(make, transaction, values, files)

    def _values(self) -> dict[Make, Any]:
        """Objects of one's own, for whoever changes them."""
        return copy.deepcopy(dict(self._layers[-1].values)) if self._layers else {}

    def _take_back(self, length: int) -> None:
        while len(self._layers) > length:
            TestCase._rollback_atomics(self._layers.pop().transaction)  # type: ignore[attr-defined]

    def _put_artifacts(self) -> None:
        shutil.rmtree(artifacts(), ignore_errors=True)
        for name, content in self._layers[-1].files.items() if self._layers else ():
            path = artifacts() / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)

    def end(self) -> None:
        """Nothing of them is left."""
        self._take_back(0)
        self._module, self._lent = "", {}

    def has(self, make: Make) -> bool:
        return make in self._lent

    def lent(self, make: Make) -> Any:
        """What it made, for this test; at the first call the artifacts are put in their place."""
        if not self._is_in_place:
            self._put_artifacts()
            self._is_in_place = True
        return self._lent[make]
