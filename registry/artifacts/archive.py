"""What a file is by its first bytes, and whether a .skops archive may be opened at all. Loads nothing."""

from __future__ import annotations

import io
import json
import re
import stat
import zipfile
import zlib
from collections.abc import Collection, Iterable, Iterator
from typing import IO, Any, Literal

from mlops_site.core.errors import FieldError, Invalid
from registry.artifacts.layout import check_layout
from registry.artifacts.trust import NAMED_LOADERS, PLAIN_LOADERS, added

Format = Literal["skops", "onnx"]

MAX_MEMBERS = 50_000
MAX_UNPACKED_BYTES = 1 << 30
MAX_SCHEMA_BYTES = 128 << 20
PROTOCOL = 2

_MEMBER = re.compile(r"schema\.json|[0-9]{1,20}\.npy")
_PICKLES = (
    b"\x80\x02",
    b"\x80\x03",
    b"\x80\x04",
    b"\x80\x05",
    b"(",
    b"c",
    b"]",
    b"}",
    b"I",
    b"S",
    b"V",
    b"X",
    b"\x8c",
)
_COMPRESSED = (
    b"\x1f\x8b",
    b"BZh",
    b"\xfd7zXZ",
    b"\x5d\x00\x00",
    b"x\x01",
    b"x\x5e",
    b"x\x9c",
    b"x\xda",
    b"\x04\x22\x4d\x18",
)
_CONVERT = (
    "nothing is ever unpickled here; open the file where it was made, and save it again with "
    'skops.io.dump(model, "model.skops")'
)


def refused(code: str, message: str) -> Invalid:
    """The refusal of an artifact, on the request's field `artifact`."""
    return Invalid(message, code=code, errors=[FieldError("artifact", code, message)])


def sniff(data: bytes) -> Format:
    """The format that the bytes really have; Invalid for anything that is neither skops nor ONNX.

    >>> sniff(bytes([8, 9, 18, 7]))
    'onnx'
    """
    if not data:
        raise refused("empty_artifact", "the artifact must be a .skops or .onnx file but got an empty file")
    if data.startswith(b"PK\x03\x04"):
        return "skops"
    if data.startswith(b"\x08"):  # field 1 of an ONNX model, its IR version
        return "onnx"
    if data.startswith(_PICKLES):
        raise refused("pickle_refused", f"the artifact must be a .skops or .onnx file but got a pickle; {_CONVERT}")
    if data.startswith(_COMPRESSED):
        message = f"the artifact must be a .skops or .onnx file but got a compressed pickle (joblib); {_CONVERT}"
        raise refused("pickle_refused", message)
    raise refused("unknown_format", f"the artifact must be a .skops or .onnx file but begins with {data[:8]!r}")


def check_archive(data: bytes, *, trust: Collection[str]) -> frozenset[str]:
    """Prove that a .skops archive is whole, small enough unpacked, and names nothing but trusted types; the types of
    the operator's that it needs.

    Invalid: `pickle_refused`, `unsafe_member`, `too_large_unpacked`, `damaged_archive`, `untrusted_type`.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            _check_members(archive.infolist())
            check_layout(archive)
            for member in archive.infolist():
                _check_content(archive, member)
            nodes = _checked_nodes(archive.read("schema.json"), trust)
            _check_used(archive.namelist(), nodes)
            return frozenset(_named(nodes) & added(trust))
    except (
        zipfile.BadZipFile,
        zlib.error,
        EOFError,
        KeyError,
        NotImplementedError,
        RuntimeError,
        ValueError,
    ) as error:
        reason = "its schema is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise refused("damaged_archive", f"the .skops file is damaged or cut off: {reason:.200}") from error


def _check_members(members: list[zipfile.ZipInfo]) -> None:
    names = [member.filename for member in members]
    if "schema.json" not in names:
        if any(name.endswith((".pkl", ".pickle", ".joblib")) for name in names):
            raise refused("pickle_refused", f"the artifact must be a .skops file but holds a pickle; {_CONVERT}")
        raise refused("unknown_format", "the artifact must be a .skops file but is a zip without schema.json")
    if len(members) > MAX_MEMBERS or len(set(names)) < len(names):
        message = f"the .skops file must have at most {MAX_MEMBERS} members, each once, but has {len(members)}"
        raise refused("unsafe_member", message)
    for member in members:
        mode = member.external_attr >> 16
        regular = stat.S_IFMT(mode) in (0, stat.S_IFREG)
        if not _MEMBER.fullmatch(member.orig_filename) or not regular or member.flag_bits & 1:
            message = f"the .skops file has a member that skops does not write: {member.orig_filename[:80]!r}"
            raise refused("unsafe_member", message)
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise refused("unsafe_member", f"member {member.filename!r} is packed in a way that skops does not use")
    _check_size(sum(member.file_size for member in members))


def _check_size(unpacked: int) -> None:
    if unpacked > MAX_UNPACKED_BYTES:
        message = f"the .skops file must unpack to at most {MAX_UNPACKED_BYTES} bytes but would take {unpacked}"
        raise refused("too_large_unpacked", message)


def _check_content(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> None:
    """Unpack once without keeping it: the checksum and the true size, not what the directory declares."""
    actual = 0
    with archive.open(member) as content:
        while chunk := content.read(1 << 20):
            actual += len(chunk)
    if actual != member.file_size:
        raise zipfile.BadZipFile(f"member {member.filename} declares {member.file_size} bytes but has {actual}")
    if member.filename == "schema.json" and actual > MAX_SCHEMA_BYTES:
        raise refused("too_large_unpacked", f"schema.json must be at most {MAX_SCHEMA_BYTES} bytes but has {actual}")


def _checked_nodes(text: bytes, trust: Collection[str]) -> list[dict[str, Any]]:
    schema = json.loads(text)
    if not isinstance(schema, dict) or type(schema.get("protocol")) is not int or schema["protocol"] != PROTOCOL:
        protocol = schema.get("protocol") if isinstance(schema, dict) else None
        message = f"the .skops file must have protocol {PROTOCOL} but has {protocol!r:.80}; save it with skops 0.16"
        raise refused("damaged_archive", message)
    trusted, operators, unknown, nodes = set(trust), added(trust), set(), list(_nodes(schema))
    for node in nodes:
        loader, name = str(node["__loader__"]), _name(node)
        if loader in NAMED_LOADERS:
            allowed = name in trusted
        else:  # of these skops calls some, so that a type of the operator's could be called with what the file holds
            allowed = loader in PLAIN_LOADERS and (name not in operators or loader == "TypeNode")
        if not allowed:
            unknown.add(name if loader in NAMED_LOADERS else f"{name} ({loader})")
    if unknown:
        raise untrusted(unknown)
    return nodes


def _check_used(members: list[str], nodes: list[dict[str, Any]]) -> None:
    used = {node["file"] for node in nodes if isinstance(node.get("file"), str)} | {"schema.json"}
    if unused := sorted(set(members) - used):
        raise refused("unsafe_member", f"the .skops file has members that its schema does not name: {unused[:5]}")


def named_types(content: IO[bytes]) -> set[str]:
    """Every type that the schema of a checked .skops file names."""
    with zipfile.ZipFile(content) as archive:
        return _named(_nodes(json.loads(archive.read("schema.json"))))


def _named(nodes: Iterable[dict[str, Any]]) -> set[str]:
    return {_name(node) for node in nodes}


def _name(node: dict[str, Any]) -> str:
    return f"{node.get('__module__')}.{node.get('__class__')}"


def untrusted(names: Collection[str]) -> Invalid:
    """The refusal that names the types, at most ten of them."""
    shown = ", ".join(sorted(name[:120] for name in names)[:10])
    message = f"the .skops file needs types that are not trusted here: {shown}; an operator may review and add them"
    return refused("untrusted_type", message)


def _nodes(schema: object) -> Iterator[dict[str, Any]]:
    """Every skops node of the schema, without recursion, for the file chooses the depth."""
    stack = [schema]
    while stack:
        value = stack.pop()
        if isinstance(value, dict):
            if "__loader__" in value:
                yield value
            stack.extend(value.values())
        elif isinstance(value, list):
            stack.extend(value)
