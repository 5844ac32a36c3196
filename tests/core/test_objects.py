"""Artifacts in an S3-compatible store, against a real server in a process of its own: atomic, verified, swept with
care, and an outage is an answer, not a loss."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import LazySettings, settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command

from mlops_site.core import env, holdings, store
from mlops_site.core.errors import NotFound, TooLarge, Unavailable
from registry.models import Artifact
from tests.buckets import SECRET, Bucket
from tests.processes import free_port

CONTENT = b"the model" * 1000
DIGEST = hashlib.sha256(CONTENT).hexdigest()


def put(content: bytes = CONTENT) -> str:
    return store.put(content, max_bytes=1 << 30).digest


def test_objects_lie_under_their_digest_and_the_prefix(bucket: Bucket) -> None:
    assert list(store.digests()) == []
    assert put() == DIGEST
    assert bucket.keys() == [bucket.key(DIGEST)]
    assert list(store.digests()) == [DIGEST]
    assert bucket.content(DIGEST) == CONTENT
    store.delete(DIGEST)
    store.delete(DIGEST)
    assert (bucket.keys(), store.exists(DIGEST)) == ([], False)
    with pytest.raises(NotFound):
        store.read(DIGEST)


def test_a_large_file_comes_back_whole_and_in_pieces(bucket: Bucket) -> None:
    content = os.urandom(1 << 20) * 20  # more than one part of an upload
    digest = store.put(io.BytesIO(content), max_bytes=1 << 30).digest
    with store.open_verified(digest) as file:
        assert hashlib.sha256(file.read()).hexdigest() == digest


def test_too_large_keeps_nothing(bucket: Bucket) -> None:
    with pytest.raises(TooLarge):
        store.put(io.BytesIO(CONTENT), max_bytes=100)
    assert bucket.keys() == []


@pytest.mark.parametrize(
    "change", [lambda old: old[:-1], lambda old: old + b"x", lambda old: b"X" + old[1:], lambda old: b""]
)
def test_what_was_changed_or_cut_off_is_refused_and_repaired(bucket: Bucket, change: Callable[[bytes], bytes]) -> None:
    put()
    bucket.overwrite(DIGEST, change(CONTENT))
    with pytest.raises(store.ArtifactDamaged, match=DIGEST):
        store.read(DIGEST)
    with pytest.raises(store.ArtifactDamaged), store.open_verified(DIGEST):
        pass
    put()
    assert store.read(DIGEST) == CONTENT


def test_an_object_is_never_absent_while_it_is_replaced(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    """A delete before the save would leave a moment without it."""
    put()
    bucket.overwrite(DIGEST, b"rotten")
    monkeypatch.setattr("mlops_site.core.objects.ObjectStorage.delete", None)
    put()
    assert store.read(DIGEST) == CONTENT


@pytest.mark.django_db
def test_only_old_objects_that_no_row_names_are_swept(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    named, old, again = put(b"named"), put(b"old"), put(b"again")
    Artifact.objects.create(digest=named, format="onnx", size=5)
    assert holdings.sweep() == [], "all of them are young"
    monkeypatch.setattr(holdings, "GRACE", timedelta(seconds=2))
    time.sleep(3.1)
    found = holdings.orphans()
    assert set(found) == {old, again}
    put(b"again")  # between the look and the deletion
    monkeypatch.setattr(holdings, "orphans", lambda: found)
    assert holdings.sweep() == [old]
    assert [store.exists(digest) for digest in (named, old, again)] == [True, False, True]


@pytest.mark.django_db
def test_verify_artifacts_reads_every_object(bucket: Bucket, capsys: pytest.CaptureFixture[str]) -> None:
    for content in (b"first", b"second"):
        Artifact.objects.create(digest=put(content), format="onnx", size=5)
    call_command("verify_artifacts")
    assert "All stored files are whole: 2." in capsys.readouterr().out
    bucket.overwrite(put(b"first"), b"First")
    store.delete(put(b"second"))
    with pytest.raises(CommandError) as raised:
        call_command("verify_artifacts")
    assert "is damaged" in str(raised.value)
    assert "no artifact is stored" in str(raised.value)
    bucket.server.hang()
    with pytest.raises(CommandError, match="cannot be reached"):
        call_command("verify_artifacts")


def test_an_outage_is_told_apart_from_a_loss(bucket: Bucket) -> None:
    put()
    bucket.server.hang()
    uses: list[Callable[[], Any]] = [
        lambda: store.read(DIGEST),
        lambda: store.exists(DIGEST),
        lambda: put(b"new"),
        lambda: list(store.digests()),
        lambda: store.stored_at(DIGEST),
        lambda: store.delete(DIGEST),
    ]
    for use in uses:
        with pytest.raises(Unavailable) as raised:
            use()
        assert (raised.value.code, raised.value.retry_after_secs) == ("store_unavailable", 1)
    bucket.server.wake()
    assert store.read(put()) == CONTENT
    for digest in store.digests():
        store.read(digest)  # what arrived late arrived whole


def test_a_closed_port_and_a_bucket_that_is_not_there_are_outages(
    bucket: Bucket, settings: LazySettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in (("S3_ENDPOINT", f"http://127.0.0.1:{free_port()}"), ("S3_BUCKET", "no-such-bucket")):
        with monkeypatch.context() as patch:
            patch.setenv(name, value)
            settings.STORAGES = {**settings.STORAGES, "artifacts": env.artifacts(Path("/nonexistent"))}
            with pytest.raises(Unavailable):
                put()


def test_no_secret_is_in_a_log_whatever_its_level(bucket: Bucket) -> None:
    code = (
        "from mlops_site.core import store\n"
        "store.read(store.put(b'x', max_bytes=9).digest)\n"
        "from django.core.files.storage import storages\n"
        "storages['artifacts'].bucket_name = 'no-such-bucket'\n"
        "storages['artifacts']._bucket = None\n"
        "try: store.put(b'y', max_bytes=9)\n"
        "except Exception as error: print('refused', error)\n"
    )
    done = subprocess.run(
        [sys.executable, "manage.py", "shell", "--verbosity", "0", "--command", code],
        env={**os.environ, "LOG_LEVEL": "DEBUG", "DJANGO_SETTINGS_MODULE": "mlops_site.settings"},
        cwd=settings.BASE_DIR,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "refused" in done.stdout
    assert "NoSuchBucket" in done.stderr
    for hidden in (SECRET, "Authorization", "Signature"):
        assert hidden not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"S3_BUCKET": "Not A Bucket"}, "S3_BUCKET must be the name of a bucket"),
        ({"S3_BUCKET": ""}, "S3_BUCKET must be set where S3_"),
        ({"S3_ENDPOINT": "s3.example"}, "S3_ENDPOINT must start with"),
        ({"S3_ENDPOINT": "https://me:secret@s3.example"}, "S3_ENDPOINT must hold no password"),
        ({"S3_ACCESS_KEY_ID": ""}, "must both be set, or neither"),
        ({"S3_SECRET_ACCESS_KEY": ""}, "must both be set, or neither"),
        ({"S3_PREFIX": "../elsewhere"}, "S3_PREFIX must be names"),
        ({"S3_TIMEOUT_SECS": "0"}, "S3_TIMEOUT_SECS must be a number"),
    ],
)
def test_a_bad_setting_stops_the_start(bucket: Bucket, monkeypatch: Any, changed: dict[str, str], said: str) -> None:
    for name, value in changed.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ImproperlyConfigured, match=said) as raised:
        env.artifacts(Path("/nonexistent"))
    assert "secret" not in str(raised.value)


def test_without_the_extra_the_start_says_what_to_install(bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(env, "find_spec", lambda name: None)
    with pytest.raises(ImproperlyConfigured, match=r"install this package with its extra s3"):
        env.artifacts(Path("/nonexistent"))
