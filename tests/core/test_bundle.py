"""ZIPs with a manifest: their memory is bounded, and no entry of a foreign one is trusted."""

from __future__ import annotations

import io
import json
import os
import tracemalloc
import zipfile

import pytest

from mlops_site.core import bundle, store

SIZE = 48 << 20


@pytest.mark.django_db
def test_packing_and_checking_a_large_file_takes_little_memory() -> None:
    content = os.urandom(SIZE)
    stored = store.put(content, max_bytes=SIZE)
    del content
    tracemalloc.start()
    with bundle.pack({"model.skops": stored}, about={}) as file:
        assert list(bundle.faults(bundle.unpack(file))) == []
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < SIZE / 2


def test_the_order_in_which_files_are_given_is_not_seen() -> None:
    files: dict[str, bundle.Content] = {"b.txt": b"b", "a.txt": b"a"}
    packed = []
    for given in (files, dict(reversed(files.items()))):
        with bundle.pack(given, about={"x": 1}) as file:
            packed.append(file.read())
    assert packed[0] == packed[1]


def test_a_compressed_bomb_is_named_and_not_inflated() -> None:
    sink = io.BytesIO()
    manifest = {"about": {}, "files": {"bomb": {"sha256": "0" * 64, "size": 1 << 30}}}
    with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("manifest.json", json.dumps(manifest))
        archive.writestr("bomb", bytes(64 << 20))
    tracemalloc.start()
    said = list(bundle.faults(bundle.unpack(sink)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert any(sentence.startswith("bomb has") for sentence in said)
    assert peak < 16 << 20


@pytest.mark.parametrize("manifest", [b"[]", b'{"about": 3, "files": {}}', b'{"files": {}}', b"\xff", b"{"])
def test_a_manifest_that_is_none_is_said(manifest: bytes) -> None:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        archive.writestr("manifest.json", manifest)
    with pytest.raises(ValueError, match="no evidence file"):
        bundle.unpack(sink)
