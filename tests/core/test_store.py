"""The content-addressed store: one name per content, whole or absent, checked at every read."""

from __future__ import annotations

import hashlib
import io
import os
import signal
import stat
import threading
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import LazySettings
from django.core.files.base import ContentFile
from django.core.files.storage import FileSystemStorage, InMemoryStorage, storages
from django.utils import timezone

from mlops_site.core import store
from mlops_site.core.errors import Invalid, NotFound, TooLarge
from mlops_site.core.objects import ObjectStorage

CONTENT = b"the model" * 1000
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture(params=["files", "objects", "s3"])
def folder(request: pytest.FixtureRequest, settings: LazySettings, tmp_path: Path) -> Path | None:
    """The store's folder, or None where it is not a file system."""
    if request.param == "s3":
        request.getfixturevalue("bucket")
        return None
    files = {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": str(tmp_path)}}
    objects = {"BACKEND": "django.core.files.storage.InMemoryStorage"}
    settings.STORAGES = {**settings.STORAGES, "artifacts": files if request.param == "files" else objects}
    return tmp_path if request.param == "files" else None


@pytest.fixture
def files(settings: LazySettings, tmp_path: Path) -> Path:
    options = {"location": str(tmp_path), "file_permissions_mode": 0o600}
    files = {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": options}
    settings.STORAGES = {**settings.STORAGES, "artifacts": files}
    return tmp_path


class Torn(io.BytesIO):
    """A stream that breaks in the middle."""

    def read(self, size: int | None = -1, /) -> bytes:
        if self.tell():
            raise ConnectionError("the client went away")
        return super().read(1000)


def test_what_was_put_is_read(folder: Path | None) -> None:
    assert store.put(CONTENT, max_bytes=10_000) == (DIGEST, len(CONTENT))
    assert store.read(DIGEST) == CONTENT
    with store.open_verified(DIGEST) as file:
        assert file.read() == CONTENT


def test_a_stream_is_stored_like_bytes(folder: Path | None) -> None:
    assert store.put(io.BytesIO(CONTENT), max_bytes=10_000).digest == DIGEST


def test_the_same_bytes_again_change_nothing_but_their_age(files: Path) -> None:
    store.put(CONTENT, max_bytes=10_000)
    (path,) = [path for path in files.rglob("*") if path.is_file()]
    os.utime(path, (0, 0))
    before = path.stat()
    store.put(CONTENT, max_bytes=10_000)
    assert [found for found in files.rglob("*") if found.is_file()] == [path]
    assert (path.stat().st_ino, path.stat().st_mtime > 0) == (before.st_ino, True)


def test_putting_the_right_bytes_repairs_a_damaged_file(folder: Path | None) -> None:
    store.put(CONTENT, max_bytes=10_000)
    damage(folder, b"rotten")
    store.put(CONTENT, max_bytes=10_000)
    assert store.read(DIGEST) == CONTENT


@pytest.mark.parametrize("position", [0, 4500, len(CONTENT) - 1])
def test_one_flipped_bit_is_refused_at_every_load(folder: Path | None, position: int) -> None:
    store.put(CONTENT, max_bytes=10_000)
    flipped = bytearray(CONTENT)
    flipped[position] ^= 1
    damage(folder, bytes(flipped))
    for load in (store.read, opened):
        with pytest.raises(store.ArtifactDamaged, match=DIGEST) as raised:
            load(DIGEST)
        assert raised.value.code == "artifact_damaged"


def test_a_cut_file_is_refused(folder: Path | None) -> None:
    store.put(CONTENT, max_bytes=10_000)
    damage(folder, CONTENT[:-1])
    with pytest.raises(store.ArtifactDamaged):
        store.read(DIGEST)


def test_too_large_keeps_nothing(files: Path) -> None:
    with pytest.raises(TooLarge, match="at most 8999 bytes"):
        store.put(io.BytesIO(CONTENT), max_bytes=8_999)
    assert list(files.rglob("*")) == []
    assert store.put(CONTENT, max_bytes=9_000).size == 9_000


def test_a_broken_stream_keeps_nothing(files: Path) -> None:
    with pytest.raises(ConnectionError):
        store.put(Torn(CONTENT), max_bytes=10_000)
    assert list(files.rglob("*")) == []


def test_a_failed_rename_leaves_no_temporary_file(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise OSError("no space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", refuse)
        with pytest.raises(OSError, match="no space"):
            store.put(CONTENT, max_bytes=10_000)
    assert not [path for path in files.rglob("*") if path.is_file()]
    assert not store.exists(DIGEST)


def test_bytes_and_name_are_on_the_disk_before_the_answer(files: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The content is synchronised, then renamed, then its folder; a new folder before that, in its parent."""
    done: list[str] = []
    sync, rename = os.fsync, os.replace

    def fsync(handle: int) -> None:
        done.append(f"sync {'folder' if stat.S_ISDIR(os.fstat(handle).st_mode) else 'file'}")
        sync(handle)

    def replace(source: Any, target: Any) -> None:
        done.append("rename")
        rename(source, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "replace", replace)
    store.put(CONTENT, max_bytes=10_000)
    assert done == ["sync folder", "sync file", "rename", "sync folder"]


@pytest.mark.parametrize("moment", ["fsync", "replace", "afterwards"])
def test_a_writer_that_is_killed_leaves_all_or_nothing(files: Path, moment: str) -> None:
    pid = os.fork()
    if pid == 0:  # killed as the call begins, so that nothing can be tidied up
        if moment != "afterwards":
            setattr(os, moment, lambda *_: os.kill(os.getpid(), signal.SIGKILL))
        store.put(CONTENT, max_bytes=10_000)
        os.kill(os.getpid(), signal.SIGKILL)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL
    assert store.exists(DIGEST) == (moment == "afterwards")
    later = timezone.now() + timedelta(seconds=10)
    assert store.delete_unfinished(before=later) == (1 if moment == "replace" else 0)
    assert store.put(CONTENT, max_bytes=10_000).digest == DIGEST
    assert store.read(DIGEST) == CONTENT
    assert len([path for path in files.rglob("*") if path.is_file()]) == 1


def test_a_reader_sees_all_or_nothing(files: Path) -> None:
    """Readers poll while others put the same large content: absent or whole, never a part."""
    content = b"x" * (12 << 20)
    digest = hashlib.sha256(content).hexdigest()
    done, seen = threading.Event(), list[object]()

    def poll() -> None:
        while not done.is_set():
            try:
                seen.append(len(store.read(digest)))
            except NotFound:
                seen.append(None)
            except Exception as error:
                seen.append(error)

    threads = [threading.Thread(target=store.put, args=(content,), kwargs={"max_bytes": 1 << 30}) for _ in "abc"]
    reader = threading.Thread(target=poll)
    reader.start()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    done.set()
    reader.join()
    assert set(seen) <= {None, len(content)}
    assert store.read(digest) == content


@pytest.mark.parametrize(
    "name", ["", "../../etc/passwd", "/etc/passwd", DIGEST.upper(), DIGEST + "\n", DIGEST[:-1], "ab/" + DIGEST, "a\0"]
)
def test_nothing_typed_becomes_a_path(folder: Path | None, name: str) -> None:
    for use in (store.read, store.exists, opened):
        with pytest.raises(Invalid) as raised:
            use(name)
        assert [error.field for error in raised.value.errors] == ["digest"]


def test_an_absent_digest_is_not_found(folder: Path | None) -> None:
    assert not store.exists(DIGEST)
    with pytest.raises(NotFound, match=DIGEST):
        store.read(DIGEST)
    store.put(CONTENT, max_bytes=10_000)
    assert store.exists(DIGEST)


def test_a_stored_file_is_the_owners_alone(files: Path) -> None:
    store.put(CONTENT, max_bytes=10_000)
    (path,) = [path for path in files.rglob("*") if path.is_file()]
    assert path.stat().st_mode & 0o777 == 0o600


def opened(digest: str) -> Iterator[bytes]:
    with store.open_verified(digest) as file:
        return iter([file.read()])


def damage(folder: Path | None, content: bytes) -> None:
    """Change what is stored under DIGEST behind the store's back."""
    storage = storages["artifacts"]
    name = f"{DIGEST[:2]}/{DIGEST}"
    if isinstance(storage, FileSystemStorage):
        Path(storage.path(name)).write_bytes(content)
    else:
        assert isinstance(storage, InMemoryStorage | ObjectStorage)
        storage.delete(name)
        storage.save(name, ContentFile(content))
