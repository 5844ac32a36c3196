"""Random changes to good files, put through the inspection: whatever comes in, it is taken or refused.

Each is inspected in a fork under the limits of an inspection, so that one that crashes is noticed and the next goes on.
What is changed lies behind the checksums: members of the archive before it is packed again, the schema's own words,
bytes of the graph. The long form (`make drill`) takes a minute for each kind of file.
"""

from __future__ import annotations

import io
import json
import random
import time
import zipfile
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from sklearn.pipeline import Pipeline

from registry.artifacts.formats import dump_skops
from registry.artifacts.graphs import to_onnx
from registry.artifacts.signature import Signature
from registry.artifacts.trust import TRUSTED
from tests.registry.artifacts.inspector import Inspector
from tests.registry.hostile.archives import packed

Fitted = Callable[[str, str], Pipeline]
STRANGE: list[Any] = [None, True, -1, 0, 1, 2**31, 2**63, 1e308, "", "x", "..", [], {}, [[]], "nan", "1" * 400]
WORDS = sorted({*TRUSTED, "builtins.eval", "os.system", "numpy.load", "builtins.list", "numpy.ndarray"})


def changed_bytes(data: bytes, chance: random.Random) -> bytes:
    found = bytearray(data)
    for _ in range(chance.choice([1, 1, 2, 8])):
        at = chance.randrange(len(found))
        match chance.randrange(4):
            case 0:
                found[at] ^= 1 << chance.randrange(8)
            case 1:
                found[at] = chance.choice([0, 1, 127, 128, 255])
            case 2:
                del found[at : at + chance.randrange(1, 16)]
            case _:
                found[at:at] = found[chance.randrange(len(found)) :][: chance.randrange(1, 64)]
        if not found:
            return b"\x08"
    return bytes(found)


def spots(value: Any) -> list[tuple[Any, Any]]:
    """Every place of a JSON value that can be set: container and key."""
    stack, found = [value], []
    while stack:
        inner = stack.pop()
        items = inner.items() if isinstance(inner, dict) else enumerate(inner) if isinstance(inner, list) else ()
        for key, part in items:
            found.append((inner, key))
            stack.append(part)
    return found


def changed_schema(text: bytes, chance: random.Random) -> bytes:
    schema = json.loads(text)
    for _ in range(chance.choice([1, 1, 2, 5])):
        places = spots(schema)
        container, key = chance.choice(places)
        match chance.randrange(5):
            case 0:
                container[key] = chance.choice(STRANGE)
            case 1:
                other, name = chance.choice(places)
                container[key] = other[name]
            case 2 if isinstance(container, dict):
                del container[key]
            case 3 if isinstance(container, dict) and "__module__" in container:
                module, _, name = chance.choice(WORDS).rpartition(".")
                container.update(__module__=module, __class__=name)
            case _:
                container[key] = json.dumps(chance.choice(STRANGE))
        try:
            schema = json.loads(json.dumps(schema))  # what is its own part would have no end
        except (RecursionError, ValueError):
            return text
    return json.dumps(schema).encode()


def changed_archive(data: bytes, chance: random.Random) -> bytes:
    with zipfile.ZipFile(io.BytesIO(data)) as file:
        members = {name: file.read(name) for name in file.namelist()}
    name = chance.choice(sorted(members))
    if name == "schema.json" or chance.random() < 0.5:
        members["schema.json"] = changed_schema(members["schema.json"], chance)
    else:
        members[name] = changed_bytes(members[name], chance)
    return packed(members)


KINDS = ["logistic_regression", "random_forest", "gradient_boosting", "hist_gradient_boosting", "onnx"]


@pytest.fixture(scope="module")
def inspector() -> Iterator[Inspector]:
    """One for every kind: each file has a fork of its own."""
    with Inspector() as found:
        yield found


@pytest.mark.parametrize("secs", [1, pytest.param(60, marks=pytest.mark.slow)])
@pytest.mark.parametrize("kind", KINDS)
def test_whatever_comes_in_is_taken_or_refused(
    fitted: Fitted, signatures: dict[str, Signature], inspector: Inspector, kind: str, secs: int
) -> None:
    signature = signatures["many"]
    if kind == "onnx":
        good = to_onnx(fitted("random_forest", "many"), signature.kinds).graph
        change = changed_bytes
    else:
        good, change = dump_skops(fitted(kind, "many")), changed_archive
    assert good is not None
    seed, counts = 0, dict[str, int]()
    assert inspector.outcome(good, signature) == "taken"
    until = time.monotonic() + secs
    while time.monotonic() < until:
        seed += 1
        chance = random.Random(f"{kind} {seed}")
        said = inspector.outcome(change(good, chance), chance.choice([signature, None]))
        assert not said.startswith("fell"), f"seed {kind} {seed}: {said}"
        counts[said] = counts.get(said, 0) + 1
    assert any(said.startswith("refused") for said in counts), counts
