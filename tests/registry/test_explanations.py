"""What a version looks at: computed once at its registration, kept with it, told again later."""

from __future__ import annotations

import io
from typing import Any

import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression

from mlops_site.core import store
from mlops_site.core.permissions import Actor
from registry import selectors, services
from registry.artifacts.formats import dump_skops
from registry.models import RegisteredModel, Version
from registry.services.estimators import candidate_of
from tests.kept import kept_fixture
from tests.registry.parts import candidate, claims

pytestmark = pytest.mark.django_db


def fitted(frame: pd.DataFrame) -> Any:
    return LogisticRegression().fit(frame, (frame["age"] + 2 * frame["visits"] > 56).astype(int))


@kept_fixture
def version(model: RegisteredModel, author: Actor) -> Version:
    frame = claims()
    made = services.register_version(model, actor=author, candidate=candidate_of(fitted(frame), sample=frame))
    return Version.objects.get(pk=made.pk)


def test_a_registered_estimator_keeps_what_it_looks_at(version: Version) -> None:
    said = version.explanation
    assert (said["method"], said["output_space"], said["explained"]) == ("linear", "log_odds", 1)
    assert said["background"] == {"digest": version.background_id, "rows": 100}
    assert said["rows"] == 100
    assert said["largest_residual"] < 1e-9
    assert [row["feature"] for row in said["features"]] == ["age", "visits"]
    assert version.attributions is not None
    contributions = pd.read_parquet(io.BytesIO(store.read(version.attributions.digest)))
    assert len(contributions) == 100
    for row in said["features"]:
        low, high = row["ci95"]
        assert low < row["mean_abs"] < high
        assert row["mean_abs"] == pytest.approx(contributions[row["feature"]].abs().mean())


def test_the_background_has_the_inputs_and_nothing_else(model: RegisteredModel, author: Actor) -> None:
    frame = claims()
    sample = frame.assign(name="somebody", outcome=1)
    made = services.register_version(model, actor=author, candidate=candidate_of(fitted(frame), sample=sample))
    assert made.background is not None
    rows = pd.read_parquet(io.BytesIO(store.read(made.background.digest)))
    assert list(rows.columns) == ["age", "visits"]
    assert len(rows) == 100


def test_the_same_content_is_told_the_same_and_is_the_same_version(version: Version, author: Actor) -> None:
    frame = claims()
    again = candidate_of(fitted(frame), sample=frame)
    assert again.explanation["digest"] == version.explanation["digest"]
    assert services.register_version(version.model, actor=author, candidate=again) == version


def test_an_upload_with_reference_rows_is_explained_too(model: RegisteredModel, author: Actor) -> None:
    frame = claims()
    rows: list[dict[str, Any]] = [{str(k): v for k, v in row.items()} for row in frame.to_dict("records")]
    made = services.upload_version(model, actor=author, content=dump_skops(fitted(frame)), reference=rows)
    assert made.explanation["background"]["rows"] == 100
    bare = services.upload_version(model, actor=author, content=dump_skops(fitted(claims(seed=3))))
    assert (bare.explanation, bare.background) == ({}, None)


def test_the_summary_is_the_part_that_evidence_wants(version: Version, author: Actor) -> None:
    found = selectors.explanation_summary(version.explanation, top=1)
    assert found is not None
    assert [row["feature"] for row in found["features"]] == ["age"]
    assert (found["method"], found["output_space"], found["rows"]) == ("linear", "log_odds", 100)
    assert found["background"]["digest"] == version.background_id
    assert len(found["digest"]) == 64
    assert selectors.explanation_summary(candidate().explanation) is None
