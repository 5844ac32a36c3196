"""Mean losses from what was asked."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlops_site.stats.columns import Kind
from mlops_site.stats.losses import LEAST_ROWS, Losses, MeanLoss
from mlops_site.stats.profile import profile, reference_bins
from mlops_site.stats.scored import Floats

KINDS: dict[str, Kind] = {"age": "number", "plan": "category", "noise": "number"}


def asked(rows: int, seed: int, *, older: float = 0.0, gold: float = 0.3) -> tuple[pd.DataFrame, Floats, Floats]:
    """Rows, what was said of them and its absolute error, which is larger for old people and for the plan gold."""
    random = np.random.default_rng(seed)
    plan = np.where(random.random(rows) < gold, "gold", "free")
    frame = pd.DataFrame({"age": random.normal(50 + older, 10, rows), "plan": plan, "noise": random.normal(0, 1, rows)})
    spread = 1 + (frame["age"] > 50) * 2 + (frame["plan"] == "gold") * 1.0
    return frame, random.normal(100, 20, rows), np.abs(random.normal(0, 1, rows)) * spread.to_numpy()


BINS = reference_bins(asked(6_000, 1)[0], KINDS, salt="tests")


@pytest.fixture(scope="module")
def learnt() -> Losses:
    frame, said, missed = asked(6_000, 1)
    found = Losses.fit(frame, {"mae": missed, "rmse": missed**2}, BINS, said=said)
    assert found is not None
    return found


def expected(learnt: Losses, frame: pd.DataFrame, said: Floats) -> dict[str, MeanLoss]:
    window = profile(frame, BINS)
    return learnt.mean(window.counts, window.rows, (float(said.mean()), float(np.square(said).mean())))


def test_another_mixture_has_another_loss_and_the_band_covers_it() -> None:
    """Of 40 models, each on a window of older people of whom more have the plan gold."""
    missed_by = []
    for seed in range(40):
        frame, said, missed = asked(3_000, 500 + seed)
        model = Losses.fit(frame, {"mae": missed}, BINS, said=said)
        assert model is not None
        frame, said, missed = asked(2_000, 900 + seed, older=8.0, gold=0.8)
        value, error = expected(model, frame, said)["mae"]
        missed_by.append((value - missed.mean()) / error)
    assert abs(np.mean(missed_by)) < 0.6
    assert np.mean(np.abs(missed_by) <= 1.96) >= 0.85


def test_what_was_registered_would_not_tell(learnt: Losses) -> None:
    calm, old = (asked(4_000, 7, older=older) for older in (0.0, 15.0))
    assert old[2].mean() / calm[2].mean() > 1.2
    assert expected(learnt, *old[:2])["mae"].value == pytest.approx(old[2].mean(), rel=0.07)
    assert expected(learnt, *old[:2])["rmse"].value == pytest.approx(np.square(old[2]).mean(), rel=0.2)


def test_on_its_own_rows_the_mean_is_theirs(learnt: Losses) -> None:
    frame, said, missed = asked(6_000, 1)
    assert expected(learnt, frame, said)["mae"].value == pytest.approx(missed.mean(), rel=1e-6)


def test_a_window_of_rows_is_the_mean_of_their_expectations(learnt: Losses) -> None:
    frame, said, _ = asked(300, 9)
    apart = [expected(learnt, frame.iloc[[row]], said[[row]])["mae"].value for row in range(300)]
    assert expected(learnt, frame, said)["mae"].value == pytest.approx(np.mean(apart), rel=1e-9)


def test_bytes_come_back(learnt: Losses) -> None:
    again = Losses.from_bytes(learnt.to_bytes())
    frame, said, _ = asked(500, 3, older=5)
    wanted, found = expected(learnt, frame, said), expected(again, frame, said)
    assert found["mae"] == pytest.approx(wanted["mae"], rel=1e-5)
    assert (again.names, again.rows, again.digest) == (("mae", "rmse"), 6_000, learnt.digest)


def test_too_few_rows_teach_nothing_and_no_rows_have_no_loss(learnt: Losses) -> None:
    frame, said, missed = asked(LEAST_ROWS - 1, 1)
    assert Losses.fit(frame, {"mae": missed}, BINS, said=said) is None
    assert expected(learnt, frame.head(0), np.ones(1)) == {}


def test_what_nobody_saw_before_breaks_nothing(learnt: Losses) -> None:
    frame = pd.DataFrame({"age": [None, 1e9, "?"], "plan": ["new", None, 5], "noise": [np.inf, 0, 0]})
    found = expected(learnt, frame, np.array([100.0, 100.0, 100.0]))["mae"]
    assert np.isfinite(found).all()


def test_a_constant_loss_is_constant() -> None:
    frame = asked(500, 1)[0]
    found = Losses.fit(frame, {"accuracy": np.zeros(500)}, BINS, said=None)
    assert found is not None
    window = profile(frame, BINS)
    assert found.mean(window.counts, window.rows, None)["accuracy"] == pytest.approx((0, 0))


@given(st.binary(max_size=60))
def test_other_bytes_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="losses must"):
        Losses.from_bytes(data)
