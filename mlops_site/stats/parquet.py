"""What a Parquet file comes to once it is unpacked, by the headers of its pages. Its footer says so too, but is only as
honest as whoever wrote the file, and the reader makes room for what the headers say.

Both are structs of Thrift's compact protocol; see parquet.thrift and thrift-compact-protocol.md. They are read here
because pyarrow ends the process where the statistics of a column do not agree (25.0, `RowGroupMetaData.column`).
"""

from __future__ import annotations

from typing import Any

MAX_PAGES, MAX_ITEMS = 200_000, 200_000
_DEPTH = 10
_TRUE, _FALSE, _BYTE, _INTS, _DOUBLE, _BINARY, _LISTS, _STRUCT = 1, 2, 3, (4, 5, 6), 7, 8, (9, 10), 12
_ROW_GROUPS, _COLUMNS, _ABOUT = 4, 1, 3  # fields of FileMetaData, RowGroup, ColumnChunk
_VALUES, _LENGTH, _DATA, _DICTIONARY = 5, 7, 9, 11  # of ColumnMetaData
_UNPACKED, _PACKED = 2, 3  # of PageHeader


def unpacked_bytes(data: bytes) -> int:
    """Of all pages together. IndexError where a page does not lie in its column, or there are more than MAX_PAGES."""
    footer = int.from_bytes(data[-8:-4], "little")
    if not 0 < footer <= len(data) - 12:
        raise IndexError("the footer lies outside the file")
    found = _struct(data, len(data) - 8 - footer, _DEPTH)[1]
    total, pages = 0, 0
    for at, end in (place for group in _inner(found, _ROW_GROUPS) for place in _places(group, len(data))):
        while at < end:
            at, header = _struct(data, at, _DEPTH)
            unpacked, packed = _size(header, _UNPACKED), _size(header, _PACKED)
            pages += 1
            if min(unpacked, packed) < 0 or pages > MAX_PAGES:
                raise IndexError("a page has no size, or there are too many")
            total, at = total + unpacked, at + packed
    return total


def _places(group: dict[int, Any], size: int) -> list[tuple[int, int]]:
    """From where to where the pages of each column lie, as the reader takes them."""
    found = []
    for column in _inner(group, _COLUMNS):
        about = column.get(_ABOUT)
        if not isinstance(about, dict) or not about.get(_VALUES):
            continue  # nothing of it is read
        start, length, dictionary = (_size(about, field) for field in (_DATA, _LENGTH, _DICTIONARY))
        if 0 < dictionary < start:
            start = dictionary
        if min(start, length) < 0 or start + length > size:
            raise IndexError("a column lies outside the file")
        found.append((start, start + length))
    return found


def _inner(struct: dict[int, Any], field: int) -> list[dict[int, Any]]:
    found = struct.get(field)
    return [each for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def _size(struct: dict[int, Any], field: int) -> int:
    """A whole number; -1 where there is none."""
    found = struct.get(field)
    return found if isinstance(found, int) else -1


def _struct(data: bytes, at: int, depth: int) -> tuple[int, dict[int, Any]]:
    """Where the struct at `at` ends, and its whole numbers, structs and lists of structs by field."""
    if not depth:
        raise IndexError("it is nested too deep")
    field, found = 0, dict[int, Any]()
    while head := data[at]:
        at, kind = at + 1, head & 15
        if head >> 4:
            field += head >> 4
        else:
            at, field = _number(data, at)
        if kind not in (_TRUE, _FALSE):  # which is the value itself
            at, found[field] = _value(data, at, kind, depth)
    return at + 1, found


def _value(data: bytes, at: int, kind: int, depth: int) -> tuple[int, Any]:
    """Where a value ends, and the value; None of what says nothing here."""
    if kind in _INTS:
        return _number(data, at)
    if kind == _STRUCT:
        return _struct(data, at, depth - 1)
    if kind in _LISTS:
        return _list(data, at, depth)
    if kind == _BINARY:
        at, length = _varint(data, at)
        return at + length, None
    if kind in (_TRUE, _FALSE, _BYTE):
        return at + 1, None
    if kind == _DOUBLE:
        return at + 8, None
    raise IndexError("it has a field that is none")


def _list(data: bytes, at: int, depth: int) -> tuple[int, list[Any]]:
    count, kind = data[at] >> 4, data[at] & 15
    at += 1
    if count == 15:
        at, count = _varint(data, at)
    if not depth or count > MAX_ITEMS:
        raise IndexError("it has a list that is too long")
    found = []
    for _ in range(count):
        at, each = _value(data, at, kind, depth - 1)
        if kind == _STRUCT:
            found.append(each)
    return at, found


def _number(data: bytes, at: int) -> tuple[int, int]:
    at, raw = _varint(data, at)
    return at, (raw >> 1) ^ -(raw & 1)


def _varint(data: bytes, at: int) -> tuple[int, int]:
    found, shift = 0, 0
    while shift < 70:
        byte = data[at]
        found, shift, at = found | (byte & 127) << shift, shift + 7, at + 1
        if byte < 128:
            return at, found
    raise IndexError("it has a number that does not end")
