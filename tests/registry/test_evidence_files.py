"""The evidence of a version: complete, the same for the same state, and no change of it goes unseen."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from mlops_site.core import bundle
from mlops_site.core.models import AuditRecord
from mlops_site.core.permissions import Actor
from mlops_site.core.store import ArtifactDamaged
from registry import selectors, services
from registry.models import RegisteredModel, Version
from tests.kept import kept_fixture
from tests.people import actor
from tests.registry.http import API
from tests.registry.parts import into_production
from tests.registry.test_comparison import STRONG, WEAK, scored
from tests.registry.test_pages import client_of
from tests.registry.test_stages import damage


def evidence(version: Version) -> bytes:
    found = selectors.version_numbered(version.model, version.number)
    with selectors.evidence_of(found, actor=Actor.of(version.created_by)) as file:
        return file.read()


def faults(content: bytes) -> list[str]:
    return list(selectors.evidence_faults(io.BytesIO(content)))


def rewritten(content: bytes, change: Callable[[dict[str, bytes]], None]) -> bytes:
    """The same ZIP with its files changed."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    change(files)
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        for name, part in files.items():
            archive.writestr(name, part)
    return sink.getvalue()


@kept_fixture
def proven(model: RegisteredModel, author: Actor, approver: Actor) -> Version:
    """1.0.1, that replaced 1.0.0 in production."""
    into_production(model, author=author, approver=approver, seed=0, **scored(WEAK))
    return into_production(model, author=author, approver=approver, seed=1, **scored(STRONG))


def test_it_holds_everything_under_its_digest(proven: Version) -> None:
    content = evidence(proven)
    assert faults(content) == []
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert archive.testzip() is None
        manifest = json.loads(archive.read("manifest.json"))
        (request,) = proven.requests.all()
        expected = {
            "README.txt", "card.md", "card.json", "version.json", "signature.json", "metrics.json", "lineage.json",
            "stages.json", "incidents.json", "audit.jsonl", "artifact/golden.json", "artifact/model.skops",
            "artifact/holdout.parquet", f"approvals/request-{request.pk}.json",
        }  # fmt: skip
        assert set(manifest["files"]) == expected
        for path, said in manifest["files"].items():
            assert hashlib.sha256(archive.read(path)).hexdigest() == said["sha256"]
        assert hashlib.sha256(archive.read("artifact/model.skops")).hexdigest() == proven.artifact_id
        (review,) = json.loads(archive.read(f"approvals/request-{request.pk}.json"))["reviews"]
        assert (review["reviewer"], review["decision"]) == ("approver", "approve")
        actions = [json.loads(json.loads(line)["body"])["action"] for line in archive.read("audit.jsonl").splitlines()]
    assert {"model.created", "version.registered", "promotion.requested", "promotion.reviewed"} <= set(actions)
    about_others = AuditRecord.objects.filter(subject="version:claims@1.0.0").count()
    assert about_others
    assert len(actions) < AuditRecord.objects.count()


def test_common_tools_check_it_too(proven: Version, tmp_path: Path) -> None:
    with zipfile.ZipFile(io.BytesIO(evidence(proven))) as archive:
        archive.extractall(tmp_path)
    done = subprocess.run(
        ["sha256sum", "--check", "--strict", "SHA256SUMS"], cwd=tmp_path, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count(": OK") == len([path for path in tmp_path.rglob("*") if path.is_file()]) - 2


def test_the_same_state_is_the_same_bytes_and_another_is_not(proven: Version, author: Actor, approver: Actor) -> None:
    first = evidence(proven)
    assert evidence(proven) == first
    services.rollback(proven.model, actor=approver, reason="It sees too much.")
    after = evidence(proven)
    assert after != first
    assert faults(after) == []


@pytest.mark.parametrize("name", ["artifact/model.skops", "card.md", "audit.jsonl", "metrics.json", "README.txt"])
def test_a_changed_file_is_named(proven: Version, name: str) -> None:
    def change(files: dict[str, bytes]) -> None:
        files[name] = files[name].replace(b"a", b"b", 1)

    said = faults(rewritten(evidence(proven), change))
    assert any(sentence.startswith(f"{name} has sha256") for sentence in said), said


def test_missing_added_and_repeated_files_are_named(proven: Version) -> None:
    content = evidence(proven)
    without = rewritten(content, lambda files: files.__delitem__("card.md"))
    assert "card.md is missing" in faults(without)
    assert "more.txt is not in the manifest" in faults(
        rewritten(content, lambda files: files.update({"more.txt": b"x"}))
    )
    twice = io.BytesIO(content)
    with zipfile.ZipFile(twice, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("card.md", b"other")
    assert "card.md is in it twice" in faults(twice.getvalue())


def test_a_changed_manifest_needs_the_key(proven: Version) -> None:
    """Whoever changes a file and the manifest with it cannot sign the manifest again."""

    def change(files: dict[str, bytes]) -> None:
        manifest = json.loads(files["manifest.json"])
        files["card.md"] = b"All is well."
        manifest["files"]["card.md"] = {"sha256": hashlib.sha256(b"All is well.").hexdigest(), "size": 12}
        files["manifest.json"] = bundle.document(manifest)

    assert faults(rewritten(evidence(proven), change)) == ["manifest.json is not signed by this install's AUDIT_KEY"]


def test_evidence_other_than_what_was_decided_on_is_named(proven: Version) -> None:
    def change(files: dict[str, bytes]) -> None:
        (path,) = [name for name in files if name.startswith("approvals/")]
        said = json.loads(files[path])
        said["evidence"]["metrics"]["roc_auc"]["value"] = 0.99
        files[path] = bundle.document(said)

    assert any(
        "its evidence is not what its digest says" in said for said in faults(rewritten(evidence(proven), change))
    )


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 no zip", b"x" * 1000])
def test_what_is_no_evidence_is_said_not_raised(content: bytes) -> None:
    (said,) = faults(content)
    assert said.startswith("it is no evidence file")


def test_the_command_says_whole_or_names_the_fault(proven: Version, tmp_path: Path) -> None:
    path = tmp_path / "evidence.zip"
    path.write_bytes(evidence(proven))
    call_command("verify_evidence", str(path))
    path.write_bytes(rewritten(path.read_bytes(), lambda files: files.update({"card.md": b""})))
    with pytest.raises(CommandError, match=r"card\.md has 0 bytes"):
        call_command("verify_evidence", str(path))
    with pytest.raises(CommandError, match="cannot be read"):
        call_command("verify_evidence", str(tmp_path / "none.zip"))


def test_a_damaged_artifact_makes_no_evidence(proven: Version) -> None:
    damage(proven.artifact_id)
    with pytest.raises(ArtifactDamaged):
        evidence(proven)


def test_who_may_have_it(proven: Version, approver: Actor, outsider: Actor) -> None:
    address = f"{API}/models/claims/{proven.number}/evidence"
    answer = client_of(approver).get(address)
    assert (answer.status_code, answer["Content-Type"]) == (200, "application/zip")
    assert answer["Content-Disposition"] == 'attachment; filename="claims-1.0.1-evidence.zip"'
    assert faults(b"".join(answer.streaming_content)) == []  # type: ignore[attr-defined]
    for role, status in (("auditor", 200), ("validator", 200), ("viewer", 403), ("data_scientist", 403)):
        said = client_of(actor(role, role)).get(address)
        assert said.status_code == status, role
        b"".join(said)  # which closes the file
    assert client_of(outsider).get(address).status_code == 404
    assert AuditRecord.objects.filter(action="evidence.export.refused").count() == 2
