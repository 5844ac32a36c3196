"""Uploads are first loaded in a limited process: it may crash, starve or spin, and only it."""

from __future__ import annotations

import copy
import io
import json
import pickle
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import Pipeline

from mlops_site.core.errors import Invalid
from registry.artifacts import inspection
from registry.artifacts.formats import dump_skops
from registry.artifacts.graphs import to_onnx
from registry.artifacts.inspection import Inspection, Limits, inspect_here, inspect_upload
from registry.artifacts.signature import Signature
from registry.artifacts.trust import TRUSTED

Fitted = Callable[[str, str], Pipeline]


def code_of(data: bytes, **options: Any) -> str:
    with pytest.raises(Invalid) as raised:
        inspect_upload(data, **options)
    assert raised.value.errors
    return raised.value.code


def test_a_good_pipeline_is_accepted_with_its_signature(fitted: Fitted, signatures: dict[str, Signature]) -> None:
    found = inspect_upload(dump_skops(fitted("random_forest", "binary")), signature=signatures["binary"])
    assert found == Inspection("skops", list(signatures["binary"].names), [0, 1], signatures["binary"])


def test_a_good_graph_says_its_own_signature(fitted: Fitted, signatures: dict[str, Signature]) -> None:
    graph = to_onnx(fitted("logistic_regression", "many"), signatures["many"].kinds).graph
    assert graph is not None
    found = inspect_upload(graph)
    assert (found.format, found.features) == ("onnx", list(signatures["many"].names))
    assert found.classes == ["low", "mid", "top"]
    assert found.signature.kinds == signatures["many"].kinds


def test_numbers_only_need_no_signature(frame: Any, targets: dict[str, Any]) -> None:
    model = LinearRegression().fit(frame[["n0", "n1"]], targets["value"])
    found = inspect_here(dump_skops(model), None, TRUSTED)
    assert found["features"] == ["n0", "n1"]
    assert found["signature"]["task_type"] == "regression"
    unnamed = inspect_here(dump_skops(model.fit(frame[["n0"]].to_numpy(), targets["value"])), None, TRUSTED)
    assert unnamed["features"] == ["x0"]


def test_texts_need_a_signature(fitted: Fitted) -> None:
    with pytest.raises(Invalid) as raised:
        inspect_here(dump_skops(fitted("random_forest", "binary")), None, TRUSTED)
    assert (raised.value.code, raised.value.errors[0].field) == ("signature_needed", "metadata.signature")


def test_a_file_that_is_no_model_is_refused(fitted: Fitted) -> None:
    with pytest.raises(Invalid, match="classifier or a regressor"):
        inspect_here(dump_skops(fitted("random_forest", "binary")["prepare"]), None, TRUSTED)
    with pytest.raises(Invalid, match="fitted model"):
        inspect_here(dump_skops({"just": ["data"]}), None, TRUSTED)


def test_a_pickle_is_refused_without_starting_anything(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "run", None)
    assert code_of(pickle.dumps([1])) == "pickle_refused"


@pytest.mark.parametrize("name", ["../escape.npy", "1.npy"])
def test_a_bad_archive_is_refused_in_the_child(name: str) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        file.writestr("schema.json", json.dumps({"protocol": 2, "__loader__": "ObjectNode", "__module__": "os"}))
        file.writestr(name, b"x")
    assert code_of(out.getvalue()) == ("unsafe_member" if name.startswith("..") else "untrusted_type")


def test_the_child_has_no_secrets_and_cannot_write(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SECRET_KEY", "hush")
    work = (
        "import os\n"
        f"try: open({str(tmp_path / 'written')!r}, 'w').write('x' * 10000); wrote = True\n"
        "except OSError: wrote = False\n"
        "seen = [dict(os.environ), wrote, os.getcwd(), resource.getrlimit(resource.RLIMIT_AS)[1]]\n"
        "print(json.dumps({'code': 'seen', 'detail': json.dumps(seen), 'errors': []}))"
    )
    monkeypatch.setattr(inspection, "_CHILD", planted(work))
    with pytest.raises(Invalid) as raised:
        inspect_upload(b"\x08\x09")
    environment, wrote, folder, memory = json.loads(raised.value.detail)
    assert "hush" not in environment.values()
    assert not {"SECRET_KEY", "DATABASE_URL", "STEWARD_HOME", "PYTHONPATH"} & environment.keys()
    assert (wrote, folder, memory) == (False, "/", Limits().memory_bytes)


@pytest.mark.parametrize(
    ("work", "code"),
    [
        ("import os, signal; os.kill(os.getpid(), signal.SIGSEGV)", "crashed"),
        ("while True: pass", "too_slow"),
        ("import time; time.sleep(60)", "too_slow"),
    ],
)
def test_a_child_that_crashes_or_never_ends_is_a_refusal(monkeypatch: pytest.MonkeyPatch, work: str, code: str) -> None:
    limits = Limits(cpu_secs=1, timeout_secs=1.5)
    monkeypatch.setattr(inspection, "_CHILD", planted(work))
    assert code_of(b"\x08\x09", limits=limits) == code


def test_a_tampered_tree_is_refused_in_the_child(fitted: Fitted, signatures: dict[str, Signature]) -> None:
    pipeline = copy.deepcopy(fitted("random_forest", "binary"))
    tree = pipeline["model"].estimators_[0].tree_
    state = tree.__getstate__()
    state["nodes"]["left_child"][0] = 10**12
    tree.__setstate__(state)
    assert code_of(dump_skops(pipeline), signature=signatures["binary"]) == "unsound_tree"


def planted(work: str) -> str:
    """The child's program with other work in the place of loading the file."""
    return inspection._CHILD.split("sys.path.insert")[0] + work
