"""Archives that begin like a .skops file: planted types, pickled arrays, bombs, members that lead elsewhere, polyglots,
and trees whose indices leave their arrays."""

from __future__ import annotations

import copy
import io
import json
import pickle
import random
import struct
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import skops.io
from sklearn.ensemble import GradientBoostingClassifier, HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.tree._tree import Tree

from tests.registry.hostile.pickles import array_of_objects, by_exec, script
from tests.registry.parts import artifact

Build = Callable[[Path], bytes]
Node = dict[str, Any]
State = dict[str, Any]


def packed(members: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", compression) as file:
        for name, content in members.items():
            file.writestr(name, content)
    return out.getvalue()


def unpacked() -> dict[str, bytes]:
    """The members of a good file."""
    with zipfile.ZipFile(io.BytesIO(artifact())) as file:
        return {name: file.read(name) for name in file.namelist()}


def with_member(name: str | zipfile.ZipInfo, content: bytes | Callable[[Path], bytes]) -> Build:
    def build(marker: Path) -> bytes:
        out = io.BytesIO(artifact())
        with warnings.catch_warnings(), zipfile.ZipFile(out, "a", zipfile.ZIP_DEFLATED) as file:
            warnings.simplefilter("ignore")  # of a name that is there twice
            file.writestr(name, content if isinstance(content, bytes) else content(marker))
        return out.getvalue()

    return build


def with_schema(change: Callable[[Any, Path], Any]) -> Build:
    def build(marker: Path) -> bytes:
        members = unpacked()
        changed = change(json.loads(members["schema.json"]), marker)
        members["schema.json"] = changed if isinstance(changed, bytes) else json.dumps(changed).encode()
        return packed(members)

    return build


def planted(module: str, name: str, loader: str = "ObjectNode", content: Any = None) -> Build:
    """The good model with one more attribute, whose node names something that runs."""

    def change(schema: Node, marker: Path) -> Node:
        node = {"__class__": name, "__module__": module, "__loader__": loader, "__id__": 7, "content": content or {}}
        said = {"__class__": "str", "__module__": "builtins", "__loader__": "JsonNode", "content": script(marker)}
        schema["content"]["content"]["planted"] = {**node, "attrs": said, "args": said}
        return schema

    return with_schema(change)


def with_arrays(build: Callable[[Path], bytes]) -> Build:
    """The good model with every array replaced."""
    return lambda marker: packed(
        {name: build(marker) if name.endswith(".npy") else content for name, content in unpacked().items()}
    )


def link() -> zipfile.ZipInfo:
    found = zipfile.ZipInfo("4242.npy")
    found.external_attr = 0o120777 << 16
    return found


def many(marker: Path) -> bytes:
    return packed({**unpacked(), **{f"{n}.npy": b"" for n in range(60_000)}}, zipfile.ZIP_STORED)


def nested(marker: Path) -> bytes:
    bomb = packed({"0": bytes(100 << 20)})
    return packed({**unpacked(), "77.npy": packed({f"{n}": bomb for n in range(50)})})


def one_byte_shared_by_all(marker: Path) -> bytes:
    """A directory that names one member of 10 MB a hundred times under other names: 1 GB out of 10 KB."""
    data = bytearray(packed({"1.npy": bytes(10 << 20)}))
    start = data.rindex(b"PK\x01\x02")
    end = data.rindex(b"PK\x05\x06")
    entries = b"".join(bytes(data[start:end]).replace(b"1.npy", b"%d.npy" % (n % 10)) for n in range(2, 102))
    schema = packed({"schema.json": b"{}"})
    first = len(data[:start])
    entry = schema[schema.rindex(b"PK\x01\x02") : schema.rindex(b"PK\x05\x06")]
    moved = entry[:42] + struct.pack("<L", first) + entry[46:]
    body = bytes(data[:start]) + schema[: schema.rindex(b"PK\x01\x02")]
    directory = entries + moved
    return body + directory + struct.pack("<4s4H2LH", b"PK\x05\x06", 0, 0, 101, 101, len(directory), len(body), 0)


def lying(marker: Path) -> bytes:
    """Declares a hundred bytes where there are five million."""
    data, size = with_member("7.npy", bytes(5 << 20))(marker), struct.pack("<L", 5 << 20)
    return data.replace(size, struct.pack("<L", 100))


def hidden_before(marker: Path) -> bytes:
    """A pickle between the first bytes of an archive and the archive."""
    return b"PK\x03\x04" + pickle.dumps(by_exec(marker)) + artifact()


def encrypted(marker: Path) -> bytes:
    data = bytearray(artifact())
    for mark, at in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        data[data.index(mark) + at] |= 1
    return bytes(data)


def trained(kind: type[Any]) -> Any:
    chance = np.random.default_rng(3)
    rows = chance.normal(size=(80, 2))
    few = {"max_iter": 3} if kind is HistGradientBoostingClassifier else {"n_estimators": 3}
    return kind(random_state=0, **few).fit(rows, (rows[:, 0] > 0).astype(int))


def with_tree(change: Callable[[State], None], kind: type[Any] = RandomForestClassifier) -> Build:
    def build(marker: Path) -> bytes:
        model = copy.deepcopy(trained(kind))
        member = np.asarray(model.estimators_, dtype=object).ravel()[0]
        arguments, state = member.tree_.__reduce__()[1], copy.deepcopy(member.tree_.__getstate__())
        change(state)
        member.tree_ = Tree(*arguments)
        member.tree_.__setstate__(state)
        return bytes(skops.io.dumps(model))

    return build


def with_count_that_lies(marker: Path) -> bytes:
    """Fewer nodes than there are; of more scikit-learn takes no notice."""
    data = bytes(skops.io.dumps(trained(RandomForestClassifier)))
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        members = {name: file.read(name) for name in file.namelist()}
    schema = json.loads(members["schema.json"])
    members["schema.json"] = json.dumps(other_count(schema)).encode()
    return packed(members)


def other_count(value: Any) -> Any:
    if isinstance(value, list):
        return [other_count(inner) for inner in value]
    if not isinstance(value, dict):
        return value
    found = {name: other_count(inner) for name, inner in value.items()}
    if isinstance(count := value.get("node_count"), dict):
        found["node_count"] = {**count, "content": "1", "__id__": None}  # or another 3 would be taken for it
    return found


def node(field: str, index: int, value: int) -> Callable[[State], None]:
    def change(state: State) -> None:
        state["nodes"][field][index] = value

    return change


def with_histogram(field: str, value: int) -> Build:
    def build(marker: Path) -> bytes:
        model = copy.deepcopy(trained(HistGradientBoostingClassifier))
        model._predictors[0][0].nodes[field][0] = value
        return bytes(skops.io.dumps(model))

    return build


def gigantic_array(marker: Path) -> bytes:
    header = f"{{'descr': '<f8', 'fortran_order': False, 'shape': ({1 << 50},), }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode()


FILES: dict[str, tuple[Build, str]] = {
    **{
        f"{module}.{name}-{loader}.skops": (planted(module, name, loader), "untrusted_type")
        for module, name, loader in [
            ("os", "system", "ObjectNode"),
            ("builtins", "eval", "FunctionNode"),
            ("builtins", "exec", "MethodNode"),
            ("subprocess", "Popen", "LossNode"),
            ("posix", "system", "TypeNode"),
            ("functools", "partial", "PartialNode"),
            ("operator", "methodcaller", "OperatorFuncNode"),
            ("operator", "attrgetter", "ObjectNode"),
            ("joblib", "load", "ConstructorFromReduceNode"),
            ("numpy", "load", "FunctionNode"),
            ("pickle", "loads", "ReduceNode"),
            ("sklearn.feature_extraction.text", "CountVectorizer", "ObjectNode"),
        ]
    },
    "pickled-array.skops": (with_arrays(array_of_objects), "damaged_archive"),
    "gigantic-array.skops": (with_arrays(gigantic_array), "damaged_archive"),
    "schema-of-protocol-1.skops": (with_schema(lambda schema, _: {**schema, "protocol": 1}), "damaged_archive"),
    "schema-is-a-pickle.skops": (with_schema(lambda _, marker: pickle.dumps(by_exec(marker))), "damaged_archive"),
    "schema-nested-deeply.skops": (with_schema(lambda *_: b"[" * 200_000), "damaged_archive"),
    "schema-refers-to-itself.skops": (
        with_schema(
            lambda schema, _: {**schema, "content": {**schema["content"], "__loader__": "CachedNode", "__id__": 1}}
        ),
        "untrusted_type",
    ),
    "traversal.skops": (with_member("../../../../tmp/escape.npy", b"x"), "unsafe_member"),
    "absolute.skops": (with_member("/etc/cron.d/escape", b"x"), "unsafe_member"),
    "backslash.skops": (with_member("..\\..\\escape.npy", b"x"), "unsafe_member"),
    "symbolic-link.skops": (with_member(link(), b"/etc/passwd"), "unsafe_member"),
    "two-schemas.skops": (with_member("schema.json", b"{}"), "unsafe_member"),
    "python-module-inside.skops": (with_member("sitecustomize.py", lambda m: script(m).encode()), "unsafe_member"),
    "encrypted.skops": (encrypted, "unsafe_member"),
    "packed-as-lzma.skops": (lambda marker: packed(unpacked(), zipfile.ZIP_LZMA), "unsafe_member"),
    "bomb-of-two-gigabytes.skops": (
        lambda marker: packed({**unpacked(), **{f"{n}.npy": bytes(512 << 20) for n in range(3)}}),
        "too_large_unpacked",
    ),
    "bomb-of-many-members.skops": (many, "unsafe_member"),
    "bomb-in-an-archive-inside.skops": (nested, "unsafe_member"),
    "bomb-of-shared-bytes.skops": (one_byte_shared_by_all, "unsafe_member"),
    "bomb-that-declares-less.skops": (lying, "damaged_archive"),
    "cut-off.skops": (lambda marker: artifact()[: len(artifact()) // 2], "damaged_archive"),
    "random-bytes.skops": (lambda marker: b"PK\x03\x04" + random.Random(1).randbytes(10_000), "damaged_archive"),
    "pickle-behind.skops": (lambda marker: artifact() + pickle.dumps(by_exec(marker)), "damaged_archive"),
    "pickle-before.skops": (hidden_before, "damaged_archive"),
    "two-archives.skops": (lambda marker: artifact(1) + artifact(2), "damaged_archive"),
    "tree-child-outside.skops": (with_tree(node("left_child", 0, 10**12)), "unsound_tree"),
    "tree-child-negative.skops": (with_tree(node("right_child", 0, -9)), "unsound_tree"),
    "tree-cycle.skops": (with_tree(node("left_child", 1, 0)), "unsound_tree"),
    "tree-feature-outside.skops": (with_tree(node("feature", 0, 10**9), GradientBoostingClassifier), "unsound_tree"),
    "tree-count-that-lies.skops": (with_count_that_lies, "unsound_tree"),
    "histogram-child-outside.skops": (with_histogram("left", 2**31), "unsound_tree"),
    "histogram-feature-outside.skops": (with_histogram("feature_idx", 10**6), "unsound_tree"),
}
