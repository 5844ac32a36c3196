"""How the bytes of a .skops archive lie: members one after the other, then the directory, then nothing.

`zipfile` is more lenient. It finds an archive inside another file, and members that share their bytes: one way to hide
a second file from whoever looks at the first, the other to unpack to a thousand times the size.
"""

from __future__ import annotations

import struct
import zipfile
from typing import IO

_END = struct.Struct("<4s4H2LH")
_LOCAL = struct.Struct("<4s5H3L2H")
_DESCRIPTOR_BYTES = 24  # at most, after a member whose size was not known when its header was written


def check_layout(archive: zipfile.ZipFile) -> None:
    """BadZipFile if a byte of the file belongs to no member, to two, or to something behind the archive."""
    file = archive.fp
    if file is None:
        raise ValueError("the archive must be open but is closed")
    directory = _directory(file)
    starts = sorted({member.header_offset: member for member in archive.infolist()}.items())
    if len(starts) < len(archive.infolist()):
        raise zipfile.BadZipFile("two members share their bytes")
    if not starts or starts[0][0] != 0:
        raise zipfile.BadZipFile("something lies before the first member")
    ends = [start + _length(file, start, member) for start, member in starts]
    slack = [_DESCRIPTOR_BYTES if member.flag_bits & 8 else 0 for _, member in starts]
    follows = [start for start, _ in starts[1:]] + [directory]
    for end, allowed, following in zip(ends, slack, follows, strict=True):
        if not 0 <= following - end <= allowed:
            raise zipfile.BadZipFile("its members overlap, or something lies between them")


def _directory(file: IO[bytes]) -> int:
    """Where the directory begins; it must reach to the end record, and that to the end of the file."""
    size = file.seek(0, 2)
    file.seek(max(size - _END.size, 0))
    record = file.read(_END.size)
    if len(record) < _END.size:
        raise zipfile.BadZipFile("it has no directory")
    mark, _, _, _, _, length, start, comment = _END.unpack(record)
    if mark != b"PK\x05\x06" or comment or start + length != size - _END.size:
        raise zipfile.BadZipFile("something lies behind its directory")
    return int(start)


def _length(file: IO[bytes], start: int, member: zipfile.ZipInfo) -> int:
    """Of the member with its own header, whose name and extra field need not be those of the directory."""
    file.seek(start)
    header = file.read(_LOCAL.size)
    if len(header) < _LOCAL.size:
        raise zipfile.BadZipFile("a member begins behind the end")
    fields = _LOCAL.unpack(header)
    return _LOCAL.size + int(fields[-2]) + int(fields[-1]) + member.compress_size
