"""One behaviour for both engines: the same rows, the same answers; and the pre-flight of a version."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
from django.conf import LazySettings
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LinearRegression, RidgeClassifier
from sklearn.pipeline import Pipeline

from mlops_site.core import store
from mlops_site.core.errors import Invalid, NotFound
from registry.artifacts.engines import Scorer, SklearnScorer, open_scorer
from registry.artifacts.formats import dump_skops
from registry.artifacts.graphs import to_onnx
from registry.artifacts.scorer import cached, golden, load, preflight
from registry.artifacts.signature import Input, Signature

Fitted = Callable[[str, str], Pipeline]
ROOT = Path(__file__).parents[3]
CONVERTIBLE = {"binary": "random_forest", "many": "gradient_boosting", "value": "linear_regression"}


class File(NamedTuple):
    digest: str
    format: str


class Version(NamedTuple):
    artifact: File
    serving: File | None
    signature: dict[str, Any]
    golden: list[dict[str, Any]]


@pytest.fixture
def artifacts(settings: LazySettings, tmp_path: Path) -> Path:
    options = {"location": str(tmp_path), "file_permissions_mode": 0o600}
    files = {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": options}
    settings.STORAGES = {**settings.STORAGES, "artifacts": files}
    return tmp_path


@pytest.fixture(params=["onnx", "skops"])
def opened(request: pytest.FixtureRequest, fitted: Fitted, signatures: dict[str, Signature]) -> Callable[[str], Scorer]:
    """The scorer of a target in either format."""

    def scorer(target: str) -> Scorer:
        return open_scorer(packed(fitted, signatures, target, request.param), request.param, signatures[target])

    return scorer


def packed(fitted: Fitted, signatures: dict[str, Signature], target: str, form: str) -> bytes:
    pipeline = fitted(CONVERTIBLE[target], target)
    if form == "skops":
        return dump_skops(pipeline)
    graph = to_onnx(pipeline, signatures[target].kinds).graph
    assert graph is not None
    return graph


@pytest.fixture
def version(artifacts: Path, fitted: Fitted, signatures: dict[str, Signature], rows: list[dict[str, Any]]) -> Version:
    files = [
        File(store.put(packed(fitted, signatures, "binary", form), max_bytes=1 << 30).digest, form)
        for form in ("skops", "onnx")
    ]
    answers = golden(load(files[0].digest, "skops", signatures["binary"]), rows)
    return Version(files[0], files[1], signatures["binary"].to_json(), answers)


def test_binary(opened: Callable[[str], Scorer], fitted: Fitted, frame: pd.DataFrame) -> None:
    scores = opened("binary").score(frame)
    pipeline = fitted("random_forest", "binary")
    assert scores.score is not None
    np.testing.assert_allclose(scores.score, pipeline.predict_proba(frame)[:, 1], atol=1e-6)
    np.testing.assert_array_equal(scores.prediction, pipeline.predict(frame))


def test_the_score_is_of_the_positive_class(
    fitted: Fitted, signatures: dict[str, Signature], frame: pd.DataFrame
) -> None:
    zero = Signature(signatures["binary"].inputs, "classification", (0, 1), 0)
    for form in ("onnx", "skops"):
        scores = open_scorer(packed(fitted, signatures, "binary", form), form, zero).score(frame)
        assert scores.score is not None
        expected = fitted("random_forest", "binary").predict_proba(frame)[:, 0]
        np.testing.assert_allclose(scores.score, expected, atol=1e-6)


def test_many_classes(opened: Callable[[str], Scorer], fitted: Fitted, frame: pd.DataFrame) -> None:
    scores = opened("many").score(frame)
    pipeline = fitted("gradient_boosting", "many")
    assert scores.score is not None
    np.testing.assert_allclose(scores.score, pipeline.predict_proba(frame).max(axis=1), atol=1e-6)
    np.testing.assert_array_equal(scores.prediction, pipeline.predict(frame))


def test_regression(opened: Callable[[str], Scorer], fitted: Fitted, frame: pd.DataFrame) -> None:
    scores = opened("value").score(frame)
    expected = fitted("linear_regression", "value").predict(frame)
    assert scores.score is None
    np.testing.assert_allclose(scores.prediction, expected, atol=np.abs(expected).max() * 1e-6)


def test_one_row_answers_what_the_batch_does(opened: Callable[[str], Scorer], rows: list[dict[str, Any]]) -> None:
    scorer = opened("binary")
    batch = scorer.score(scorer.check_rows(rows))
    assert batch.score is not None
    for index in (0, 9, 17):
        one = scorer.score(scorer.check_rows([rows[index]]))
        assert one.score is not None
        assert one.score.shape == (1,)
        assert one.score[0] == pytest.approx(batch.score[index], abs=1e-7)


@pytest.mark.parametrize(
    "change",
    [
        lambda s: Signature(s.inputs[1:], s.task_type, s.classes, s.positive_class),
        lambda s: Signature((*s.inputs, Input("more", "number")), s.task_type, s.classes, s.positive_class),
        lambda s: Signature((Input("other", "number"), *s.inputs[1:]), s.task_type, s.classes, s.positive_class),
        lambda s: Signature(s.inputs, s.task_type, (0, 1, 2)),
        lambda s: Signature(s.inputs, s.task_type, (1, 0), 1),
    ],
    ids=["fewer inputs", "more inputs", "other name", "more classes", "other order"],
)
def test_a_signature_that_does_not_fit_is_refused(
    fitted: Fitted, signatures: dict[str, Signature], change: Callable[[Signature], Signature]
) -> None:
    for form in ("onnx", "skops"):
        with pytest.raises(Invalid) as raised:
            open_scorer(packed(fitted, signatures, "binary", form), form, change(signatures["binary"]))
        assert raised.value.code == "signature_mismatch"


def test_a_classifier_without_probabilities_is_refused(frame: pd.DataFrame, targets: dict[str, Any]) -> None:
    model = RidgeClassifier().fit(frame[["n0", "n1"]], targets["binary"])
    signature = Signature((Input("n0", "number"), Input("n1", "number")), "classification", (0, 1), 1)
    with pytest.raises(Invalid, match="predict_proba"):
        SklearnScorer(model, signature)


def test_a_model_fitted_without_names_takes_the_signatures_order(frame: pd.DataFrame, targets: dict[str, Any]) -> None:
    model = RandomForestClassifier(5, random_state=0).fit(frame[["n0", "n1"]].to_numpy(), targets["binary"])
    signature = Signature((Input("n0", "number"), Input("n1", "number")), "classification", (0, 1), 1)
    scores = SklearnScorer(model, signature).score(frame[["n0", "n1"]])
    np.testing.assert_array_equal(scores.score, model.predict_proba(frame[["n0", "n1"]].to_numpy())[:, 1])


def test_an_answer_that_is_not_finite_is_refused(frame: pd.DataFrame, targets: dict[str, Any]) -> None:
    model = LinearRegression().fit(frame[["n0"]], targets["value"])
    scorer = SklearnScorer(model, Signature((Input("n0", "number"),), "regression"))
    model.coef_[0] = 1e308
    with pytest.raises(Invalid, match="no finite number"), np.errstate(all="ignore"):
        scorer.score(scorer.check_rows([{"n0": 1e38}]))


def test_the_cache_loads_once(version: Version, artifacts: Path) -> None:
    digest = version.artifact.digest
    first = cached(digest, "skops", version.signature, key=1)
    (artifacts / digest[:2] / digest).unlink()
    assert cached(digest, "skops", version.signature, key=1) is first
    with pytest.raises(NotFound):
        cached(digest, "skops", version.signature, key=2)


def test_a_damaged_artifact_is_refused_at_load(version: Version, artifacts: Path) -> None:
    path = artifacts / version.artifact.digest[:2] / version.artifact.digest
    content = bytearray(path.read_bytes())
    for position in range(0, len(content), len(content) // 15):
        content[position] ^= 1
        path.write_bytes(content)
        with pytest.raises(store.ArtifactDamaged, match=version.artifact.digest):
            load(version.artifact.digest, "skops", version.signature)
        content[position] ^= 1


def test_a_sound_version_passes_its_preflight(version: Version) -> None:
    assert preflight(version) == []


def test_the_preflight_names_every_failure(version: Version, artifacts: Path) -> None:
    wrong = [{**row, "score": row["score"] + 0.01} for row in version.golden]
    failures = preflight(version._replace(golden=wrong))
    assert [failure.split(":")[0].split()[0] for failure in failures] == ["skops", "onnx"]
    assert f"{len(wrong)} of {len(wrong)} golden rows differ" in failures[0]
    path = artifacts / version.artifact.digest[:2] / version.artifact.digest
    path.write_bytes(b"x" + path.read_bytes()[1:])
    assert version.serving is not None
    absent = version._replace(serving=version.serving._replace(digest="0" * 64))
    damaged, missing = preflight(absent)
    assert version.artifact.digest in damaged
    assert "no artifact is stored" in missing


def test_the_preflight_of_a_regression(
    artifacts: Path, fitted: Fitted, signatures: dict[str, Signature], rows: list[dict[str, Any]]
) -> None:
    digest = store.put(packed(fitted, signatures, "value", "skops"), max_bytes=1 << 30).digest
    answers = golden(load(digest, "skops", signatures["value"]), rows)
    graph = store.put(packed(fitted, signatures, "value", "onnx"), max_bytes=1 << 30).digest
    version = Version(File(digest, "skops"), File(graph, "onnx"), signatures["value"].to_json(), answers)
    assert preflight(version) == []
    off = [{**row, "prediction": row["prediction"] * 1.01} for row in answers]
    assert len(preflight(version._replace(golden=off))) == 2


def test_serving_onnx_imports_neither_scikit_learn_nor_pandas() -> None:
    code = (
        "import sys; import registry.artifacts.engines, registry.artifacts.schema, mlops_site.core.errors;"
        "print([name for name in ('sklearn', 'pandas', 'skops', 'scipy', 'onnx', 'skl2onnx') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
