"""Small made-up claims, and the spec of a run that takes a second."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pandas as pd

SMALL: dict[str, Any] = {"model_types": ["logistic_regression"], "n_trials": 3, "cv_folds": 3}


def claims(rows: int = 300, *, seed: int = 0) -> pd.DataFrame:
    """Claims of persons (two each) with a target that the features explain in part."""
    random = np.random.default_rng(seed)
    age, visits = random.integers(18, 90, rows), random.poisson(3, rows).astype(float)
    plan = random.choice(["basic", "plus", "full"], rows)
    chance = 1 / (1 + np.exp(-(0.04 * (age - 60) + 0.5 * (visits - 4) + (plan == "full"))))
    visits[random.random(rows) < 0.05] = np.nan
    return pd.DataFrame(
        {
            "person": np.arange(rows) // 2,
            "year": 1 + np.arange(rows) % 6,
            "age": age,
            "visits": visits,
            "plan": plan,
            "dollars": (200 * visits + 10 * age + random.normal(0, 50, rows)).round(2),
            "high_cost": (random.random(rows) < chance).astype(int),
        }
    ).fillna({"dollars": 500.0})


def csv_of(frame: pd.DataFrame) -> io.BytesIO:
    return io.BytesIO(frame.to_csv(index=False).encode())
