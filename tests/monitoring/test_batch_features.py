"""Columns that a file lacks, read from the feature sets of the version."""

from __future__ import annotations

from datetime import datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from mlops_site.core.models import AuditRecord
from mlops_site.core.permissions import Actor
from monitoring.models import BatchRun, Completion, Prediction
from monitoring.selectors.periods import period
from monitoring.selectors.skew import skew
from monitoring.services import batches
from registry import services
from registry.artifacts.scorer import load
from registry.models import Version
from tests.monitoring.test_batches import asked, csv, executed, parquet, result, send
from tests.people import actor
from tests.registry.parts import into_production, user
from tests.training.features import feature_set, known
from training.models import FeatureSetVersion

pytestmark = pytest.mark.django_db
VISITS = [{"name": "visits", "kind": "number"}, {"name": "unused", "kind": "category"}]


@pytest.fixture
def history(author: Actor) -> FeatureSetVersion:
    found = feature_set(author, columns=VISITS)
    for unit, visits, days in (("p0", 0, 1), ("p1", 3, 1), ("p2", 9, 31), ("p3", None, 1)):
        known(found, author, unit, {"visits": visits, "unused": None}, days_ago=days)
    return found


@pytest.fixture
def served(author: Actor, history: FeatureSetVersion) -> Version:
    """1.0.0, which reads claim_history@1 for `visits`."""
    model = services.create_model(actor=author, name="high_cost", task_type="classification")
    approver = actor("approver", "approver")
    return into_production(model, author=author, approver=approver, seed=0, feature_sets=(str(history),))


def people(*units: str) -> pd.DataFrame:
    return pd.DataFrame({"person": units, "age": [50.0 + at for at in range(len(units))]})


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_a_file_that_lacks_what_is_known_is_scored(author: Actor, served: Version, kind: str) -> None:
    frame = people("p0", "p1", "p2", "p3", "nobody", "")
    content = csv(frame) if kind == "csv" else parquet(frame)
    run = executed(asked(author, content, name=f"claims.{kind}", id_column="person"))
    found = result(run)
    scorer = load(served.artifact.digest, served.artifact.format, served.signature)
    expected = scorer.score(scorer.check_rows([{"age": 50, "visits": 0}, {"age": 51, "visits": 3}])).score
    assert expected is not None
    assert found["score"][:2].tolist() == pytest.approx(expected.tolist(), rel=1e-12)
    codes = [None if pd.isna(code) else code for code in found["error_code"]]
    assert codes == [None, None, "missing", "null", "missing", "missing"]
    assert set(found["error_field"][2:]) == {"visits"}
    for at, said in (
        (2, "claim_history@1 has only a stale value, of 20"),
        (4, "claim_history@1 knows nothing of 'nobody'"),
        (5, "no id to read it from claim_history@1"),
    ):
        assert said in found["error_message"][at]


def test_what_was_read_is_kept_with_each_prediction(author: Actor, served: Version, history: FeatureSetVersion) -> None:
    run = asked(author, csv(people("p0", "nobody", "p1")), id_column="person")
    known(history, author, "p1", {"visits": 40, "unused": None}, days_ago=0.5)  # after it was asked for
    executed(run)
    rows = Prediction.objects.order_by("unit_id")
    assert [(row.unit_id, row.features["visits"]) for row in rows] == [("p0", 0.0), ("p1", 3.0)]
    assert {each.as_of for each in Completion.objects.all()} == {run.created_at}
    told = rows[1].completion.features["visits"]
    assert told["feature_set"] == "claim_history@1"
    assert datetime.fromisoformat(told["event_at"]) < run.created_at - timedelta(hours=20)
    (feature,) = (each for each in skew(served, period(), actor=author).features if each.feature == "visits")
    assert (feature.completed, feature.compared, feature.different, feature.late) == (2, 2, 0, 1)
    asked_for = AuditRecord.objects.get(action="batch.requested").data
    assert asked_for["read"] == {"visits": "claim_history@1"}


def test_a_column_that_is_there_is_what_was_sent(author: Actor, served: Version) -> None:
    run = executed(asked(author, csv(people("p1", "p1").assign(visits=[8, np.nan])), id_column="person"))
    assert Prediction.objects.get().features["visits"] == 8
    assert not Completion.objects.exists()
    assert result(run)["error_code"][1] == "null"


def test_every_piece_and_every_attempt_reads_the_same(
    author: Actor, served: Version, history: FeatureSetVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batches, "LOGGED_CHUNK_ROWS", 2)
    run = asked(author, csv(people("p1", "p0", "p1", "p0", "p1")), id_column="person")
    BatchRun.objects.filter(pk=run.pk).update(created_at=timezone.now())
    known(history, author, "p1", {"visits": 40, "unused": None}, days_ago=0)
    executed(run)
    assert sorted(row.features["visits"] for row in Prediction.objects.all()) == [0, 0, 3, 3, 3]


def test_without_a_column_of_units_the_file_is_refused(author: Actor, served: Version) -> None:
    status, problem = send(author, csv(people("p1")))
    assert (status, problem["code"]) == (422, "missing_columns")
    (error,) = problem["errors"]
    assert error["field"] == "file.visits"
    assert "id_column must name the column of units to read it from claim_history@1" in error["message"]
    status, problem = send(author, csv(people("p1")[["person"]]), id_column="person")
    assert (status, [each["field"] for each in problem["errors"]]) == (422, ["file.age"])


def test_its_page_says_where_columns_came_from(author: Actor, served: Version) -> None:
    run = executed(asked(author, csv(people("p1")), id_column="person"))
    client = Client()
    client.force_login(user(author), backend="django.contrib.auth.backends.ModelBackend")
    assert 'href="/features/claim_history@1"' in client.get(reverse("batch", args=[run.pk])).content.decode()
