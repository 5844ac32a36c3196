"""From a training set to a version that reads what it was trained on."""

from __future__ import annotations

from collections.abc import Callable

from mlops_site.core.permissions import Actor
from tests.training.claims import claims
from tests.training.features import day, feature_set, row
from training.models import DatasetVersion, FeatureUse, Run
from training.selectors.features import plan_of
from training.services import build_training_set, load_feature_values
from training.services.training_sets import Labels


def test_a_run_on_a_training_set_registers_what_its_version_reads(
    train: Callable[..., Run], upload: Callable[..., DatasetVersion], scientist: Actor
) -> None:
    frame = claims()
    history = feature_set(scientist, columns=[{"name": "visits", "kind": "number"}], freshness_secs=None)
    known = frame.drop_duplicates("person").fillna({"visits": 0.0})
    rows = [
        row(str(unit), day(1), {"visits": visits}, ingested_at=day(2))
        for unit, visits in zip(known["person"], known["visits"], strict=True)
    ]
    load_feature_values(history, actor=scientist, rows=rows)
    labels = upload(frame.drop(columns=["visits", "dollars"]).assign(asked_at="2026-02-01T00:00:00Z"), name="asked")
    about = Labels(labels, "person", "asked_at")
    made = build_training_set(actor=scientist, name="joined", labels=about, feature_sets=[str(history)])
    version = train(made, features=["age", "visits"]).version
    assert version is not None
    assert version.lineage["feature_sets"] == ["claim_history@1"]
    assert [each.feature_set for each in FeatureUse.objects.filter(version=version)] == [history]
    assert [(each.reference, each.columns) for each in plan_of(version.pk)] == [("claim_history@1", ("visits",))]
