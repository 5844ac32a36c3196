"""Two to eight versions side by side: their differences, their curves, and which versions cannot be compared."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import auc, roc_auc_score

from mlops_site.core import store
from mlops_site.core.errors import Conflict, Invalid, NotFound
from mlops_site.core.permissions import Actor
from registry import selectors, services
from registry.models import RegisteredModel, Version
from tests.kept import kept_fixture
from tests.registry.http import Person
from tests.registry.parts import SIGNATURE, candidate, holdout
from tests.registry.test_comparison import LABEL, STRONG, WEAK, N, scored
from tests.registry.test_stages import damage

MIDDLE = (WEAK + STRONG) / 2
VALUES = np.linspace(0, 100, N)
REGRESSION = {**SIGNATURE, "task_type": "regression", "classes": None, "positive_class": None, "output": "value"}
THREE = {**SIGNATURE, "classes": ["a", "b", "c"], "positive_class": None}


def parquet(**columns: Any) -> bytes:
    stream = io.BytesIO()
    pd.DataFrame({"row_key": [f"claim-{i}" for i in range(N)], **columns}).to_parquet(stream)
    return stream.getvalue()


def registered(model: RegisteredModel, author: Actor, *contents: dict[str, Any]) -> list[str]:
    return [
        services.register_version(model, actor=author, candidate=candidate(seed, **content)).number
        for seed, content in enumerate(contents)
    ]


@kept_fixture
def three(model: RegisteredModel, author: Actor) -> list[str]:
    """Weak, middle, strong; each better than the one before it."""
    return registered(model, author, scored(WEAK), {**scored(MIDDLE), "params": {"C": 2.0}}, scored(STRONG))


def said(model: RegisteredModel, actor: Actor, numbers: list[str], **asked: Any) -> dict[str, Any]:
    return selectors.side_by_side(selectors.versions_named(actor, model, numbers), **asked)


def cells(answer: dict[str, Any], name: str) -> list[dict[str, Any]]:
    (row,) = [row for row in answer["metrics"] if row["name"] == name]
    found: list[dict[str, Any]] = row["values"]
    return found


def test_each_is_compared_with_the_base_on_the_shared_rows(
    model: RegisteredModel, author: Actor, three: list[str]
) -> None:
    answer = said(model, author, three, base=three[1])
    weak, middle, strong = cells(answer, "roc_auc")
    assert middle["against_base"] is None
    assert [weak["against_base"]["judgement"], strong["against_base"]["judgement"]] == ["worse", "better"]
    for cell, score in ((weak, WEAK), (strong, STRONG)):
        gap = roc_auc_score(LABEL, score) - roc_auc_score(LABEL, MIDDLE)
        low, high = cell["against_base"]["ci95"]
        assert cell["against_base"]["shared_delta"] == pytest.approx(gap)
        assert low < gap < high
        assert cell["against_base"]["shared_rows"] == N
    two = selectors.comparison(*(selectors.version_numbered(model, number) for number in three[1:]))
    assert two["metrics"][0]["ci95"] == strong["against_base"]["ci95"]  # as for two


def test_the_curves_are_those_of_the_shared_rows(model: RegisteredModel, author: Actor, three: list[str]) -> None:
    overlay = said(model, author, three)["overlays"]
    assert (overlay["shared"], overlay["note"]) == (True, "")
    for series, score in zip(overlay["series"], (WEAK, MIDDLE, STRONG), strict=True):
        assert series["rows"] == N
        assert auc(series["roc"]["x"], series["roc"]["y"]) == pytest.approx(roc_auc_score(LABEL, score), abs=0.005)
        assert max(len(series[name]["x"]) for name in ("roc", "precision_recall")) <= 200
        assert sum(series["calibration"]["rows"]) == N
        assert series["classes"] is series["fitted"] is None


def test_rows_that_only_some_hold_are_left_out(model: RegisteredModel, author: Actor) -> None:
    later = {"holdout_bytes": holdout(STRONG, label=LABEL, first_key=N - 40), "metrics": {"roc_auc": 0.9}}
    numbers = registered(model, author, scored(WEAK), later, {})
    overlay = said(model, author, numbers)["overlays"]
    assert not overlay["shared"]
    assert overlay["note"] == (
        "the holdouts share 40 rows, fewer than 50; each line is of the version's own holdout"
    )  # fmt: skip
    assert [series["rows"] for series in overlay["series"]] == [N, N, 0]
    assert overlay["series"][2]["note"] == "it was registered without holdout predictions"


def test_a_damaged_holdout_leaves_the_others(model: RegisteredModel, author: Actor) -> None:
    numbers = registered(model, author, scored(WEAK**2), scored(MIDDLE**3), scored(STRONG**3))  # seen by no other test
    version = selectors.version_numbered(model, numbers[1])
    assert version.holdout_id is not None
    kept = store.read(version.holdout_id)
    damage(version.holdout_id)
    first, second, third = said(model, author, numbers)["overlays"]["series"]
    assert (first["rows"], third["rows"]) == (N, N)
    assert "damaged" in second["note"]
    store.put(kept, max_bytes=len(kept))
    assert said(model, author, numbers)["overlays"]["series"][1]["rows"] == N


def test_only_differences(model: RegisteredModel, author: Actor, three: list[str]) -> None:
    whole, small = (said(model, author, three, diff_only=diff) for diff in (False, True))
    assert [row["name"] for row in small["params"]["rows"]] == ["C"]
    assert small["params"]["rows"][0]["values"] == dict(zip(three, (1.0, 2.0, 1.0), strict=True))
    assert (small["signature"], small["dataset"]) == (
        {"changed": False, "inputs": [], "output": []},
        {"changed": False},
    )
    assert len(whole["signature"]["inputs"]) == 2
    assert small["artifact"]["changed"]
    same = said(model, author, [three[0], three[2]], diff_only=True)
    assert same["params"] == {"changed": False, "rows": []}


def test_regressions_have_values_and_residuals(author: Actor) -> None:
    model = services.create_model(actor=author, name="dollars", task_type="regression")
    noise = np.random.default_rng(1).normal(0, 5, N)
    numbers = registered(
        model,
        author,
        *(
            {
                "signature": REGRESSION,
                "holdout_bytes": parquet(label=VALUES, prediction=VALUES + factor * noise),
                "metrics": {"mae": 4.0 * factor},
            }
            for factor in (1, 3)
        ),
    )
    answer = said(model, author, numbers)
    assert answer["task"] == "regression"
    one, two = answer["overlays"]["series"]
    assert one["roc"] is two["classes"] is None
    assert len(one["fitted"]["predicted"]) == 10
    assert np.ptp(two["residuals"]["x"]) == pytest.approx(3 * np.ptp(one["residuals"]["x"]))
    cell = cells(answer, "mae")[1]["against_base"]
    assert (cell["judgement"], cell["certain"]) == ("worse", True)
    assert cell["shared_delta"] == pytest.approx(np.abs(3 * noise).mean() - np.abs(noise).mean())


def test_several_classes_have_shares_a_class(author: Actor) -> None:
    model = services.create_model(actor=author, name="plans", task_type="classification")
    truth = np.random.default_rng(2).choice(["a", "b", "c"], N)
    numbers = registered(
        model, author,
        {"signature": THREE, "holdout_bytes": parquet(label=truth, prediction=truth), "metrics": {"accuracy": 1.0}},
        {"signature": THREE, "holdout_bytes": parquet(label=truth, prediction=np.roll(truth, 1)),
         "metrics": {"accuracy": 0.3}},
    )  # fmt: skip
    answer = said(model, author, numbers)
    right, wrong = answer["overlays"]["series"]
    assert answer["task"] == "several classes"
    assert [row["recall"] for row in right["classes"]] == [1.0, 1.0, 1.0]
    assert max(row["recall"] for row in wrong["classes"]) < 0.6
    assert right["roc"] is None


def test_other_models_can_be_compared_where_the_task_is_the_same(
    model: RegisteredModel, author: Actor, three: list[str]
) -> None:
    other = services.create_model(actor=author, name="triage", task_type="classification")
    registered(other, author, scored(STRONG))
    answer = said(model, author, [f"claims@{three[0]}", "triage@1.0.0"])
    assert [row["version"] for row in answer["versions"]] == [three[0], "triage@1.0.0"]
    assert cells(answer, "roc_auc")[1]["against_base"]["shared_rows"] == N


def test_different_tasks_are_a_conflict_that_says_why(model: RegisteredModel, author: Actor, three: list[str]) -> None:
    dollars = services.create_model(actor=author, name="dollars", task_type="regression")
    plans = services.create_model(actor=author, name="plans", task_type="classification")
    registered(dollars, author, {"signature": REGRESSION})
    registered(plans, author, {"signature": THREE})
    for other, task in (("dollars@1.0.0", "regression"), ("plans@1.0.0", "several classes")):
        with pytest.raises(Conflict, match=rf"{three[0]} \(two classes\), {other} \({task}\)") as raised:
            said(model, author, [three[0], other])
        assert raised.value.code == "different_tasks"


@pytest.mark.parametrize(
    ("numbers", "code"),
    [
        (["1.0.0"], "too_few"),
        ([], "too_few"),
        (["1.0.0"] * 9, "too_many"),
        (["1.0.0", "1.0.0"], "repeated"),
        (["1.0.0", "claims@1.0.0"], "repeated"),
    ],
)
def test_too_few_too_many_and_repeated_are_refused(
    version: Version, model: RegisteredModel, author: Actor, numbers: list[str], code: str
) -> None:
    with pytest.raises(Invalid) as raised:
        selectors.versions_named(author, model, numbers)
    assert (raised.value.code, raised.value.errors[0].field) == (code, "versions")


@pytest.mark.parametrize("label", ["9.0.0", "latest", "none@1.0.0", "@1.0.0", "secret@1.0.0", "1.0.0@claims", "<b>"])
def test_unknown_versions_are_not_found(
    version: Version, model: RegisteredModel, author: Actor, outsider: Actor, label: str
) -> None:
    engineer = Actor(outsider.name, outsider.user, dict.fromkeys(outsider.roles, "ml_engineer"))
    secret = services.create_model(actor=engineer, name="secret", task_type="classification")
    services.register_version(secret, actor=engineer, candidate=candidate(5))
    with pytest.raises(NotFound) as raised:
        selectors.versions_named(author, model, ["1.0.0", label])
    assert raised.value.errors[0].field == "versions"


def test_an_alias_names_a_version_here_as_everywhere(served: Version, model: RegisteredModel, author: Actor) -> None:
    newer = services.register_version(model, actor=author, candidate=candidate(1))
    services.set_alias(model, actor=author, alias="champion", version=newer)
    found = selectors.versions_named(author, model, ["@production", "@champion", "claims@1.0.0"])
    assert found == {"@production": served, "@champion": newer, "1.0.0": served}


def test_over_http(model: RegisteredModel, three: list[str], engineer: Person, stranger: Person) -> None:
    address = "/models/claims/compare"
    status, found = engineer.get(address, versions=",".join(three), base=three[2], diff_only="true")
    assert (status, found["base"], len(found["overlays"]["series"])) == (200, three[2], 3)
    assert stranger.get(address, versions=",".join(three))[0] == 404
    for query, expected, field in (
        ({"versions": three[0]}, 422, "versions"),
        ({"versions": "1.0.0,7.7.7"}, 404, "versions"),
        ({"versions": ",".join(three), "base": "7.7.7"}, 422, "base"),
        ({}, 422, "versions"),
        ({"versions": "1.0.0," * 200}, 422, "versions"),
        ({"versions": ",".join(three), "metric": "x"}, 422, "metric"),
    ):
        status, problem = engineer.get(address, **query)
        assert (status, problem["errors"][0]["field"]) == (expected, field), problem
