"""A run and the same run done again: what is equal, exactly, and else by how much it is not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

Entry = Mapping[str, Any]


def folds_compared(was: Sequence[Entry], now: Sequence[Entry]) -> list[dict[str, Any]]:
    """Each model type of either leaderboard, in the order of the first: its metric fold by fold, and its parameters."""
    before, after = ({entry["model_type"]: entry for entry in board} for board in (was, now))
    return [_folds(name, before.get(name), after.get(name)) for name in dict.fromkeys([*before, *after])]


def _folds(name: str, was: Entry | None, now: Entry | None) -> dict[str, Any]:
    one, two = (list(entry["folds"]) if entry else [] for entry in (was, now))
    known = was or now or {}
    same_params = was is not None and now is not None and dict(was["params"]) == dict(now["params"])
    return {
        "model_type": name,
        "metric": known.get("metric", ""),
        "was": one,
        "now": two,
        "equal": bool(one) and one == two and same_params,
        "params_equal": same_params,
        "difference": _largest(one, two),
    }


def metrics_compared(was: Mapping[str, float], now: Mapping[str, float]) -> list[dict[str, Any]]:
    """Each metric of either side, by name.

    >>> metrics_compared({"rmse": 2.0}, {"rmse": 2.5})
    [{'metric': 'rmse', 'was': 2.0, 'now': 2.5, 'equal': False, 'difference': 0.5}]
    """
    rows = []
    for name in sorted({*was, *now}):
        one, two = was.get(name), now.get(name)
        known = one is not None and two is not None
        difference = _largest([one], [two]) if known else None
        rows.append({"metric": name, "was": one, "now": two, "equal": known and one == two, "difference": difference})
    return rows


def answers_compared(was: pd.DataFrame, now: pd.DataFrame) -> dict[str, Any]:
    """Two holdouts (row_key, label, and score or prediction), row by row. Rows of one side only are counted: other
    folds hold out other rows."""
    column = "score" if "score" in was.columns else "prediction"
    if column not in now.columns:
        both = pd.DataFrame({"was": [], "now": []})
    else:
        keyed = [side.set_index("row_key")[column].rename(name) for side, name in ((was, "was"), (now, "now"))]
        both = pd.concat(keyed, axis=1, join="inner")
    differing = int((both["was"] != both["now"]).sum())
    numeric = column == "score" or pd.api.types.is_float_dtype(both["was"])  # a class may be a whole number
    alone = len(was) + len(now) - 2 * len(both)
    return {
        "what": column,
        "rows": len(both),
        "rows_of_one_side": alone,
        "differing": differing,
        "equal": differing == 0 and alone == 0,
        "difference": _largest(both["was"].to_list(), both["now"].to_list()) if numeric else None,
    }


def _largest(was: Sequence[Any], now: Sequence[Any]) -> float | None:
    """The largest absolute difference; None where there is nothing to pair."""
    if not was or len(was) != len(now):
        return None
    return float(np.abs(np.asarray(was, np.float64) - np.asarray(now, np.float64)).max())
