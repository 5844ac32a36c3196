"""The operator's additions to the trust list: what is added loads, and is on record; nothing else is."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import skops.io
from django.conf import LazySettings
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from sklearn.cross_decomposition import PLSRegression

from mlops_site.core.errors import Invalid
from mlops_site.core.models import AuditRecord
from mlops_site.core.permissions import Actor
from registry import services
from registry.artifacts.formats import dump_skops, load_skops
from registry.artifacts.inspection import inspect_upload
from registry.artifacts.risks import check_operator_types, risks
from registry.artifacts.scorer import load, preflight
from registry.artifacts.trust import TRUSTED
from registry.models import RegisteredModel, Version
from registry.services.estimators import candidate_of
from tests.kept import kept_fixture
from tests.registry.hostile.archives import planted
from tests.registry.http import Person
from tests.registry.parts import artifact

ADDED = "sklearn.cross_decomposition._pls.PLSRegression"


@functools.cache
def estimator() -> Any:
    chance = np.random.default_rng(5)
    rows = pd.DataFrame({"age": chance.normal(50, 10, 80), "visits": chance.poisson(3, 80).astype(float)})
    return PLSRegression(n_components=1).fit(rows, rows["age"] * 3)


def content() -> bytes:
    return bytes(skops.io.dumps(estimator()))


@kept_fixture
def model(author: Actor) -> RegisteredModel:
    return services.create_model(actor=author, name="claims", task_type="regression")


@pytest.fixture
def added(settings: LazySettings) -> LazySettings:
    settings.TRUSTED_TYPES = (ADDED,)
    return settings


def test_what_nobody_added_is_refused_by_name(model: RegisteredModel, engineer: Person) -> None:
    status, problem = engineer.upload(content())
    assert (status, problem["code"]) == (422, "untrusted_type")
    assert ADDED in problem["detail"]
    with pytest.raises(Invalid, match="PLSRegression"):
        dump_skops(estimator())


def test_what_was_added_is_taken_and_on_record(model: RegisteredModel, engineer: Person, added: LazySettings) -> None:
    assert inspect_upload(content()).operator_types == [ADDED]
    status, made = engineer.upload(content())
    assert status == 201, made
    assert made["lineage"] == {"operator_types": [ADDED]}
    assert engineer.get("/models/claims/1.0.0")[1]["lineage"] == {"operator_types": [ADDED]}
    record = AuditRecord.objects.get(action="version.registered")
    assert f'"operator_types":["{ADDED}"]' in record.body.replace(" ", "")
    assert preflight(Version.objects.get()) == []


def test_what_needs_no_addition_says_of_none(author: Actor, engineer: Person, added: LazySettings) -> None:
    services.create_model(actor=author, name="claims", task_type="classification")
    assert inspect_upload(artifact()).operator_types == []
    assert engineer.upload(artifact())[1]["lineage"] == {}
    assert "operator_types" not in AuditRecord.objects.get(action="version.registered").body


def test_an_estimator_of_a_notebook_is_on_record_too(
    model: RegisteredModel, author: Actor, added: LazySettings
) -> None:
    version = services.register_version(model, actor=author, candidate=candidate_of(estimator()))
    assert version.lineage["operator_types"] == [ADDED]


def test_what_is_taken_off_again_serves_no_more(model: RegisteredModel, engineer: Person, added: LazySettings) -> None:
    engineer.upload(content())
    added.TRUSTED_TYPES = ()
    version = Version.objects.get()
    with pytest.raises(Invalid) as raised:
        load(version.artifact_id, "skops", version.signature)
    assert raised.value.code == "untrusted_type"
    assert "PLSRegression" in preflight(version)[0]


@pytest.mark.parametrize(
    "loader", ["NdArrayNode", "RandomStateNode", "FunctionNode", "TupleNode", "MethodNode", "DTypeNode"]
)
def test_a_file_cannot_have_an_added_type_called(loader: str, tmp_path: Path) -> None:
    """skops calls the type of some nodes with what the file holds; ours was judged as the type of an object only."""
    module, _, name = ADDED.rpartition(".")
    with pytest.raises(Invalid) as raised:
        load_skops(planted(module, name, loader)(tmp_path), trust=(*TRUSTED, ADDED))
    assert raised.value.code == "untrusted_type"


def test_a_process_of_its_own_trusts_what_the_environment_names(tmp_path: Path) -> None:
    """As the child of a job does."""
    (tmp_path / "model.skops").write_bytes(content())
    code = (
        "from registry.artifacts.formats import load_skops; "
        f"print(type(load_skops(open({str(tmp_path / 'model.skops')!r}, 'rb').read())).__name__)"
    )
    for value, said in ((ADDED, "PLSRegression\n"), ("", "")):
        done = subprocess.run(
            [sys.executable, "manage.py", "shell", "--verbosity", "0", "--command", code],
            env={**os.environ, "TRUSTED_TYPES": value, "DJANGO_SETTINGS_MODULE": "mlops_site.settings"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.stdout == said, done.stderr
        assert value or "untrusted" in done.stderr or "not trusted" in done.stderr


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("sklearn.svm._classes.SVC", "native code"),
        ("sklearn.neighbors._kd_tree.KDTree", "native code"),
        ("sklearn.feature_extraction.text.CountVectorizer", "opens files"),
        ("sklearn.model_selection._search.GridSearchCV", "calls functions"),
        ("sklearn.metrics._scorer.make_scorer", "is no type"),
        ("no_such_package.Model", "not installed"),
        ("sklearn.svm.NoSuchModel", "not installed"),
        ("pandas.core.frame.DataFrame", "runs code of its own"),
    ],
)
def test_the_deploy_check_warns_of_a_type_that_could_do_more_than_predict(
    settings: LazySettings, name: str, said: str
) -> None:
    assert any(said in risk for risk in risks(name)), list(risks(name))
    settings.TRUSTED_TYPES = (name,)
    with pytest.raises(SystemCheckError, match=r"registry\.W001") as raised:
        call_command("check", deploy=True, fail_level="WARNING", tags=["security"])
    assert f"TRUSTED_TYPES names {name}" in str(raised.value)


def test_the_deploy_check_is_silent_of_one_that_only_computes(added: LazySettings) -> None:
    assert list(risks(ADDED)) == []
    assert check_operator_types() == []
