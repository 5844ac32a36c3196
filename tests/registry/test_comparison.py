"""Two versions side by side, and the lists of models and versions."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pandas as pd
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from sklearn.metrics import roc_auc_score

from mlops_site.core import store
from mlops_site.core.errors import Invalid, NotFound
from mlops_site.core.permissions import Actor
from registry import selectors, services
from registry.models import RegisteredModel, Version
from registry.selectors import paired
from registry.selectors.models import stages_of
from tests.registry.parts import SIGNATURE, candidate, holdout, into_production
from tests.registry.test_stages import damage

N = 400
RANDOM = np.random.default_rng(5)
LABEL = RANDOM.integers(0, 2, N)
WEAK = np.clip(0.5 + 0.1 * (LABEL - 0.5) + RANDOM.normal(0, 0.2, N), 0, 1)
STRONG = np.clip(0.5 + 0.6 * (LABEL - 0.5) + RANDOM.normal(0, 0.2, N), 0, 1)


def scored(score: Any, **changes: Any) -> dict[str, Any]:
    """A version's holdout, with the metric that it was registered with."""
    label = changes.get("label", LABEL)
    metrics = {"roc_auc": float(roc_auc_score(label, score)), "brier": float(np.mean((score - label) ** 2))}
    return {"holdout_bytes": holdout(score, **{"label": label, **changes}), "metrics": metrics}


def two(
    model: RegisteredModel, author: Actor, first: dict[str, Any], second: dict[str, Any]
) -> tuple[Version, Version]:
    made = [
        services.register_version(model, actor=author, candidate=candidate(i, **c))
        for i, c in enumerate((first, second))
    ]
    return made[0], made[1]


def row(answer: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(row for row in answer["metrics"] if row["name"] == name)
    return found


def test_a_better_version_is_better_with_an_interval(model: RegisteredModel, author: Actor) -> None:
    answer = selectors.comparison(*two(model, author, scored(WEAK), scored(STRONG)))
    auc, brier = row(answer, "roc_auc"), row(answer, "brier")
    assert (auc["better"], auc["certain"], auc["shared_rows"], auc["note"]) == ("v2", True, N, "")
    assert auc["delta"] == pytest.approx(roc_auc_score(LABEL, STRONG) - roc_auc_score(LABEL, WEAK))
    assert auc["ci95"][0] < auc["delta"] < auc["ci95"][1]
    assert (brier["better"], brier["ci95"][1] < 0) == ("v2", True)  # smaller is better


def test_the_same_scores_differ_by_nothing(model: RegisteredModel, author: Actor) -> None:
    auc = row(selectors.comparison(*two(model, author, scored(WEAK), scored(WEAK))), "roc_auc")
    assert (auc["delta"], auc["ci95"], auc["better"], auc["certain"]) == (0.0, [0.0, 0.0], "equal", False)


def test_only_shared_rows_are_compared_joined_by_their_key(model: RegisteredModel, author: Actor) -> None:
    """The second holdout is the same rows in another order, less 100: the interval is that of the shared ones."""
    shuffled = RANDOM.permutation(N)[:300]
    content = {"holdout_bytes": shuffled_holdout(shuffled), "metrics": {"roc_auc": 0.9}}
    auc = row(selectors.comparison(*two(model, author, scored(WEAK), content)), "roc_auc")
    assert auc["shared_rows"] == 300
    low, high = auc["ci95"]
    assert low <= 0 <= high or abs(low + high) < 1e-9  # the same scores on the same rows
    assert (low, high) == (0.0, 0.0)
    assert (auc["shared_delta"], auc["better"]) == (0.0, "equal")  # whatever each says of its own holdout
    assert auc["delta"] == pytest.approx(0.9 - roc_auc_score(LABEL, WEAK))


def shuffled_holdout(order: Any) -> bytes:
    stream = io.BytesIO()
    frame = pd.read_parquet(io.BytesIO(holdout(WEAK, label=LABEL))).iloc[order]
    frame.to_parquet(stream, index=False)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("second", "note"),
    [
        ({}, "1.0.1 was registered without holdout predictions"),
        (scored(STRONG, first_key=N - 49), "the holdouts share 49 rows, fewer than 50"),
        (scored(STRONG, label=1 - LABEL), "the holdouts give the same rows different labels"),
        ({"holdout_bytes": holdout([7.0] * N, label=["?"] * N)}, "the holdouts give the same rows different labels"),
    ],
)
def test_without_an_interval_there_is_a_note(
    model: RegisteredModel, author: Actor, second: dict[str, Any], note: str
) -> None:
    auc = row(selectors.comparison(*two(model, author, scored(WEAK), second)), "roc_auc")
    assert (auc["ci95"], auc["certain"], auc["note"]) == (None, None, note)


def test_a_damaged_holdout_is_said_not_raised(model: RegisteredModel, author: Actor) -> None:
    first, second = two(model, author, scored(WEAK), scored(STRONG**2))  # seen by no other test
    assert second.holdout is not None
    kept = store.read(second.holdout.digest)
    damage(second.holdout.digest)
    assert "damaged" in row(selectors.comparison(first, second), "roc_auc")["note"]
    store.put(kept, max_bytes=len(kept))
    assert row(selectors.comparison(first, second), "roc_auc")["note"] == ""


def test_of_many_rows_some_are_taken_and_the_interval_is_the_standard_one(
    model: RegisteredModel, author: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = two(model, author, scored(WEAK**1.5), scored(STRONG**1.5))  # seen by no other test
    whole = paired.paired(first, second).differences["roc_auc"]
    paired._compute.cache_clear()
    monkeypatch.setattr(paired, "CELLS", N * 300)
    few = paired.paired(first, second).differences["roc_auc"]
    assert few.draws == 300
    assert few.estimate == whole.estimate
    assert few.lower == pytest.approx(whole.lower, abs=0.3 * whole.se)
    assert few.upper == pytest.approx(whole.upper, abs=0.3 * whole.se)
    paired._compute.cache_clear()
    monkeypatch.setattr(paired, "MAX_SHARED_ROWS", 200)
    half = paired.paired(first, second)
    assert half.rows == 200
    assert half.differences["roc_auc"].se > whole.se
    paired._compute.cache_clear()


def test_what_else_changed_and_only_that(model: RegisteredModel, author: Actor) -> None:
    wider = {**SIGNATURE, "inputs": [*SIGNATURE["inputs"], {"name": "plan", "kind": "category"}]}
    first, second = two(
        model, author,
        {"params": {"C": 1.0, "penalty": None}, "metrics": {"roc_auc": 0.7, "lift_at_200": 3.0}},
        {"params": {"C": 1.0, "solver": "lbfgs"}, "metrics": {"roc_auc": 0.7, "recall": 0.3}, "signature": wider,
         "data_digest": "d" * 64, "lineage": {"dataset": "hie@5"}},
    )  # fmt: skip
    answer = selectors.comparison(first, second)
    assert [r["name"] for r in answer["metrics"]] == ["recall", "roc_auc", "lift_at_200"]
    assert row(answer, "lift_at_200")["better"] is None
    assert {name: answer[name]["changed"] for name in ("params", "signature", "dataset", "artifact")} == dict.fromkeys(
        ("params", "signature", "dataset", "artifact"), True
    )
    small = selectors.comparison(first, second, diff_only=True)
    assert [r["name"] for r in small["metrics"]] == ["recall", "lift_at_200"]
    assert [(r["name"], r["v1"], r["v2"]) for r in small["params"]["rows"]] == [
        ("penalty", None, None), ("solver", None, "lbfgs"),
    ]  # fmt: skip
    assert [(r["name"], r["v1"], r["v2"]) for r in small["signature"]["inputs"]] == [("plan", None, "category")]
    same = selectors.comparison(first, first, diff_only=True)
    assert (same["metrics"], same["params"], same["artifact"]) == ([], {"changed": False}, {"changed": False})


def test_lists_show_the_newest_version_of_each_stage(
    served: Version, model: RegisteredModel, author: Actor, approver: Actor, outsider: Actor
) -> None:
    for seed in (1, 2):
        services.register_version(model, actor=author, candidate=candidate(seed))
    into_production(model, author=author, approver=approver, seed=3)
    (found,) = selectors.models(approver)
    assert stages_of(found) == {"development": "1.0.2", "production": "1.0.3", "archived": "1.0.0"}
    assert not selectors.models(outsider)
    assert [v.number for v in selectors.versions(model)] == ["1.0.3", "1.0.2", "1.0.1", "1.0.0"]
    assert [v.stage for v in selectors.versions(model)] == ["production", "development", "development", "archived"]


def test_filters_and_orderings(served: Version, author: Actor) -> None:
    services.create_model(actor=author, name="triage", task_type="regression", description="Who is seen FIRST")

    def names(**filters: str) -> list[str]:
        return [model.name for model in selectors.models(author, **filters)]

    assert names(search="first") == names(search="tria") == ["triage"]
    assert names(stage="production") == ["claims"]
    assert names(stage="staging") == []
    assert names(team="claims", ordering="-name") == ["triage", "claims"]
    assert names(team="elsewhere") == []
    for wrong in ({"stage": "prod"}, {"ordering": "owner__password"}):
        with pytest.raises(Invalid, match="must be one of"):
            names(**wrong)


def test_lists_take_as_many_queries_for_many_rows_as_for_one(
    served: Version, model: RegisteredModel, author: Actor, approver: Actor
) -> None:
    def queries() -> list[int]:
        counts = []
        for rows in (
            lambda: [stages_of(m) for m in selectors.models(author)],
            lambda: [(v.number, v.stage, v.artifact.size, v.created_by.username) for v in selectors.versions(model)],
            lambda: [selectors.decidable(r, approver) for r in selectors.requests(approver)],
            lambda: [(str(i.version), i.by) for i in selectors.history(model)],
        ):
            with CaptureQueriesContext(connection) as captured:
                rows()
            counts.append(len(captured))
        return counts

    before = queries()
    for seed in range(1, 5):
        into_production(model, author=author, approver=approver, seed=seed)
        services.create_model(actor=author, name=f"model_{seed}", task_type="regression")
    assert queries() == before == [2, 1, 3, 1]


def test_what_is_not_there_or_not_yours_is_not_found(
    version: Version, model: RegisteredModel, author: Actor, outsider: Actor
) -> None:
    for actor, name in ((outsider, "claims"), (author, "nothing"), (author, "claims\0"[:6] + "x")):
        with pytest.raises(NotFound) as raised:
            selectors.model_named(actor, name)
        assert raised.value.code == "unknown_model"
    for number in ("1.0.1", "1.0", "01.0.0", "latest", "1.0.-0", "9999999999.0.0"):
        with pytest.raises(NotFound, match="has no version"):
            selectors.version_numbered(model, number)
