"""Every byte of an archive belongs to one member or to the directory."""

from __future__ import annotations

import copy
import io
import zipfile
from collections.abc import Callable

import pytest

from registry.artifacts.layout import check_layout


def archive(change: Callable[[zipfile.ZipFile], None] = lambda file: None, comment: bytes = b"") -> bytes:
    """Two members, with `change` between them."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        file.writestr("1.npy", b"first" * 100)
        change(file)
        file.writestr("2.npy", b"second" * 100)
        file.comment = comment
    return out.getvalue()


def look(data: bytes) -> None:
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        check_layout(file)


def hide(file: zipfile.ZipFile) -> None:
    assert file.fp is not None
    file.fp.write(b"something between")
    file.start_dir = file.fp.tell()


def share(file: zipfile.ZipFile) -> None:
    twin = copy.copy(file.infolist()[0])
    twin.filename = twin.orig_filename = "3.npy"
    file.filelist.append(twin)


def overlap(file: zipfile.ZipFile) -> None:
    twin = copy.copy(file.infolist()[0])
    twin.filename = twin.orig_filename = "3.npy"
    twin.header_offset += 40
    file.filelist.append(twin)


def streamed() -> bytes:
    """As one is written that cannot go back: sizes stand behind the members."""

    class Forward(io.BytesIO):
        def seekable(self) -> bool:
            return False

        def seek(self, *_: int) -> int:
            raise io.UnsupportedOperation

        def tell(self) -> int:
            raise io.UnsupportedOperation

    out = Forward()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("1.npy", b"first" * 100)
        file.writestr("2.npy", b"second" * 100)
    return out.getvalue()


def test_an_archive_without_gaps_passes() -> None:
    look(archive())
    look(streamed())


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (archive(hide), "lies between"),
        (archive(share), "share their bytes"),
        (archive(overlap), "overlap"),
        (archive(comment=b"hello"), "behind its directory"),
        (archive() + b"tail", "behind its directory"),
        (b"#!/bin/sh\n" + archive(), "before the first|behind its directory"),
    ],
    ids=["gap", "shared", "overlapping", "comment", "tail", "head"],
)
def test_what_is_hidden_is_found(data: bytes, said: str) -> None:
    with pytest.raises(zipfile.BadZipFile, match=said):
        look(data)
