"""The notebook face: as tokens say who acts, in a plain process, and inside a running event loop."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from django.utils import timezone
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import RandomForestClassifier, RandomForestRegressor
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from mlops_site.core import tokens
from mlops_site.core.errors import Conflict, Forbidden, Invalid, NotFound
from mlops_site.core.models import AuditRecord
from mlops_site.core.permissions import Actor
from mlops_site.stats.heldout import HeldOut
from mlops_site.stats.losses import Losses
from registry import selectors, services
from registry.model_registry import ModelRegistry, ModelStage
from registry.models import PromotionRequest, Version
from registry.selectors.held_rows import rows_of, side_of
from registry.services.estimators import plain
from tests import template
from tests.people import actor as person
from tests.registry.parts import user

RANDOM = np.random.default_rng(3)
FRAME = pd.DataFrame(
    {"age": RANDOM.normal(50, 9, 120), "plan": RANDOM.choice(np.array(["basic", "full", None], object), 120)}
)
TARGET = np.where(FRAME["age"] + RANDOM.normal(0, 5, 120) > 50, "high", "low")


@pytest.fixture(scope="module")
def pipeline() -> Any:
    columns = [("n", StandardScaler(), ["age"]), ("c", OneHotEncoder(handle_unknown="ignore"), ["plan"])]
    return make_pipeline(ColumnTransformer(columns), LogisticRegression()).fit(FRAME.fillna({"plan": ""}), TARGET)


@pytest.fixture
def act_as(monkeypatch: pytest.MonkeyPatch, author: Actor, approver: Actor) -> Any:
    """Puts a person's token where the face looks."""

    def put(actor: Actor) -> None:
        monkeypatch.setenv("STEWARD_TOKEN", tokens.create_token(user(actor))[1])

    put(author)
    return put


def register(pipeline: Any, **changes: Any) -> Any:
    given = {"model_name": "fraud_detection", "model_obj": pipeline, "config": {"C": 1.0}, "sample": FRAME}
    return ModelRegistry().register_model(**{**given, "metrics": {"f1_score": 0.8}, **changes})


def test_an_estimator_is_registered_with_what_its_sample_says(act_as: Any, pipeline: Any, author: Actor) -> None:
    found = register(pipeline)
    assert (str(found), found.stage, found.created_by) == ("fraud_detection 1.0.0", "development", "author")
    assert found.metrics == {"f1_score": {"value": 0.8, "ci95": None}}
    age, plan = found.signature["inputs"]
    assert (age["kind"], plan["kind"], plan["levels"], plan["nullable"]) == (
        "number",
        "category",
        ["basic", "full"],
        True,
    )
    assert (found.signature["classes"], found.signature["positive_class"]) == (["high", "low"], "low")
    kept = Version.objects.get()
    assert kept.serving is not None
    assert kept.reference is not None
    assert len(kept.golden) == 20
    assert selectors.model_named(author, "fraud_detection").task_type == "classification"


def test_a_cell_that_is_run_again_registers_nothing_new(act_as: Any, pipeline: Any) -> None:
    assert register(pipeline) == register(pipeline)
    assert register(pipeline, config={"C": 2.0}).version == "1.1.0"
    assert register(pipeline, version="4.0.0", tags={"why": "explicit"}).version == "4.0.0"


def test_without_a_sample_the_inputs_are_numbers_as_the_estimator_names_them(act_as: Any) -> None:
    forest = RandomForestRegressor(3, random_state=0).fit(FRAME[["age"]], FRAME["age"])
    found = register(forest, sample=None)
    assert (found.signature["task_type"], [i["name"] for i in found.signature["inputs"]]) == ("regression", ["age"])


def test_production_waits_for_another_person_here_too(
    act_as: Any, pipeline: Any, author: Actor, approver: Actor
) -> None:
    registry, found = ModelRegistry(), register(pipeline)
    done = registry.promote_model(
        model_name="fraud_detection", version=found.version, target_stage=ModelStage.PRODUCTION
    )
    assert (done.status, done.stage) == ("pending_approval", "staging")
    request = PromotionRequest.objects.get()
    with pytest.raises(Forbidden):
        services.review_request(request, actor=author, decision="approve")
    services.review_request(request, actor=approver, decision="approve")
    (listed,) = registry.list_models(stage=ModelStage.PRODUCTION)
    assert listed == registry.get_model("fraud_detection")
    assert (listed.stages, listed.version_count, listed.team) == ({"production": "1.0.0"}, 1, "claims")
    assert [stay.stage for stay in registry.get_version("fraud_detection", "1.0.0").intervals] == [
        "development", "staging", "production",
    ]  # fmt: skip
    with pytest.raises(Conflict, match="is in production"):
        registry.promote_model(model_name="fraud_detection", version="1.0.0", target_stage="archived")


def test_comparison_and_rollback(act_as: Any, pipeline: Any, approver: Actor) -> None:
    registry = ModelRegistry()
    for metric in (0.8, 0.9):
        found = register(pipeline, metrics={"f1_score": metric})
        registry.promote_model(model_name="fraud_detection", version=found.version, target_stage="production")
        request = PromotionRequest.objects.get(status="pending")
        services.review_request(request, actor=approver, decision="approve")
    compared = registry.compare("fraud_detection", "1.0.0", "1.0.1")
    assert [(row["v1"], row["v2"], row["better"]) for row in compared.metrics] == [(0.8, 0.9, "v2")]
    with pytest.raises(Forbidden):
        registry.rollback("fraud_detection", reason="worse")
    act_as(approver)
    done = registry.rollback("fraud_detection", reason="worse")
    assert (done.version, done.replaced) == ("1.0.0", "1.0.1")


def test_what_is_said_of_models_and_versions(act_as: Any, pipeline: Any, approver: Actor) -> None:
    registry, name = ModelRegistry(), "fraud_detection"
    register(pipeline, tags={"site": "5"})
    registry.set_alias(name, "champion", "1.0.0")
    registry.set_tag(name, "domain", "claims")
    registry.set_tag(name, "reviewed", version="@champion")
    registry.describe(name, "1.0.0", "Without site 6")
    registry.deprecate(name, "1.0.0", "Use 2.0.0")
    assert registry.get_version(name, "@champion").version == "1.0.0"
    (model,) = registry.list_models(tag="domain=claims")
    assert (model.aliases, model.tags, model.owner) == ({"champion": "1.0.0"}, {"domain": "claims"}, "author")
    (found,) = registry.search_versions("site 6", stage=ModelStage.DEVELOPMENT)
    assert (found.tags, found.aliases) == ({"reviewed": "", "site": "5"}, ["champion"])
    assert (found.description, found.deprecated) == ("Without site 6", "Use 2.0.0")
    registry.undeprecate(name, "1.0.0")
    registry.remove_tag(name, "domain")
    registry.remove_alias(name, "champion")
    assert not registry.search_versions(deprecated=True)
    assert not registry.list_models(tag="domain")
    registry.archive(name, reason="no longer used")
    assert registry.list_models() == []
    registry.restore(name, reason="used again")
    assert [model.name for model in registry.list_models()] == [name]


def test_comparison_of_many_trend_card_evidence_inventory_and_report(
    act_as: Any, pipeline: Any, approver: Actor, tmp_path: Path
) -> None:
    registry = ModelRegistry()
    for metric in (0.7, 0.8, 0.9):
        register(pipeline, metrics={"f1_score": metric})
    compared = registry.compare_versions("fraud_detection", ["1.0.0", "1.0.1", "1.0.2"], base="1.0.1")
    assert [cell["value"] for cell in compared.metrics[0]["values"]] == [0.7, 0.8, 0.9]
    assert [point.value for point in registry.metric_trend("fraud_detection").points] == [0.7, 0.8, 0.9]
    card = registry.card("fraud_detection", "1.0.1")
    assert (card.about.version, card.metrics["f1_score"]["value"]) == ("1.0.1", 0.8)
    assert registry.card_markdown("fraud_detection", "1.0.1").startswith("# Model card: fraud")
    path = registry.export_evidence("fraud_detection", "1.0.1", tmp_path / "evidence.zip")
    with path.open("rb") as file:
        assert list(selectors.evidence_faults(file)) == []
    with pytest.raises(FileExistsError):
        registry.export_evidence("fraud_detection", "1.0.1", path)
    (line,) = registry.inventory()
    assert (line.model, line.versions) == ("fraud_detection", 3)
    today = timezone.now().date()
    assert [row.kind for row in registry.period_report(today, today).happenings] == [
        "new model", "updated model", "updated model",
    ]  # fmt: skip
    act_as(person("reader", "viewer"))
    with pytest.raises(Forbidden):
        registry.export_evidence("fraud_detection", "1.0.1", tmp_path / "another.zip")
    assert AuditRecord.objects.filter(action="evidence.export.refused").exists()
    assert not (tmp_path / "another.zip").exists()


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"model_obj": LogisticRegression()}, "model_obj"),
        ({"model_obj": "a model"}, "model_obj"),
        ({"sample": FRAME[["age"]]}, "sample"),
        ({"sample": FRAME.assign(age=pd.Timestamp("2026-01-01"))}, "sample"),
        ({"metrics": {"f1_score": float("nan")}}, "metrics.f1_score"),
        ({"model_name": "Fraud Detection"}, "name"),
        ({"version": "1"}, "version"),
    ],
)
def test_what_cannot_be_registered_is_one_kind_of_error_and_leaves_nothing(
    act_as: Any, pipeline: Any, changes: dict[str, Any], field: str
) -> None:
    with pytest.raises(Invalid) as raised:
        register(pipeline, **changes)
    assert raised.value.errors[0].field == field
    assert ModelRegistry().list_models() == []  # nor a model made for it


def test_another_teams_model_is_not_there(act_as: Any, pipeline: Any) -> None:
    register(pipeline)
    act_as(person("otto", "ml_engineer", team="elsewhere"))
    with pytest.raises(NotFound):
        ModelRegistry().get_model("fraud_detection")
    assert ModelRegistry().list_models() == []


def test_a_config_of_any_kind_becomes_plain() -> None:
    @dataclass
    class Config:
        depth: Any
        seed: Any = None

    assert plain(Config(np.int64(3), (1, 2))) == {"depth": 3, "seed": [1, 2]}
    assert plain(None) == {}
    assert plain({"missing": float("nan"), 3: {"inner": {1}}}) == {"missing": "nan", "3": {"inner": "{1}"}}


SCRIPT = """
import asyncio, sys
from registry.model_registry import ModelRegistry, ModelStage
from sklearn.linear_model import LogisticRegression

def cell():
    registry = ModelRegistry()
    model = LogisticRegression().fit([[0.0], [1.0], [2.0], [3.0]], [0, 0, 1, 1])
    found = registry.register_model(
        model_name="fraud_detection", model_obj=model, config={"C": 1.0}, metrics={"f1_score": 0.8}
    )
    done = registry.promote_model(
        model_name="fraud_detection", version=found.version, target_stage=ModelStage.PRODUCTION
    )
    print(found, done.status, registry.list_models()[0].team)

async def notebook():
    cell()

asyncio.run(notebook()) if sys.argv[1] == "loop" else cell()
"""


@pytest.mark.parametrize("place", ["plain", "loop"])
def test_the_example_runs_in_a_fresh_process_without_set_up(place: str, tmp_path: Path) -> None:
    root = Path(__file__).resolve().parents[2]
    if place == "loop":  # the other one's home is empty: the site migrates it by itself
        template.put_into(tmp_path)
    dropped = ("DJANGO_SETTINGS_MODULE", "DATABASE_URL", "REDIS_URL", "STEWARD_TOKEN")
    env = {name: value for name, value in os.environ.items() if name not in dropped} | {"STEWARD_HOME": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, place], cwd=root, env=env, capture_output=True, text=True, check=False
    )
    assert done.stdout == "fraud_detection 1.0.0 pending_approval local\n", done.stderr


def test_a_version_is_loaded_as_what_was_registered(act_as: Any, pipeline: Any, approver: Actor) -> None:
    registry = ModelRegistry()
    made = register(pipeline)
    loaded = registry.load("fraud_detection", made.version)
    frame = FRAME.fillna({"plan": ""})
    np.testing.assert_array_equal(loaded.predict_proba(frame), pipeline.predict_proba(frame))
    with pytest.raises(Conflict) as caught:
        registry.load("fraud_detection")
    assert caught.value.code == "no_production_version"
    with pytest.raises(NotFound):
        registry.load("fraud_detection", "9.9.9")
    asked = registry.promote_model(model_name="fraud_detection", version=made.version, target_stage="production")
    assert asked.request is not None
    services.review_request(asked.request, actor=approver, decision="approve")
    assert type(registry.load("fraud_detection")) is type(pipeline)


class TestHoldout:
    """What a model answered to rows that it was not trained on, given in a notebook."""

    def rows(self, count: int = 300) -> pd.DataFrame:
        random = np.random.default_rng(5)
        return pd.DataFrame({"age": random.normal(50, 10, count), "visits": random.poisson(3, count).astype(float)})

    def test_of_two_classes_performance_can_be_estimated(self, act_as: Any) -> None:
        frame = self.rows(600)
        truth = np.where(frame["age"] + np.random.default_rng(6).normal(0, 5, 600) > 50, "high", "low")
        model = LogisticRegression().fit(frame[:300], truth[:300])
        found = register(model, sample=frame[:300], holdout=(frame[300:], truth[300:]))
        version = Version.objects.get()
        kept = HeldOut.from_bytes(bytes(version.held_out or b""))
        assert int(kept.rows.sum()) == 300
        side = side_of(version)
        assert side is not None
        stored = rows_of(side)
        place = list(model.classes_).index(found.signature["positive_class"])
        assert stored["score"].tolist() == model.predict_proba(frame[300:])[:, place].tolist()
        assert stored["row_key"].is_unique
        again = register(
            model, sample=frame[:300], holdout=(frame[300:].iloc[::-1], truth[300:][::-1]), config={"C": 2}
        )
        other = side_of(Version.objects.get(minor=1))
        assert other is not None
        assert set(rows_of(other)["row_key"]) == set(stored["row_key"])  # the same rows, in another order
        assert again.version == "1.1.0"

    @pytest.mark.parametrize("count", [2, 4])
    def test_of_values_and_of_many_classes_too(self, act_as: Any, count: int) -> None:
        frame = self.rows(600)
        truth: Any = frame["age"] * 2 if count == 2 else pd.cut(frame["age"], 3, labels=["a", "b", "c"]).astype(str)
        model = (RandomForestRegressor if count == 2 else RandomForestClassifier)(5, random_state=0, max_depth=3)
        register(model.fit(frame[:300], truth[:300]), sample=frame[:300], holdout=(frame[300:], truth[300:]))
        version = Version.objects.get()
        assert Losses.from_bytes(bytes(version.held_out or b"")).rows == 300
        side = side_of(version)
        assert side is not None
        assert rows_of(side)["prediction"].tolist() == model.predict(frame[300:]).tolist()

    def test_answers_are_taken_as_they_are(self, act_as: Any) -> None:
        frame = self.rows()
        model = LogisticRegression().fit(frame, frame["age"] > 50)
        answers = pd.DataFrame({"label": frame["age"] > 50, "score": model.predict_proba(frame)[:, 1]})
        register(model, sample=frame, holdout=answers)
        assert HeldOut.from_bytes(bytes(Version.objects.get().held_out or b"")).rows.sum() == 300

    @pytest.mark.parametrize(
        ("holdout", "said"),
        [
            (lambda f: (f, [1]), "a label a row but has 1 for 300"),
            (lambda f: (f[["age"]], f["age"] > 50), "lacks visits"),
            (lambda f: (f, f["age"] > 50, 3), "got a tuple of 3"),
            (lambda f: 5, "but got int"),
            (lambda f: [1, 2], "but got list"),
            (lambda f: [{"label": True}], "holdout.0 must have label, score"),
            (lambda f: (f, ["perhaps"] * 300), "holdout.0 must have a label of"),
        ],
    )
    def test_what_does_not_fit_is_refused(self, act_as: Any, holdout: Any, said: str) -> None:
        frame = self.rows()
        model = LogisticRegression().fit(frame, frame["age"] > 50)
        with pytest.raises(Invalid, match=re.escape(said)) as raised:
            register(model, sample=frame, holdout=holdout(frame))
        assert raised.value.code == "bad_holdout"

    def test_a_sample_tells_how_its_numbers_move_together(self, act_as: Any) -> None:
        frame = self.rows()
        register(LogisticRegression().fit(frame, frame["age"] > 50), sample=frame)
        assert Version.objects.get().facts["correlations"]["counts"] == [300]
