"""Uploads are first loaded in a limited process: it may crash, starve or spin, and only it."""

from __future__ import annotations

import copy
import io
import json
import math
import os
import pickle
import resource
import signal
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sklearn.linear_model import LinearRegression
from sklearn.pipeline import Pipeline

from mlops_site.core.errors import Invalid, TooManyRequests, Unavailable
from mlops_site.stats.profile import Profile
from registry.artifacts import inspection, scorer
from registry.artifacts.engines import open_scorer
from registry.artifacts.formats import dump_skops
from registry.artifacts.graphs import to_onnx
from registry.artifacts.inspection import Inspection, Limits, inspect_here, inspect_upload
from registry.artifacts.schema import sample_row
from registry.artifacts.signature import Signature
from registry.artifacts.trust import TRUSTED

pytestmark = pytest.mark.real_child

Fitted = Callable[[str, str], Pipeline]


def code_of(data: bytes | io.BytesIO, **options: Any) -> str:
    with pytest.raises(Invalid) as raised:
        inspect_upload(data, **options)
    assert raised.value.errors
    return raised.value.code


def test_a_good_pipeline_is_accepted_with_its_signature(fitted: Fitted, signatures: dict[str, Signature]) -> None:
    data, signature = dump_skops(fitted("random_forest", "binary")), signatures["binary"]
    golden = open_scorer(data, "skops", signature)
    found = inspect_upload(data, signature=signature)
    answers = scorer.golden(golden, [sample_row(signature)])
    assert found == Inspection("skops", list(signature.names), [0, 1], signature, answers, None, [])


def test_reference_rows_are_answered_and_profiled_in_the_child(
    fitted: Fitted, signatures: dict[str, Signature], rows: list[dict[str, Any]]
) -> None:
    data, signature = dump_skops(fitted("gradient_boosting", "value")), signatures["value"]
    found = inspect_upload(io.BytesIO(data), signature=signature, reference=rows)
    assert found.golden == scorer.golden(open_scorer(data, "skops", signature), rows[:20])
    assert found.reference is not None
    assert Profile.from_bytes(found.reference).rows == len(rows)
    with pytest.raises(Invalid) as raised:
        inspect_upload(data, signature=signature, reference=[{**rows[0], "n0": "old"}])
    assert [(error.field, error.code) for error in raised.value.errors] == [("features.n0", "wrong_type")]


def test_a_file_is_passed_on_in_pieces() -> None:
    class Piecewise(io.BytesIO):
        def read(self, size: int | None = -1, /) -> bytes:
            assert size is not None
            assert 0 <= size <= 1 << 20, "the whole file was read at once"
            return super().read(size)

    assert code_of(Piecewise(b"\x08\x09" + b"x" * (5 << 20))) == "damaged_graph"


def test_a_third_upload_waits_for_its_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inspection, "_TURNS", threading.BoundedSemaphore(1))
    monkeypatch.setattr(inspection, "TURN_SECS", 0.05)
    with inspection._turn(), pytest.raises(TooManyRequests) as raised:
        inspect_upload(b"\x08\x09")
    assert raised.value.retry_after_secs == 60
    assert code_of(b"\x08\x09") == "damaged_graph"


def test_the_child_ends_although_nobody_waits_for_it(tmp_path: Path) -> None:
    program = [sys.executable, "-I", "-c", planted("import time; time.sleep(60)"), "/", "{}", "1"]
    assert subprocess.run(program, check=False, timeout=20).returncode == -signal.SIGALRM


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


def test_the_child_inherits_nothing_and_has_limits(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    secrets = ("SECRET_KEY", "AUDIT_KEY", "DATABASE_URL", "REDIS_URL", "S3_SECRET_ACCESS_KEY", "STEWARD_TOKEN", "ANY")
    for name in secrets:
        monkeypatch.setenv(name, f"hush {name}")
    existing = tmp_path / "existing"
    existing.write_text("whole")
    work = (
        "import os\n"
        "open_files = sorted(int(name) for name in os.listdir('/proc/self/fd'))[:-1]\n"
        "def writes(path, mode):\n"
        "    try: open(path, mode).write('x' * 10000); return True\n"
        "    except OSError: return False\n"
        f"wrote = [writes({str(tmp_path / 'new')!r}, 'w'), writes({str(existing)!r}, 'r+'), writes(0, 'r+')]\n"
        "names = ('RLIMIT_AS', 'RLIMIT_CPU', 'RLIMIT_FSIZE', 'RLIMIT_NOFILE', 'RLIMIT_CORE')\n"
        "limits = [resource.getrlimit(getattr(resource, name)) for name in names]\n"
        "seen = [dict(os.environ), wrote, os.getcwd(), limits, open_files]\n"
        "print('inspection', json.dumps({'code': 'seen', 'detail': json.dumps(seen), 'errors': []}))"
    )
    monkeypatch.setattr(inspection, "_CHILD", planted(work))
    with (tmp_path / "mine").open("w") as mine, pytest.raises(Invalid) as raised:
        os.set_inheritable(mine.fileno(), True)
        inspect_upload(b"\x08\x09")
    environment, wrote, folder, limits, open_files = json.loads(raised.value.detail)
    threads = {"OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"}
    assert set(environment) - {"LC_CTYPE"} == {"PATH", "LANG", "HOME"} | threads
    assert "hush" not in str(environment)
    assert (wrote, folder) == ([False, False, False], "/")
    assert limits == [[limit, limit] for limit in (Limits().memory_bytes, Limits().cpu_secs, 0, 64, 0)]
    assert open_files == [0, 1, 2]
    assert existing.read_text() == "whole"


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


def little(content: bytes, signature: Signature) -> Limits:
    """Enough to be loaded and tried on this machine as busy as it is, and little more."""
    begun, used = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    inspect_upload(content, signature=signature)
    needed = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime - used
    return Limits(cpu_secs=math.ceil(2 * needed) + 1, timeout_secs=max(8, 4 * (time.monotonic() - begun)))


@pytest.mark.parametrize("work", ["while True: pass", "import time; time.sleep(60)"])
def test_a_model_without_the_time_to_be_explained_is_accepted_without(
    fitted: Fitted, signatures: dict[str, Signature], monkeypatch: pytest.MonkeyPatch, work: str
) -> None:
    slow = f"import registry.artifacts.trial as trial\ndef tell(*_):\n    {work}\ntrial._told = tell\nanswer()"
    content, signature = dump_skops(fitted("logistic_regression", "binary")), signatures["binary"]
    limits = little(content, signature)
    monkeypatch.setattr(inspection, "_CHILD", inspection._CHILD.replace("answer()", slow))
    found = inspect_upload(content, signature=signature, reference=[sample_row(signature)], limits=limits)
    assert found.reference
    assert found.told is None


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


def test_what_a_child_says_at_its_end_is_for_the_log(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(inspection, "_CHILD", planted("raise ZeroDivisionError('inside /srv/steward')"))
    with pytest.raises(Unavailable) as raised:
        inspect_upload(b"\x08\x09")
    assert "/srv/steward" not in raised.value.detail
    assert "inside /srv/steward" in caplog.text
