"""How columns look, read off a profile, against NumPy on the rows."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from mlops_site.stats.profile import profile, reference_bins
from training.ml.overview import overview


def test_figures_are_those_of_the_rows() -> None:
    random = np.random.default_rng(5)
    values = random.gamma(2.0, 100.0, 5_000)
    values[::10] = np.nan
    plans = random.choice(["free", "family", "other"], 5_000, p=[0.7, 0.2, 0.1])
    frame = pd.DataFrame({"paid": values, "plan": plans, "none": np.full(5_000, np.nan)})
    bins = reference_bins(frame, {"paid": "number", "plan": "category", "none": "number"}, salt="x")
    paid, plan, none = overview(profile(frame, bins))
    known = values[~np.isnan(values)]
    assert (paid.low, paid.high, paid.missing, paid.missing_share) == (known.min(), known.max(), 500, 0.1)
    assert paid.mean == pytest.approx(known.mean())
    assert paid.sd == pytest.approx(known.std())
    assert paid.quartiles == pytest.approx(np.quantile(known, [0.25, 0.5, 0.75]), rel=0.03)
    assert [level for level, _ in plan.top] == ["free", "family", "other"]
    assert (sum(rows for _, rows in plan.top), plan.others) == (5_000, 0)
    assert (none.missing, none.mean, none.quartiles) == (5_000, None, None)


def test_quartiles_of_few_values_are_values() -> None:
    frame = pd.DataFrame({"visits": [0, 0, 0, 1, 2, 2, 5, 9]})
    bins = reference_bins(frame, {"visits": "number"}, salt="x")
    (visits,) = overview(profile(frame, bins))
    assert visits.quartiles == tuple(np.quantile(frame.visits, [0.25, 0.5, 0.75], method="inverted_cdf"))
