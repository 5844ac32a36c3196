"""Training sets: what was known at the label's time, and nothing that came later."""

from __future__ import annotations

import io
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd
import pytest
from django.db import DatabaseError, transaction
from django.utils import timezone

from mlops_site.core import store
from mlops_site.core.errors import Forbidden, Invalid, TooLarge
from mlops_site.core.permissions import Actor
from registry.models import RegisteredModel
from tests.kept import kept_fixture
from tests.people import actor
from tests.training.features import day, feature_set, row
from training.models import DatasetVersion, FeatureSetVersion, FeatureUse
from training.services import build_training_set, load_feature_values, request_run
from training.services.training_sets import Labels

ROWS = 60


@kept_fixture
def history(scientist: Actor) -> FeatureSetVersion:
    """Person n has n visits from the 1st on; person 3's were corrected to 30 on the 20th, and 5's arrived that day."""
    found = feature_set(scientist)
    rows = [
        row(str(n), day(1), {"visits": n, "plan": "free" if n % 2 else None}, ingested_at=day(20 if n == 5 else 2))
        for n in range(10)
    ]
    late = row("3", day(1), {"visits": 30, "plan": None}, ingested_at=day(20))
    load_feature_values(found, actor=scientist, rows=[*rows, late])
    return found


@pytest.fixture
def labels(upload: Callable[..., DatasetVersion]) -> DatasetVersion:
    """Each of ten persons on the 1st, 2nd, 10th, 19th, 20th and 31st of January, at noon."""
    times = [f"2026-01-{n:02d}T12:00:00Z" for n in (1, 2, 10, 19, 20, 31)]
    frame = pd.DataFrame(
        {
            "person": np.tile(np.arange(10), 6),
            "asked_at": np.repeat(times, 10),
            "age": np.arange(ROWS) + 20.5,
            "high_cost": np.arange(ROWS) % 2,
        }
    )
    return upload(frame, name="asked", time_column="asked_at", pii=["age"])


def build(who: Actor, labels: DatasetVersion, *sets: Any, **changes: Any) -> DatasetVersion:
    about = {"unit_column": "person", "time_column": "asked_at", **changes.pop("about", {})}
    return build_training_set(
        actor=who, name="joined", labels=Labels(labels, **about), feature_sets=[str(each) for each in sets], **changes
    )


def table(version: DatasetVersion) -> pd.DataFrame:
    return pd.read_parquet(io.BytesIO(store.read(version.digest)))


def visits(version: DatasetVersion, person: int) -> list[float]:
    frame = table(version)
    found: list[float] = frame.loc[frame["person"] == person, "visits"].tolist()
    return found


def test_a_row_gets_what_was_known_at_its_time(
    scientist: Actor, labels: DatasetVersion, history: FeatureSetVersion
) -> None:
    made = build(scientist, labels, history)
    nan = float("nan")
    for person, known in {
        4: [nan, 4, 4, 4, 4, 4],  # ingested on the 2nd, and 30 days old on the 31st: still fresh
        3: [nan, 3, 3, 3, 30, 30],  # the correction does not leak into what was asked before it
        5: [nan, nan, nan, nan, 5, 5],  # nor does a value that arrived late
    }.items():
        np.testing.assert_array_equal(visits(made, person), known)
    frame = table(made)
    assert list(frame.columns) == ["person", "asked_at", "age", "high_cost", "visits", "plan"]
    assert (made.rows, made.target, made.group_column, made.time_column) == (ROWS, "high_cost", "person", "asked_at")
    assert made.pii == ["age", "plan"]
    assert frame.loc[(frame["person"] == 7) & (frame["asked_at"] > "2026-01-19"), "plan"].tolist() == ["free"] * 3


def test_a_stale_value_is_none(scientist: Actor, labels: DatasetVersion, history: FeatureSetVersion) -> None:
    short = feature_set(scientist, freshness_secs=9 * 86_400)
    load_feature_values(
        short, actor=scientist, rows=[row("4", day(1), {"visits": 4, "plan": None}, ingested_at=day(1))]
    )
    np.testing.assert_array_equal(visits(build(scientist, labels, short), 4), [4, 4, 4] + [float("nan")] * 3)


def test_where_it_came_from_is_kept(scientist: Actor, labels: DatasetVersion, history: FeatureSetVersion) -> None:
    made = build(scientist, labels, history)
    said = made.lineage
    assert said["feature_sets"] == ["claim_history@1"]
    assert (said["labels_of"], said["labels_digest"]) == ("asked@1", labels.digest)
    assert datetime.fromisoformat(said["cutoff"]) <= timezone.now()
    assert [use.feature_set for use in FeatureUse.objects.filter(dataset=made)] == [history]
    with pytest.raises(DatabaseError, match="append-only"), transaction.atomic():
        FeatureUse.objects.all().delete()


def test_with_its_cutoff_it_is_made_again(scientist: Actor, labels: DatasetVersion, history: FeatureSetVersion) -> None:
    first = build(scientist, labels, history)
    known = row("4", day(3), {"visits": 40, "plan": None}, ingested_at=day(3))  # history that is loaded afterwards
    load_feature_values(history, actor=scientist, rows=[known])
    again = build(scientist, labels, history, cutoff=datetime.fromisoformat(first.lineage["cutoff"]))
    assert again == first
    later = build(scientist, labels, history)
    assert later != first
    np.testing.assert_array_equal(visits(later, 4), [float("nan"), 4, 40, 40, 40, 40])


def test_a_run_on_it_says_what_its_version_will_read(
    scientist: Actor, labels: DatasetVersion, history: FeatureSetVersion, model: RegisteredModel
) -> None:
    made = build(scientist, labels, history)
    asked: dict[str, Any] = {"actor": scientist, "dataset": str(made), "model_name": model.name}
    assert request_run(**asked).spec["feature_sets"] == ["claim_history@1"]
    assert "feature_sets" not in request_run(**asked, features=["age"]).spec
    assert "feature_sets" not in request_run(**asked, feature_sets=[]).spec
    assert "feature_sets" not in request_run(**{**asked, "dataset": str(labels)}, features=["age"]).spec
    with pytest.raises(Invalid) as caught:
        request_run(**asked, features=["age"], feature_sets=["claim_history@1"])
    assert caught.value.errors[0].code == "unused_feature_set"


@pytest.mark.parametrize(
    ("changes", "field", "code"),
    [
        ({"about": {"unit_column": "nobody"}}, "unit_column", "unknown_column"),
        ({"about": {"time_column": "nothing"}}, "time_column", "unknown_column"),
        ({"about": {"time_column": "age"}}, "time_column", "bad_time"),
        ({"about": {"zone": "Mars"}}, "zone", "unknown_zone"),
        ({"cutoff": timezone.now() + timedelta(days=1)}, "cutoff", "in_future"),
    ],
)
def test_what_is_wrong_is_named(
    scientist: Actor,
    labels: DatasetVersion,
    history: FeatureSetVersion,
    changes: dict[str, Any],
    field: str,
    code: str,
) -> None:
    with pytest.raises(Invalid) as caught:
        build(scientist, labels, history, **changes)
    assert (field, code) in [(error.field, error.code) for error in caught.value.errors]


def test_sets_that_do_not_go_together(scientist: Actor, labels: DatasetVersion, history: FeatureSetVersion) -> None:
    twin = feature_set(scientist, name="twin")
    age = feature_set(scientist, name="ages", columns=[{"name": "age", "kind": "number"}])
    office = feature_set(scientist, name="office", entity="office", columns=[{"name": "cost", "kind": "number"}])
    for sets, code, said in (
        ([history, twin], "ambiguous_feature", "claim_history@1 and twin@1 both have visits"),
        ([age], "ambiguous_feature", "asked@1 and ages@1 both have age"),
        ([history, office], "different_entities", "office@1 is of office"),
        ([], "required", "at least one"),
        (["claim_history"], "malformed", "claim_history@2"),
    ):
        with pytest.raises(Invalid) as caught:
            build(scientist, labels, *sets)
        assert caught.value.code == code
        assert said in caught.value.detail


def test_times_without_a_zone_need_one(
    scientist: Actor, upload: Callable[..., DatasetVersion], history: FeatureSetVersion
) -> None:
    frame = pd.DataFrame({"person": [4] * ROWS, "asked_at": ["2026-01-10"] * ROWS, "high_cost": [0, 1] * 30})
    naive = upload(frame.assign(n=range(ROWS)), name="naive", time_column="", group_column="")
    with pytest.raises(Invalid, match="must hold times with their zone"):
        build(scientist, naive, history)
    assert set(visits(build(scientist, naive, history, about={"zone": "Europe/Paris"}), 4)) == {4.0}


def test_who_may_and_how_much(
    scientist: Actor, labels: DatasetVersion, history: FeatureSetVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(Forbidden):
        build(actor("vera", "viewer"), labels, history)
    monkeypatch.setattr("training.services.feature_tables.MAX_ROWS", ROWS - 1)
    with pytest.raises(TooLarge):
        build(scientist, labels, history)
