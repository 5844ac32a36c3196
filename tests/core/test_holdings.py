"""The store against the rows: what is missing, damaged, or named by nobody."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

import pytest
from django.conf import LazySettings
from django.core.management import CommandError, call_command

from mlops_site.core import holdings, store
from registry import services
from registry.models import Artifact, Version
from tests.people import actor
from tests.registry.parts import candidate

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def folder(settings: LazySettings, tmp_path: Path) -> Path:
    files = {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": str(tmp_path / "store")}}
    settings.STORAGES = {**settings.STORAGES, "artifacts": files}
    return tmp_path / "store"


def stored(content: bytes, *, is_named: bool) -> str:
    digest, size = store.put(content, max_bytes=100)
    if is_named:
        Artifact.objects.create(digest=digest, format="onnx", size=size)
    return digest


def age(folder: Path, digest: str, days: float) -> None:
    then = time.time() - days * 86400
    os.utime(folder / digest[:2] / digest, (then, then))


def test_an_empty_store_has_no_faults() -> None:
    assert (list(holdings.faults()), holdings.orphans(), holdings.sweep()) == ([], [], [])


def test_a_missing_and_a_damaged_file_are_named_with_their_rows(folder: Path) -> None:
    whole, gone, damaged = (stored(content, is_named=True) for content in (b"whole", b"gone", b"damaged"))
    (folder / gone[:2] / gone).unlink()
    (folder / damaged[:2] / damaged).write_bytes(b"Damaged")
    found = list(holdings.faults())
    assert len(found) == 2
    assert any(f"artifact {gone}: no artifact is stored" in fault for fault in found)
    assert any(f"artifact {damaged}: artifact {damaged} is damaged" in fault for fault in found)
    assert not any(whole in fault for fault in found)
    with pytest.raises(CommandError, match="is damaged"):
        call_command("verify_artifacts")


def test_every_model_with_a_stored_file_says_so() -> None:
    """A model that keeps a digest and does not declare it would lose its file to the sweep."""
    from django.apps import apps

    declared = {model._meta.label for model in apps.get_models() if getattr(model, "STORED_UNDER", ())}
    holding = {
        model._meta.label for model in apps.get_models() if any(field.name == "digest" for field in model._meta.fields)
    }
    not_files = {"core.AuditRecord", "core.ChainHead", "core.Token"}
    not_files |= {"monitoring.Channel"}  # how often it tells all at once
    not_files |= {"training.Expectations", "training.FeatureSetVersion", "training.FeatureLoad"}  # of what they say
    named_otherwise = {"monitoring.BatchRun", "training.RunNote"}  # source_digest and result_digest; figure
    files = {"registry.Artifact", "registry.ValidationReport", "training.DatasetVersion", "monitoring.BatchChunk"}
    assert declared - named_otherwise == holding - not_files == files


def test_only_old_files_that_no_row_names_are_swept(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    kept, young, old = stored(b"kept", is_named=True), stored(b"young", is_named=False), stored(b"old", is_named=False)
    for digest in (kept, old):
        age(folder, digest, days=2)
    call_command("verify_artifacts")
    assert "No row names 1 files older than a day" in capsys.readouterr().out
    call_command("verify_artifacts", sweep=True)
    assert f"Deleted {old}" in capsys.readouterr().out
    assert [store.exists(digest) for digest in (kept, young, old)] == [True, True, False]


def test_a_store_that_does_not_know_ages_is_not_swept(settings: LazySettings) -> None:
    objects = {"BACKEND": "django.core.files.storage.InMemoryStorage"}
    settings.STORAGES = {**settings.STORAGES, "artifacts": objects}
    with pytest.raises(CommandError, match="does not say how old"):
        call_command("verify_artifacts", sweep=True)


def test_what_is_stored_again_is_no_orphan(folder: Path) -> None:
    digest = stored(b"again", is_named=False)
    age(folder, digest, days=2)
    assert holdings.orphans() == [digest]
    store.put(b"again", max_bytes=100)
    assert holdings.orphans() == []


def test_what_a_killed_writer_left_is_swept(folder: Path) -> None:
    digest = stored(b"kept", is_named=True)
    old, young = (folder / digest[:2] / f".part-{name}" for name in ("old", "young"))
    for path in (old, young):
        path.write_bytes(b"half")
    os.utime(old, (0, 0))
    assert list(store.digests()) == [digest]
    holdings.sweep()
    assert (old.exists(), young.exists(), store.exists(digest)) == (False, True, True)


def test_a_crash_between_file_and_row_leaves_an_orphan_and_no_more(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    author = actor("author", "ml_engineer")
    model = services.create_model(actor=author, name="claims", task_type="classification")

    def crash(*_: Any, **__: Any) -> None:
        raise SystemExit("the power went")

    with monkeypatch.context() as patch, pytest.raises(SystemExit):
        patch.setattr("registry.services.versions.open_interval", crash)
        services.register_version(model, actor=author, candidate=candidate())
    assert (Version.objects.count(), Artifact.objects.count(), list(holdings.faults())) == (0, 0, [])
    (orphan,) = store.digests()
    assert holdings.sweep() == [], "it may wait for its row"
    age(folder, orphan, days=2)
    assert holdings.sweep() == [orphan]
    assert services.register_version(model, actor=author, candidate=candidate()).artifact_id == orphan
    assert list(holdings.faults()) == []
