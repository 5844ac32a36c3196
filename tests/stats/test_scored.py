"""The order of classes, and scores by class."""

from __future__ import annotations

import numpy as np
import pytest

from mlops_site.stats.scored import scored_rows


def test_several_classes_keep_the_order_that_was_given() -> None:
    rows = scored_rows("classification", ["b", "a", "c"], score=np.eye(3), classes=["c", "a", "b"])
    assert rows.classes == ("c", "a", "b")
    assert rows.truth.tolist() == [2, 1, 0]
    assert not rows.binary
    assert rows.class_scores.tolist() == np.eye(3).tolist()


def test_two_classes_have_a_column_each_on_demand() -> None:
    rows = scored_rows("classification", [1, 0, 0], score=[0.75, 0.25, 0.5])
    assert rows.class_scores.tolist() == [[0.25, 0.75], [0.75, 0.25], [0.5, 0.5]]
    with pytest.raises(ValueError, match="score must be given"):
        _ = scored_rows("classification", [1, 0, 0]).class_scores


def test_equally_frequent_labels_make_the_later_one_positive() -> None:
    assert scored_rows("classification", ["no", "yes"]).classes == ("no", "yes")
    assert scored_rows("classification", [1, 0, 1, 0]).classes == (0, 1)


def test_labels_of_several_types_are_told_apart() -> None:
    rows = scored_rows("classification", np.array([1, "1", "a"], dtype=object), prediction=["1", "1", "a"])
    assert rows.classes == (1, "1", "a")
    assert rows.decision is not None
    assert rows.decision.tolist() == [1, 1, 2]
