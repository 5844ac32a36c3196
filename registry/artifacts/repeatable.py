"""The same estimator as the same bytes, so that what is registered twice is one version.

skops names nodes and files by memory address, and zips stamp the time: neither says anything about the model.
"""

from __future__ import annotations

import io
import json
import zipfile
from typing import Any

_EPOCH = (1980, 1, 1, 0, 0, 0)
_FIRST = 1000


def repeatable(data: bytes) -> bytes:
    """A .skops file of our own writing with its addresses numbered in order, its members sorted and undated."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        numbers: dict[str, int] = {}
        schema = _numbered(json.loads(archive.read("schema.json")), numbers)
        arrays = {
            f"{_number(name.removesuffix('.npy'), numbers)}.npy": archive.read(name)
            for name in archive.namelist()
            if name != "schema.json"
        }
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name in sorted(arrays, key=lambda name: (len(name), name)):
            archive.writestr(zipfile.ZipInfo(name, _EPOCH), arrays[name], zipfile.ZIP_DEFLATED, 1)
        archive.writestr(zipfile.ZipInfo("schema.json", _EPOCH), json.dumps(schema), zipfile.ZIP_DEFLATED, 1)
    return out.getvalue()


def _numbered(value: Any, numbers: dict[str, int]) -> Any:
    """The schema with every address replaced, in the order in which they come."""
    if isinstance(value, list):
        return [_numbered(inner, numbers) for inner in value]
    if not isinstance(value, dict):
        return value
    found = {name: _numbered(inner, numbers) for name, inner in value.items()}
    if "__loader__" in value:  # a node of skops, not a dictionary of the model's own
        if isinstance(value.get("__id__"), int):
            found["__id__"] = _number(str(value["__id__"]), numbers)
        if isinstance(value.get("file"), str):
            found["file"] = f"{_number(value['file'].removesuffix('.npy'), numbers)}.npy"
    return found


def _number(address: str, numbers: dict[str, int]) -> int:
    return numbers.setdefault(address, _FIRST + len(numbers))
