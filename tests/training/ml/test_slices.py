"""Metrics by slice: as scikit-learn computes them on the rows of the slice."""

import numpy as np
from sklearn.metrics import roc_auc_score

from mlops_site.stats.scored import scored_rows
from training.ml.slices import MAX_SLICES, by_slice, large

RANDOM = np.random.default_rng(3)
N = 600
LABEL = RANDOM.integers(0, 2, N)
SCORE = np.clip(0.3 * LABEL + RANDOM.uniform(0, 0.7, N), 0, 1)
SEX = np.where(np.arange(N) % 3 == 0, "f", "m")
ROWS = scored_rows("classification", LABEL, score=SCORE, positive=1)


def test_each_large_slice_has_its_metric_with_an_interval() -> None:
    found = by_slice("roc_auc", ROWS, {"sex": SEX, "site": np.repeat(np.arange(60), 10)})
    assert [(s["slice"], s["rows"]) for s in found["slices"]] == [("sex = m", 400), ("sex = f", 200)]
    for part, sex in zip(found["slices"], "mf", strict=True):
        assert np.isclose(part["value"], roc_auc_score(LABEL[sex == SEX], SCORE[sex == SEX]))
        assert part["lower"] < part["value"] < part["upper"]


def test_a_slice_without_a_value_is_named() -> None:
    pure = np.where(LABEL == 1, "ill", "well")
    found = by_slice("roc_auc", ROWS, {"state": pure})
    assert (found["slices"], sorted(found["not_computable"])) == ([], ["state = ill", "state = well"])


def test_slices_are_bounded_and_largest_first() -> None:
    many = {f"c{at}": np.where(np.arange(N) < 100 + at, "a", "b") for at in range(60)}
    found = list(large(many))
    sizes = [int(mask.sum()) for _, mask in found]
    assert len(found) == MAX_SLICES
    assert sizes == sorted(sizes, reverse=True)
