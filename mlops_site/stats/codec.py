"""A header and an array of integers as bytes: versioned, bounded, the same bytes for the same content."""

from __future__ import annotations

import json
import re
import zlib
from typing import Any

import numpy as np
import orjson
from numpy.typing import NDArray

MAGIC = b"SPF1"
LARGEST_BYTES = 64 * 1024 * 1024
_LONG = re.compile(rb"[:,\[-][0-9]{18}")


def payload(header: dict[str, Any], counts: NDArray[np.int64]) -> bytes:
    """Length of the header (4 bytes, little end first), the header as JSON, the counts as 8 bytes each."""
    text = json.dumps(header, separators=(",", ":"), allow_nan=False).encode()
    return len(text).to_bytes(4, "little") + text + counts.astype("<i8").tobytes()


def pack(header: dict[str, Any], counts: NDArray[np.int64], *, magic: bytes = MAGIC) -> bytes:
    """The payload, compressed, behind four bytes that name format and version."""
    return magic + zlib.compress(payload(header, counts), 6)


def unpack(data: bytes, *, magic: bytes = MAGIC, what: str = "profile") -> tuple[dict[str, Any], NDArray[np.int64]]:
    """The reverse of `pack`; ValueError for anything else, and for more than 64 MiB once unpacked."""
    if data[:4] != magic:
        raise ValueError(f"{what} must begin with {magic!r} but got {data[:4]!r}")
    unzip = zlib.decompressobj()
    try:
        content = unzip.decompress(data[4:], LARGEST_BYTES)
    except zlib.error as error:
        raise ValueError(f"{what} must be intact but got corrupt bytes: {error}") from error
    if not unzip.eof or unzip.unused_data:
        raise ValueError(f"{what} must be whole and up to {LARGEST_BYTES} bytes but got {len(data)} bytes")
    size = int.from_bytes(content[:4], "little")
    if len(content) < 4 + size or (len(content) - 4 - size) % 8:
        raise ValueError(f"{what} must hold a header of {size} bytes and counts but got {len(content)} bytes")
    text = content[4 : 4 + size]
    try:
        # The quick reader rounds whole numbers of more than 64 bits.
        header = json.loads(text) if _LONG.search(text) else orjson.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{what} must have a flat header in JSON but got another: {error!r}"[:300]) from error
    if not isinstance(header, dict):
        raise ValueError(f"{what} must have a header with fields but got {header!r}")
    return header, np.frombuffer(content, dtype="<i8", offset=4 + size).astype(np.int64)
