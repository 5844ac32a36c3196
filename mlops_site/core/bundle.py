"""A ZIP of named files with a signed manifest of their digests: the same files are the same bytes, on any machine."""

from __future__ import annotations

import hashlib
import hmac
import json
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from typing import IO, Any, NamedTuple

from mlops_site.core import store
from mlops_site.core.events import canonical, link
from mlops_site.core.store import Stored

MANIFEST, SUMS, SIGNATURE = "manifest.json", "SHA256SUMS", "manifest.hmac"
MAX_FILES = 10_000
MAX_TEXT = 64 << 20  # bytes of a file that is read whole
_CHUNK_BYTES = 1 << 20
_IN_MEMORY_BYTES = 8 << 20
_SIGNED_AS = "evidence"

Content = bytes | Stored
"""Bytes, or what the store holds under a digest."""


def pack(files: Mapping[str, Content], *, about: Mapping[str, Any]) -> IO[bytes]:
    """The ZIP, at its start, in memory or beyond 8 MB on disk. Nothing in it depends on the time or the machine.

    Raises ArtifactDamaged or NotFound for a stored file that is not what its digest says.
    """
    listed = {path: _stored(content) for path, content in sorted(files.items())}
    manifest = _manifest(listed, about)
    sums = {MANIFEST: _stored(manifest), **listed}
    own: dict[str, Content] = {
        MANIFEST: manifest,
        SIGNATURE: f"{_signature(manifest)}\n".encode(),
        SUMS: "".join(f"{found.digest}  {path}\n" for path, found in sums.items()).encode(),
    }
    spool = tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY_BYTES)  # noqa: SIM115  (the caller closes it)
    try:
        with zipfile.ZipFile(spool, "w", zipfile.ZIP_STORED) as archive:
            for path, content in {**own, **dict(sorted(files.items()))}.items():
                _add(archive, path, content)
    except BaseException:
        spool.close()
        raise
    spool.seek(0)
    return spool


def _stored(content: Content) -> Stored:
    if isinstance(content, Stored):
        return content
    return Stored(hashlib.sha256(content).hexdigest(), len(content))


def _manifest(listed: Mapping[str, Stored], about: Mapping[str, Any]) -> bytes:
    files = {path: {"sha256": found.digest, "size": found.size} for path, found in listed.items()}
    said = {"format": "steward-evidence-1", "about": about, "files": files}
    return (json.dumps(said, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n").encode()


def _signature(manifest: bytes) -> str:
    return link(_SIGNED_AS, hashlib.sha256(manifest).hexdigest())


def _add(archive: zipfile.ZipFile, path: str, content: Content) -> None:
    entry = zipfile.ZipInfo(path)  # of 1 January 1980
    entry.create_system, entry.external_attr = 3, 0o644 << 16  # else it tells the machine apart
    entry.file_size = _stored(content).size
    with archive.open(entry, "w") as target:
        if isinstance(content, bytes):
            target.write(content)
            return
        with store.open_verified(content.digest) as source:
            while chunk := source.read(_CHUNK_BYTES):
                target.write(chunk)


class Opened(NamedTuple):
    """A ZIP that can be read: the manifest's `about`, and its files by path."""

    archive: zipfile.ZipFile
    about: dict[str, Any]
    files: dict[str, dict[str, Any]]

    def text(self, path: str) -> str:
        """The text of one file of bounded size."""
        if self.archive.getinfo(path).file_size > MAX_TEXT:
            raise ValueError(f"{path} has more than {MAX_TEXT:,} bytes")
        return self.archive.read(path).decode()


def unpack(file: IO[bytes]) -> Opened:
    """Open a ZIP that `pack` may have made; ValueError says why it is none. Nothing is written to disk."""
    try:
        archive = zipfile.ZipFile(file)
        entries = archive.infolist()
        if len(entries) > MAX_FILES or archive.getinfo(MANIFEST).file_size > MAX_TEXT:
            raise ValueError("it has more files, or a larger manifest, than any that was written here")
        said = json.loads(archive.read(MANIFEST))
        found = Opened(archive, dict(said["about"]), dict(said["files"]))
    except (
        zipfile.BadZipFile,
        KeyError,
        TypeError,
        UnicodeDecodeError,
        json.JSONDecodeError,
        NotImplementedError,
    ) as e:
        raise ValueError(f"it is no evidence file: {e!s:.200}") from e
    return found


def faults(opened: Opened) -> Iterator[str]:
    """A sentence for each file that is missing, changed or not in the manifest; nothing when all is as it was."""
    manifest = opened.archive.read(MANIFEST)
    signature = _read(opened, SIGNATURE)
    if signature is None or not hmac.compare_digest(signature.strip(), _signature(manifest).encode()):
        yield f"{MANIFEST} is not signed by this install's AUDIT_KEY"
    names = [entry.filename for entry in opened.archive.infolist()]
    for path in sorted(name for name in set(names) if names.count(name) > 1):
        yield f"{path} is in it twice"
    for path in sorted(set(names) - set(opened.files) - {MANIFEST, SUMS, SIGNATURE}):
        yield f"{path} is not in the manifest"
    for path, wanted in opened.files.items():
        if path not in names:
            yield f"{path} is missing"
        elif (why := _changed(opened, path, wanted)) != "":
            yield f"{path} {why}"


def _read(opened: Opened, path: str) -> bytes | None:
    try:
        return opened.archive.read(path) if opened.archive.getinfo(path).file_size < 1000 else None
    except (KeyError, zipfile.BadZipFile, NotImplementedError):
        return None


def _changed(opened: Opened, path: str, wanted: Mapping[str, Any]) -> str:
    entry = opened.archive.getinfo(path)
    if entry.compress_type != zipfile.ZIP_STORED or entry.file_size != wanted.get("size"):
        return f"has {entry.file_size} bytes, not the {wanted.get('size')} of the manifest"
    sha = hashlib.sha256()
    try:
        with opened.archive.open(entry) as source:
            while chunk := source.read(_CHUNK_BYTES):
                sha.update(chunk)
    except zipfile.BadZipFile as error:
        return f"cannot be read: {error}"
    actual = sha.hexdigest()
    return "" if actual == wanted.get("sha256") else f"has sha256 {actual}, not {wanted.get('sha256')}"


def lines_of(values: Any) -> bytes:
    """JSON values as lines of canonical JSON."""
    return "".join(f"{canonical(value)}\n" for value in values).encode()


def document(value: Any) -> bytes:
    """A JSON value as a person reads it, the same for equal values."""
    return (json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n").encode()
