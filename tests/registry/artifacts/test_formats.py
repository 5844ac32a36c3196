"""skops files: every estimator comes back equal; whatever else calls itself .skops is refused, and nothing runs."""

from __future__ import annotations

import bz2
import gzip
import io
import json
import pickle
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import joblib
import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.pipeline import Pipeline
from sklearn.svm import SVC

from mlops_site.core.errors import Invalid
from registry.artifacts import archive
from registry.artifacts.archive import sniff
from registry.artifacts.formats import dump_skops, load_skops
from registry.artifacts.trust import TRUSTED

Fitted = Callable[[str, str], Pipeline]


class Gadget:
    """Unpickled, it writes the canary."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[Any, ...]:
        return (exec, (f"open({str(self.canary)!r}, 'w').close()",))


@pytest.fixture
def canary(tmp_path: Path) -> Path:
    return tmp_path / "executed"


@pytest.fixture(scope="session")
def good(fitted: Fitted) -> bytes:
    return dump_skops(fitted("logistic_regression", "binary"))


def code_of(data: bytes, **options: Any) -> str:
    with pytest.raises(Invalid) as raised:
        load_skops(data, **options)
    assert [error.field for error in raised.value.errors] == ["artifact"]
    return raised.value.code


def repacked(data: bytes, change: Callable[[dict[str, Any]], None]) -> bytes:
    """The archive with its schema changed."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(out, "w") as new:
        for member in old.infolist():
            content = old.read(member)
            if member.filename == "schema.json":
                schema = json.loads(content)
                change(schema)
                content = json.dumps(schema).encode()
            new.writestr(member.filename, content)
    return out.getvalue()


def extended(data: bytes, name: str | zipfile.ZipInfo, content: bytes) -> bytes:
    """The archive with one more member."""
    out = io.BytesIO(data)
    with zipfile.ZipFile(out, "a") as file:
        file.writestr(name, content)
    return out.getvalue()


def test_every_estimator_of_training_comes_back_equal(
    cases: list[tuple[str, str]], fitted: Fitted, frame: pd.DataFrame
) -> None:
    for name, target in cases:
        pipeline = fitted(name, target)
        loaded = load_skops(dump_skops(pipeline))
        method = "predict" if target == "value" else "predict_proba"
        answer, expected = getattr(loaded, method)(frame), getattr(pipeline, method)(frame)
        np.testing.assert_array_equal(answer, expected, err_msg=f"{name}, {target}")


def test_the_trust_list_is_literal_and_short_of_whatever_opens_files() -> None:
    assert len(set(TRUSTED)) == len(TRUSTED)
    assert not [name for name in TRUSTED if any(word in name for word in ("text", "Memory", "svm", "neighbors"))]


@pytest.mark.parametrize("protocol", range(6))
def test_a_pickle_gadget_is_refused_by_name_and_not_run(canary: Path, protocol: int) -> None:
    data = pickle.dumps(Gadget(canary), protocol=protocol)
    with pytest.raises(Invalid, match=r"skops\.io\.dump"):
        load_skops(data)
    assert code_of(data) == "pickle_refused"
    assert not canary.exists()
    pickle.loads(data)
    assert canary.exists(), "the gadget must work, or this test shows nothing"


@pytest.mark.parametrize(
    "pack", [bytes, zlib.compress, gzip.compress, bz2.compress], ids=["plain", "zlib", "gzip", "bz2"]
)
def test_a_joblib_file_is_refused_and_not_run(canary: Path, pack: Callable[[bytes], bytes]) -> None:
    buffer = io.BytesIO()
    joblib.dump([Gadget(canary)], buffer)
    assert code_of(pack(buffer.getvalue())) == "pickle_refused"
    assert not canary.exists()


def test_a_zip_with_a_pickle_is_refused(canary: Path) -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        file.writestr("archive/data.pkl", pickle.dumps(Gadget(canary)))
    assert code_of(out.getvalue()) == "pickle_refused"
    assert not canary.exists()


def test_an_array_of_pickled_objects_inside_is_refused(good: bytes, canary: Path) -> None:
    array = io.BytesIO()
    np.save(array, np.array([Gadget(canary)], dtype=object), allow_pickle=True)
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(good)) as old, zipfile.ZipFile(out, "w") as new:
        for member in old.infolist():
            is_array = member.filename.endswith(".npy")
            new.writestr(member.filename, array.getvalue() if is_array else old.read(member))
    assert code_of(out.getvalue()) == "damaged_archive"
    assert not canary.exists()


def test_an_array_that_claims_more_than_there_is_memory_is_refused(good: bytes) -> None:
    header = f"{{'descr': '<f8', 'fortran_order': False, 'shape': ({1 << 50},), }}".ljust(117) + "\n"
    array = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode()
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(good)) as old, zipfile.ZipFile(out, "w") as new:
        for member in old.infolist():
            new.writestr(member.filename, array if member.filename.endswith(".npy") else old.read(member))
    assert code_of(out.getvalue()) == "damaged_archive"


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "empty_artifact"),
        (b"<!DOCTYPE html>", "unknown_format"),
        (b"\x08\x09\x12\x00", "unknown_format"),
        (b"PK\x03\x04", "damaged_archive"),
        (b"PK\x03\x04" + b"\0" * 1000, "damaged_archive"),
    ],
)
def test_other_files_are_refused(data: bytes, code: str) -> None:
    assert code_of(data) == code


def test_a_file_cut_off_anywhere_is_refused(good: bytes) -> None:
    assert {code_of(good[:size]) for size in range(4, len(good), len(good) // 40)} == {"damaged_archive"}


def test_no_flipped_byte_of_an_archive_changes_a_model_silently(
    good: bytes, fitted: Fitted, frame: pd.DataFrame
) -> None:
    expected = fitted("logistic_regression", "binary").predict_proba(frame)
    for position in range(0, len(good), len(good) // 60):
        flipped = bytearray(good)
        flipped[position] ^= 0x10
        try:
            loaded = load_skops(bytes(flipped))
        except Invalid:
            continue
        np.testing.assert_array_equal(loaded.predict_proba(frame), expected)


@pytest.mark.parametrize(
    "name", ["../../escape.npy", "/etc/cron.d/x", "a/../../b", "..\\x", "1.npz", "evil.py", "1.npy/"]
)
def test_a_member_that_skops_does_not_write_is_refused(good: bytes, name: str) -> None:
    assert code_of(extended(good, name, b"x")) == "unsafe_member"


def test_a_symbolic_link_is_refused(good: bytes) -> None:
    link = zipfile.ZipInfo("123.npy")
    link.external_attr = 0o120777 << 16
    assert code_of(extended(good, link, b"/etc/passwd")) == "unsafe_member"


def test_a_member_twice_is_refused(good: bytes) -> None:
    with pytest.warns(UserWarning, match="Duplicate name"):
        data = extended(good, "schema.json", b"{}")
    assert code_of(data) == "unsafe_member"


def test_a_bomb_is_refused_by_the_size_it_declares(good: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MAX_UNPACKED_BYTES", 10 << 20)
    out = io.BytesIO(good)
    with zipfile.ZipFile(out, "a", zipfile.ZIP_DEFLATED) as file:
        file.writestr("7.npy", bytes(11 << 20))
    assert len(out.getvalue()) < 100_000
    assert code_of(out.getvalue()) == "too_large_unpacked"


def test_a_bomb_that_declares_less_than_it_holds_is_refused(good: bytes) -> None:
    out = io.BytesIO(good)
    with zipfile.ZipFile(out, "a", zipfile.ZIP_DEFLATED) as file:
        file.writestr("7.npy", bytes(5 << 20))
    size = (5 << 20).to_bytes(4, "little")
    assert out.getvalue().count(size) == 2
    assert code_of(out.getvalue().replace(size, (100).to_bytes(4, "little"))) == "damaged_archive"


@pytest.mark.parametrize(
    ("node", "named"),
    [
        ({"__loader__": "ObjectNode", "__module__": "os", "__class__": "system"}, "os.system"),
        ({"__loader__": "TypeNode", "__module__": "os", "__class__": "system"}, "os.system"),
        ({"__loader__": "FunctionNode", "__module__": "builtins", "__class__": "eval"}, "builtins.eval"),
        ({"__loader__": "LossNode", "__module__": "subprocess", "__class__": "Popen"}, "subprocess.Popen"),
        ({"__loader__": "MethodNode", "__module__": "os", "__class__": "x"}, "MethodNode"),
        ({"__loader__": "OperatorFuncNode", "__module__": "operator", "__class__": "call"}, "OperatorFuncNode"),
        ({"__loader__": "PartialNode", "__module__": "functools", "__class__": "partial"}, "PartialNode"),
        ({"__loader__": "ConstructorFromReduceNode", "__module__": "os", "__class__": "x"}, "os.x"),
        ({"__loader__": "NoSuchNode", "__module__": "a", "__class__": "b"}, "NoSuchNode"),
    ],
)
def test_an_unknown_type_is_refused_and_named(good: bytes, node: dict[str, Any], named: str) -> None:
    def plant(schema: dict[str, Any]) -> None:
        schema["content"]["content"]["planted"] = {**node, "__id__": 1}

    with pytest.raises(Invalid, match=named.replace(".", r"\.")) as raised:
        load_skops(repacked(good, plant))
    assert raised.value.code == "untrusted_type"


@pytest.mark.parametrize("protocol", [0, 1, 3, True, "2", None])
def test_another_protocol_is_refused(good: bytes, protocol: object) -> None:
    assert code_of(repacked(good, lambda schema: schema.update(protocol=protocol))) == "damaged_archive"


def test_a_schema_nested_too_deeply_is_refused() -> None:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        file.writestr("schema.json", "[" * 100_000)
    assert code_of(out.getvalue()) == "damaged_archive"


def test_estimators_outside_the_list_are_refused_and_named(frame: pd.DataFrame, targets: dict[str, Any]) -> None:
    numbers = frame[["n0", "n1"]]
    reader = CountVectorizer(input="filename").fit(["/etc/hostname"])  # it would open files that features name
    for model, named in ((SVC().fit(numbers, targets["binary"]), "SVC"), (reader, "CountVectorizer")):
        with pytest.raises(Invalid, match=named) as raised:
            load_skops(skops.io.dumps(model))
        assert raised.value.code == "untrusted_type"
        with pytest.raises(Invalid, match=named):
            dump_skops(model)


def test_an_operator_may_trust_one_more_type(frame: pd.DataFrame, targets: dict[str, Any]) -> None:
    data = skops.io.dumps(SVC().fit(frame[["n0", "n1"]], targets["binary"]))
    assert type(load_skops(data, trust=(*TRUSTED, "sklearn.svm._classes.SVC"))) is SVC


def test_a_file_does_not_choose_the_number_of_threads(fitted: Fitted) -> None:
    pipeline = fitted("random_forest", "binary")
    pipeline["model"].n_jobs = 64
    try:
        data = dump_skops(pipeline)
    finally:
        pipeline["model"].n_jobs = None
    assert load_skops(data)["model"].n_jobs is None


def test_formats_are_told_by_content() -> None:
    assert sniff(b"PK\x03\x04rest") == "skops"
    assert sniff(b"\x08\x09rest") == "onnx"
