"""Where data may be read from, for which team: folders, buckets and databases that the operator names, and no other.

An entry is for every team, or with `team:` before it for that one. Nothing that a person types is opened before it is
known to lie below an entry, symbolic links followed.
"""

from __future__ import annotations

import fnmatch
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, BinaryIO, NamedTuple, cast

from django.conf import settings

from mlops_site.core.entries import Place
from mlops_site.core.errors import Invalid, TooLarge, Unavailable

if TYPE_CHECKING:
    from mlops_site.core.objects import ObjectStorage

MOST_FILES = 10_000
_CHUNK_BYTES = 1 << 20
_IN_MEMORY_BYTES = 8 << 20
_FOLDER = os.O_DIRECTORY | getattr(os, "O_PATH", os.O_RDONLY)  # where there is O_PATH, it need not be readable


class Found(NamedTuple):
    """A file or object; `mark` is another one once its content is."""

    name: str
    size: int
    mark: str


def of_team(places: list[Place], team: str) -> list[Place]:
    return [place for place in places if place.team in ("", team)]


def database(name: str, team: str) -> str:
    """The address that the operator gave this name; Invalid for any other."""
    mine = of_team(settings.SOURCE_DATABASES, team)
    found = next((place.address for place in mine if place.name == name), None)
    if found is None:
        raise _refused("databases", "SOURCE_DATABASES", name, [place.name for place in mine])
    return found


def path_of(location: str, team: str) -> Path:
    """The file or folder that is meant, resolved. Invalid where it is not below a folder of the team's, leads out of
    it, or is not there; whether something exists outside is never told."""
    mine = of_team(settings.DATA_FOLDERS, team)
    plain = os.path.normpath(location)
    for place in mine:
        if "\0" not in location and Path(plain).is_relative_to(place.address):
            try:
                real = Path(plain).resolve()  # not strictly: else links that lead out would tell what is there
            except (OSError, RuntimeError) as error:
                raise _absent(location) from error
            if real.is_relative_to(Path(place.address).resolve()):
                if not os.path.exists(real):
                    raise _absent(location)
                return real
    raise _refused("folders", "DATA_FOLDERS", location, [place.address for place in mine])


def files(location: str, pattern: str, team: str) -> list[Found]:
    """The regular files right in the folder whose names match, by name. A link is one only if it stays inside."""
    folder = path_of(location, team)
    if not folder.is_dir():
        raise Invalid.on("location", f"location must be a folder but {location} is a file", code="not_a_folder")
    found = []
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except PermissionError as error:
        raise _closed(location) from error
    for entry in entries:
        if fnmatch.fnmatchcase(entry.name, pattern) and os.path.isfile(entry):  # a circle of links is none
            if entry.is_symlink():
                path_of(f"{location}/{entry.name}", team)
            looked = entry.stat()
            found.append(Found(entry.name, looked.st_size, _mark(looked)))
        if len(found) > MOST_FILES:
            raise _too_many(location)
    return found


@contextmanager
def opened(location: str, team: str, *, max_bytes: int) -> Iterator[BinaryIO]:
    """A private copy, at its start, of a file that did not change while it was read. Unavailable `still_changing` where
    it did, TooLarge, Invalid as `path_of` and for what is no regular file."""
    path = path_of(location, team)
    with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY_BYTES) as copy:
        if not path.is_file():
            raise Invalid.on("location", f"location must be a file but {location} is none", code="not_a_file")
        try:
            handle = _handle(path)
        except PermissionError as error:
            raise _closed(location) from error
        except OSError as error:
            raise _changing(location) from error
        with os.fdopen(handle, "rb") as file:
            before = os.fstat(handle)
            _copy(file, copy, max_bytes)
            if not _is_still(path, before):
                raise _changing(location)
        yield cast(BinaryIO, copy)


def _handle(path: Path) -> int:
    """A resolved path, opened one folder after the other: what became a link since it was looked at is not followed."""
    at = os.open(path.anchor, _FOLDER)
    try:
        for name in path.parts[1:-1]:
            inner = os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=at)
            os.close(at)
            at = inner
        # Not blocking: a pipe put there meanwhile would wait for its writer.
        return os.open(path.name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=at)
    finally:
        os.close(at)


def _copy(file: IO[bytes], copy: IO[bytes], max_bytes: int) -> None:
    size = 0
    while chunk := file.read(_CHUNK_BYTES):
        size += len(chunk)
        if size > max_bytes:
            raise TooLarge.on(
                "location", f"the file must be at most {max_bytes:,} bytes but has more", code="too_large"
            )
        copy.write(chunk)
    copy.seek(0)


def _is_still(path: Path, before: os.stat_result) -> bool:
    """Whether the same, unchanged file is still under the name."""
    try:
        now = os.stat(path)
    except OSError:
        return False
    return _mark(now) == _mark(before)


def _mark(looked: os.stat_result) -> str:
    return f"{looked.st_ino}:{looked.st_size}:{looked.st_mtime_ns}"


def objects(location: str, pattern: str, team: str) -> list[Found]:
    """The objects right under the prefix whose names match, by name. Unavailable where the store does not answer."""
    bucket, prefix = _allowed(location, team)
    listed = _bucket(bucket).objects(f"{prefix.rstrip('/')}/" if prefix else "", most=MOST_FILES)
    if listed is None:
        raise _too_many(location)
    return sorted(Found(*each) for each in listed if fnmatch.fnmatchcase(each[0], pattern))


@contextmanager
def object_opened(location: str, team: str, *, max_bytes: int) -> Iterator[BinaryIO]:
    """A private copy of one object as it is at one moment. Invalid, TooLarge, Unavailable."""
    bucket, key = _allowed(location, team)
    with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY_BYTES) as copy:
        try:
            with _bucket(bucket).body(key) as body:
                _copy(body, copy, max_bytes)
        except FileNotFoundError:
            raise _absent(location) from None
        yield cast(BinaryIO, copy)


def bucket_of(location: str, team: str) -> None:
    """Invalid unless the team may read there."""
    _allowed(location, team)


def _allowed(location: str, team: str) -> tuple[str, str]:
    """(bucket, key) of an s3:// address below an entry of the team's."""
    mine = of_team(settings.DATA_BUCKETS, team)
    bucket, _, key = location.removeprefix("s3://").partition("/")
    whole = f"{bucket}/{key}".rstrip("/")
    steps = key.split("/")
    if location.startswith("s3://") and not {".", ".."} & set(steps) and "" not in steps[:-1]:
        for place in mine:
            if whole == place.address or whole.startswith(f"{place.address}/"):
                return bucket, key
    raise _refused("buckets", "DATA_BUCKETS", location, [f"s3://{place.address}" for place in mine])


def _bucket(name: str) -> ObjectStorage:
    from mlops_site.core.objects import ObjectStorage  # boto3 is there only with the extra `s3`

    return ObjectStorage(bucket_name=name, **settings.DATA_STORE)


def _refused(what: str, setting: str, got: str, mine: list[str]) -> Invalid:
    known = f"{', '.join(mine)}" if mine else f"none; the operator names them in {setting}"
    message = f"location must be of the {what} that the team may read ({known}) but got {got[:200]!r}"
    return Invalid.on("location", message, code="place_not_allowed")


def _absent(location: str) -> Invalid:
    return Invalid.on("location", f"location must be there but nothing is at {location[:200]}", code="nothing_there")


def _closed(location: str) -> Invalid:
    message = f"location must be readable for this site but {location[:200]} is not; its operator can change that"
    return Invalid.on("location", message, code="not_readable")


def _changing(location: str) -> Unavailable:
    message = f"{location} changed while it was read; try again once it is written"
    return Unavailable(message, code="still_changing", retry_after_secs=5)


def _too_many(location: str) -> Invalid:
    message = f"{location[:200]} must have at most {MOST_FILES:,} files that match but has more; narrow the pattern"
    return Invalid.on("location", message, code="too_many_files")
