"""Content-addressed store: a file is named by its sha256, and the name is checked again at every read.

Two people who store the same bytes get the same digest and one file. A digest is the only thing that ever
becomes a path here, and only after its syntax was checked.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import re
import tempfile
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import IO, ClassVar, NamedTuple, Protocol, runtime_checkable

from django.core.files import File
from django.core.files.storage import FileSystemStorage, Storage, storages

from mlops_site.core.errors import FieldError, Invalid, NotFound, StewardError, StorageFull, TooLarge

_DIGEST = re.compile(r"[0-9a-f]{64}")
_CHUNK_BYTES = 1 << 20
_IN_MEMORY_BYTES = 8 << 20
_UNFINISHED = ".part-"


@runtime_checkable
class Renewing(Protocol):
    """An object store that writes over an object in one step, and can make one younger; see core.objects."""

    def renew(self, name: str) -> None: ...


class ArtifactDamaged(StewardError):
    """The stored bytes are not the ones that were stored under this digest; nothing of them may be used."""

    status: int = 500
    title: str = "Artifact damaged"
    default_code: ClassVar[str] = "artifact_damaged"


class Stored(NamedTuple):
    """What was stored: lower-case hexadecimal sha256, and the size in bytes."""

    digest: str
    size: int


def put(content: IO[bytes] | bytes, *, max_bytes: int) -> Stored:
    """Store the bytes, of a file from its start, and return their digest. Storing the same bytes again changes
    nothing but their age.

    The file appears under its digest only when it is complete. More than `max_bytes` -> TooLarge, no room on the disk
    -> StorageFull, and nothing is kept.
    """
    try:
        return _put(content, max_bytes=max_bytes)
    except OSError as error:
        if (full := StorageFull.of(error)) is None:
            raise
        raise full from error


def _put(content: IO[bytes] | bytes, *, max_bytes: int) -> Stored:
    stream = io.BytesIO(content) if isinstance(content, bytes) else content
    stream.seek(0)
    with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY_BYTES) as spool:
        stored = _spool(stream, spool, max_bytes=max_bytes)
        # A damaged file under this digest is replaced: whoever puts the right bytes again repairs the store.
        _renew(stored.digest)  # first, so that no sweep takes the file between the check and the answer
        if not _is_intact(stored.digest):
            spool.seek(0)
            _publish(spool, stored.digest)
    return stored


def read(digest: str) -> bytes:
    """All bytes stored under the digest, checked against it. NotFound, or ArtifactDamaged if they differ."""
    with _open(digest) as file:
        content = file.read()
    actual = hashlib.sha256(content).hexdigest()
    if actual != digest:
        raise _damaged(digest, actual)
    return content


@contextlib.contextmanager
def open_verified(digest: str) -> Iterator[IO[bytes]]:
    """A readable file, at its start, of bytes that were checked against the digest.

    It is a private copy: what is read is what was checked, even if the stored file changes meanwhile.
    """
    with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY_BYTES) as spool:
        with _open(digest) as file:
            actual = _spool(file, spool, max_bytes=None).digest
        if actual != digest:
            raise _damaged(digest, actual)
        spool.seek(0)
        yield spool


def exists(digest: str) -> bool:
    """Whether something is stored under the digest; `read` tells whether it is intact."""
    return _storage().exists(_name(digest))


def digests() -> Iterator[str]:
    """Of everything that is stored, in no order."""
    storage = _storage()
    if isinstance(storage, FileSystemStorage) and not os.path.isdir(storage.location):
        return
    for folder in storage.listdir("")[0]:
        yield from (name for name in storage.listdir(folder)[1] if _DIGEST.fullmatch(name))


def stored_at(digest: str) -> datetime:
    """When the bytes were stored under the digest, or stored again."""
    return _storage().get_modified_time(_name(digest))


def delete(digest: str) -> None:
    """Forget what is stored under the digest; nothing happens where nothing is."""
    _storage().delete(_name(digest))


def _storage() -> Storage:
    return storages["artifacts"]


def _name(digest: str) -> str:
    if not _DIGEST.fullmatch(digest):
        message = f"digest must be 64 lower-case hexadecimal digits but got {digest[:80]!r}"
        raise Invalid(message, code="bad_digest", errors=[FieldError("digest", "bad_digest", message)])
    return f"{digest[:2]}/{digest}"


def _spool(source: IO[bytes], target: IO[bytes], *, max_bytes: int | None) -> Stored:
    sha, size = hashlib.sha256(), 0
    while chunk := source.read(_CHUNK_BYTES):
        size += len(chunk)
        if max_bytes is not None and size > max_bytes:
            message = f"artifact must be at most {max_bytes} bytes but got more"
            raise TooLarge(message, errors=[FieldError("artifact", "too_large", message)])
        sha.update(chunk)
        target.write(chunk)
    return Stored(sha.hexdigest(), size)


def _open(digest: str) -> IO[bytes]:
    try:
        return _storage().open(_name(digest), "rb")
    except FileNotFoundError:
        raise NotFound(f"no artifact is stored under digest {digest}", code="artifact_not_found") from None


def _damaged(digest: str, actual: str) -> ArtifactDamaged:
    return ArtifactDamaged(
        f"artifact {digest} is damaged: its bytes now have sha256 {actual}; "
        "restore the file from a backup, or upload the original again"
    )


def _is_intact(digest: str) -> bool:
    try:
        with open_verified(digest):
            return True
    except (NotFound, ArtifactDamaged):
        return False


def _renew(digest: str) -> None:
    """As if stored now: an old file that no row names yet is no orphan once somebody has stored it again."""
    storage = _storage()
    if isinstance(storage, FileSystemStorage):
        with contextlib.suppress(FileNotFoundError):
            now = time.time_ns()  # what the kernel sets by itself is some milliseconds behind the clock that rows take
            os.utime(storage.path(_name(digest)), ns=(now, now))
    elif isinstance(storage, Renewing):
        storage.renew(_name(digest))


def knows_age() -> bool:
    """Whether what is stored again gets younger."""
    return isinstance(_storage(), FileSystemStorage | Renewing)


def delete_unfinished(*, before: datetime) -> int:
    """Forget what writers that were killed left half-written before then, and count it. An object store has no such."""
    storage, count = _storage(), 0
    if isinstance(storage, FileSystemStorage):
        for path in Path(storage.location).glob(f"*/{_UNFINISHED}*"):
            with contextlib.suppress(FileNotFoundError):  # finished meanwhile
                if path.stat().st_mtime < before.timestamp():
                    path.unlink()
                    count += 1
    return count


def _publish(content: IO[bytes], digest: str) -> None:
    storage, name = _storage(), _name(digest)
    if isinstance(storage, FileSystemStorage):
        _publish_file(content, Path(storage.path(name)), mode=storage.file_permissions_mode or 0o600)
        return
    if not isinstance(storage, Renewing):  # it would give the second of two another name
        storage.delete(name)
    storage.save(name, File(content))


def _publish_file(content: IO[bytes], path: Path, *, mode: int) -> None:
    if not path.parent.is_dir():
        path.parent.mkdir(parents=True, exist_ok=True)
        _sync_directory(path.parent.parent)
    handle, temporary = tempfile.mkstemp(prefix=_UNFINISHED, dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            while chunk := content.read(_CHUNK_BYTES):
                file.write(chunk)
            os.fchmod(file.fileno(), mode)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
    _sync_directory(path.parent)


def _sync_directory(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)  # without it the rename itself may be lost with the power
    finally:
        os.close(handle)
