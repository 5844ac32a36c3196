"""What a drifted feature can do to a model: its rank, its kind, and what it costs by estimate."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
import pytest

from mlops_site.stats.columns import Kind
from mlops_site.stats.compare import Drift, profile_drift
from mlops_site.stats.profile import Profile, profile, reference_bins
from monitoring.stats.findings import Judged, findings
from monitoring.stats.losses import Loss, losses
from monitoring.stats.triage import Ranked, triage

NAMES = ("strong", "weak", "useless")
KINDS: dict[str, Kind] = dict.fromkeys(NAMES, "number")
IMPORTANCE = {"strong": 0.9, "weak": 0.1, "useless": 0.0}


def rows(seed: int, count: int, **shift: float) -> pd.DataFrame:
    random = np.random.default_rng(seed)
    return pd.DataFrame({name: random.normal(shift.get(name, 0.0), 1, count) for name in NAMES})


def scores(frame: pd.DataFrame) -> Any:
    """P(positive) of a model that is exactly right about it."""
    return 1 / (1 + np.exp(1 - 2 * frame["strong"].to_numpy() - 0.4 * frame["weak"].to_numpy()))


def f1(frame: pd.DataFrame, seed: int) -> float:
    score = scores(frame)
    truth, said = np.random.default_rng(seed).random(len(score)) < score, score >= 0.5
    return float(2 * (truth & said).sum() / (truth.sum() + said.sum()))


@lru_cache(1)
def reference() -> Profile:
    frame = rows(0, 20_000)
    return profile(frame, reference_bins(frame, KINDS, salt="tests"))


def drifted(**shift: float) -> tuple[pd.DataFrame, Profile, Drift]:
    frame = rows(1, 2_000, **shift)
    current = profile(frame, reference().bins)
    return frame, current, profile_drift(current, reference(), importance=IMPORTANCE)


def ranked(importance: dict[str, float] = IMPORTANCE, **shift: float) -> list[Ranked]:
    return triage(drifted(**shift)[2], importance)


def cost(**shift: float) -> Loss:
    (name,) = shift
    frame, current, _ = drifted(**shift)
    return losses(frame, scores(frame), 0.5, current=current, reference=reference(), names=[name])[name]


def test_importance_times_effect_decides_the_rank() -> None:
    assert [(row.rank, row.name, row.kind) for row in ranked(strong=0.4, weak=1.0, useless=2.0)] == [
        (1, "strong", "alarm"),
        (2, "weak", "alarm"),
        (3, "useless", "information"),
    ]


def test_a_drifted_irrelevant_feature_is_information_and_no_finding() -> None:
    _, _, found = drifted(useless=2.0)
    said = triage(found, IMPORTANCE)
    assert found.drifted == 1
    assert (said[0].name, said[0].kind) == ("useless", "information")
    assert "0.0% of the importance" in said[0].why
    assert findings(Judged(found, [], None, None, triage=said)) == []
    assert len(findings(Judged(found, [], None, None))) == 1  # where nobody ranked


def test_the_finding_names_what_matters_and_counts_the_rest() -> None:
    _, _, found = drifted(strong=0.5, useless=2.0)
    (finding,) = findings(Judged(found, [], None, None, triage=triage(found, IMPORTANCE)))
    assert finding.summary.startswith("1 of 3 features drifted: strong (0.")
    assert finding.summary.endswith("; 1 more that the model hardly uses")
    assert [(row["name"], row["kind"]) for row in finding.evidence["triage"]] == [
        ("strong", "alarm"),
        ("useless", "information"),
    ]


def test_without_importance_every_drifted_feature_is_an_alarm() -> None:
    for unknown in ({}, dict.fromkeys(NAMES, 0.0)):
        (first, *rest) = ranked(unknown, useless=2.0)
        assert (first.name, first.kind, first.importance, first.score) == ("useless", "alarm", None, None)
        assert {row.kind for row in rest} == {""}


@pytest.mark.parametrize("shift", [{"strong": -0.5}, {"strong": 0.5}, {"weak": -1.0}])
def test_the_estimated_loss_is_the_real_one(shift: dict[str, float]) -> None:
    real = f1(rows(7, 200_000), 8) - f1(rows(9, 200_000, **shift), 10)
    found = cost(**shift)
    assert found.loss == pytest.approx(real, abs=max(0.02, 2.5 * found.se))
    assert found.rows == 2_000


def test_what_the_model_does_not_use_costs_nothing() -> None:
    found = cost(useless=1.0)
    assert abs(found.loss) < 3 * found.se + 0.005
    assert abs(found.score_change) < 0.03


def test_a_sure_loss_makes_an_alarm_of_a_feature_without_importance() -> None:
    _, _, found = drifted(useless=2.0)
    (first, *_) = triage(found, IMPORTANCE, {"useless": Loss(0.1, 0.05, 0.005, 2_000)})
    assert (first.name, first.kind) == ("useless", "alarm")
    assert first.why == "hardly important, but F1 is estimated to lose 0.05"
    (unsure, *_) = triage(found, IMPORTANCE, {"useless": Loss(0.1, 0.05, 0.02, 2_000)})
    assert unsure.kind == "information"


def test_few_rows_or_cells_that_cannot_be_read_have_no_loss() -> None:
    frame, current, _ = drifted(strong=0.5)
    given = {"current": current, "reference": reference()}
    assert losses(frame.head(99), scores(frame)[:99], 0.5, names=NAMES, **given) == {}
    assert losses(frame, np.full(len(frame), np.nan), 0.5, names=NAMES, **given) == {}
    spoilt = frame.astype(object)
    spoilt.loc[3, "weak"] = "?"
    assert set(losses(spoilt, scores(frame), 0.5, names=[*NAMES, "absent"][:3], **given)) == {"strong", "useless"}
