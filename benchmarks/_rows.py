"""Rows as a claims model sees them: normal, lognormal, zero-inflated and whole numbers, categories with rare levels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd

Draw = Callable[[np.random.Generator, int], Any]

LEVELS = ((3, 1), (8, 1), (15, 2), (30, 3))  # number of levels, and the power by which the later ones are rarer


def sample(rng: np.random.Generator, rows: int, *, numbers: int, categories: int) -> pd.DataFrame:
    """`rows` independent rows of independent columns; the kinds of number and of category take turns."""
    columns = {}
    for place in range(numbers):
        name, draw = NUMBERS[place % len(NUMBERS)]
        columns[f"{name}_{place}"] = draw(rng, rows)
    for place in range(categories):
        count, power = LEVELS[place % len(LEVELS)]
        columns[f"category_{place}"] = _levels(rng, rows, count, power)
    return pd.DataFrame(columns)


def _levels(rng: np.random.Generator, rows: int, count: int, power: int) -> Any:
    shares = np.arange(1, count + 1, dtype=float) ** -power
    names = np.array([f"level {rank}" for rank in range(count)], dtype=object)
    return pd.array(names[rng.choice(count, rows, p=shares / shares.sum())], dtype="str")


def _with_missing(rng: np.random.Generator, rows: int) -> Any:
    return np.where(rng.random(rows) < 0.05, np.nan, rng.normal(size=rows))


def _amount(rng: np.random.Generator, rows: int) -> Any:
    return np.where(rng.random(rows) < 0.7, 0.0, rng.lognormal(5, 1, rows).round(2))


def _visits(rng: np.random.Generator, rows: int) -> Any:
    return np.where(rng.random(rows) < 0.6, 0, rng.poisson(3, rows))


NUMBERS: tuple[tuple[str, Draw], ...] = (
    ("normal", lambda rng, rows: rng.normal(size=rows)),
    ("lognormal", lambda rng, rows: rng.lognormal(0, 0.5, rows)),
    ("amount", _amount),
    ("age", lambda rng, rows: rng.normal(50, 15, rows).round().clip(18, 95).astype(np.int64)),
    ("normal", lambda rng, rows: rng.normal(100, 15, rows)),
    ("lognormal", lambda rng, rows: rng.lognormal(0, 1, rows)),
    ("visits", _visits),
    ("count", lambda rng, rows: rng.poisson(2, rows)),
    ("missing", _with_missing),
    ("lognormal", lambda rng, rows: rng.lognormal(0, 1.5, rows)),
    ("normal", lambda rng, rows: rng.normal(0, 0.1, rows).round(2)),
)
