"""Bodies as they were sent: bounded, and unpacked where they come gzipped."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from typing import IO, Any

from django.conf import settings
from rest_framework.exceptions import UnsupportedMediaType

from mlops_site.core.errors import Malformed, TooLarge

GZIP = 16 + zlib.MAX_WBITS  # what tells zlib to read gzip


def body_of(stream: IO[bytes], context: Mapping[str, Any] | None) -> bytes:
    """The body, unpacked if its Content-Encoding is gzip. Raises TooLarge for more than DATA_UPLOAD_MAX_MEMORY_SIZE
    bytes, packed or not; Malformed for broken gzip; DRF's UnsupportedMediaType for another encoding."""
    limit = int(settings.DATA_UPLOAD_MAX_MEMORY_SIZE)
    data = stream.read(limit + 1)
    if len(data) > limit:
        raise TooLarge(f"the body must be at most {limit} bytes but got more")
    request = (context or {}).get("request")
    encoding = "" if request is None else request.headers.get("Content-Encoding", "").strip().lower()
    if encoding in ("", "identity"):
        return data
    if encoding != "gzip":
        raise UnsupportedMediaType(encoding, f"Content-Encoding must be gzip or left out but got {encoding[:40]!r}")
    return _unpacked(data, limit)


def _unpacked(data: bytes, limit: int) -> bytes:
    """A bomb is noticed after `limit` bytes, and never unpacked further. A file may have several members."""
    parts, room = [], limit + 1
    try:
        while data and room > 0:
            unpacker = zlib.decompressobj(GZIP)
            parts.append(unpacker.decompress(data, room))
            room -= len(parts[-1])
            if room > 0 and not unpacker.eof:
                raise Malformed("the gzip body ends before its end; send it whole")
            data = unpacker.unused_data
    except zlib.error as error:
        raise Malformed(f"the body must be gzip, as Content-Encoding says, but {error}"[:300]) from None
    if room <= 0:
        message = f"the body must be at most {limit} bytes unpacked but is more; send it in parts"
        raise TooLarge(message, code="too_large")
    return b"".join(parts)
