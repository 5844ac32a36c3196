"""Signatures: inferred from training data, to and from JSON, and what is refused of those that people write."""

from __future__ import annotations

import copy
from typing import Any

import pandas as pd
import pytest

from mlops_site.core.errors import Invalid
from registry.artifacts.rows import check_rows
from registry.artifacts.schema import json_schema
from registry.artifacts.signature import Input, Signature, infer

GOOD: dict[str, Any] = {
    "inputs": [
        {"name": "age", "kind": "number", "required": True, "nullable": False},
        {"name": "site", "kind": "category", "required": True, "nullable": True, "levels": ["a", "b"], "open": False},
    ],
    "task_type": "classification",
    "classes": [0, 1],
    "positive_class": 1,
    "output": "probability",
}


def changed(path: str, value: object) -> dict[str, Any]:
    data = copy.deepcopy(GOOD)
    part: Any = data
    *steps, last = path.split(".")
    for step in steps:
        part = part[int(step) if step.isdigit() else step]
    part[last] = value
    return data


def test_json_comes_back_the_same() -> None:
    signature = Signature.from_json(GOOD)
    assert signature.to_json() == GOOD
    assert Signature.from_json(signature.to_json()) == signature


@pytest.mark.parametrize(
    ("data", "field"),
    [
        ([], "signature"),
        (changed("owner", "me"), "signature"),
        (changed("task_type", "ranking"), "signature.task_type"),
        (changed("inputs", []), "signature.inputs"),
        (changed("inputs", {}), "signature.inputs"),
        (changed("inputs.0.kind", "text"), "signature.inputs[0].kind"),
        (changed("inputs.0.kind", ["number"]), "signature.inputs[0].kind"),
        (changed("inputs.0.name", ""), "signature.inputs[0].name"),
        (changed("inputs.0.name", "a\0b"), "signature.inputs[0].name"),
        (changed("inputs.0.name", "site"), "signature.inputs"),
        (changed("inputs.0.levels", ["a"]), "signature.inputs[0]"),
        (changed("inputs.0.nullable", "no"), "signature.inputs[0].nullable"),
        (changed("inputs.0.path", "/etc"), "signature.inputs[0]"),
        (changed("inputs.1.levels", [1]), "signature.inputs[1].levels"),
        (changed("classes", [1]), "signature.classes"),
        (changed("classes", [1, 1]), "signature.classes"),
        (changed("classes", [0, [1]]), "signature.classes"),
        (changed("positive_class", 2), "signature.positive_class"),
        (changed("output", "value"), "signature.output"),
        ({**GOOD, "task_type": "regression", "output": "value"}, "signature.classes"),
    ],
)
def test_a_wrong_signature_names_the_part(data: object, field: str) -> None:
    with pytest.raises(Invalid) as raised:
        Signature.from_json(data)
    assert [error.field for error in raised.value.errors] == [field]
    assert len(raised.value.detail) < 400


def test_it_is_inferred_from_the_training_frame(signatures: dict[str, Signature]) -> None:
    binary = signatures["binary"]
    assert binary.inputs[0] == Input("n0", "number")
    assert binary.inputs[3] == Input("n3", "number", nullable=True)
    assert binary.inputs[5] == Input("site", "category", levels=("a", "b", "c"))
    assert binary.inputs[6] == Input("plan", "category", nullable=True, levels=("basic", "full"))
    assert (binary.classes, binary.positive_class, binary.output) == ((0, 1), 1, "probability")
    assert (signatures["many"].classes, signatures["many"].positive_class) == (("low", "mid", "top"), None)
    assert (signatures["value"].classes, signatures["value"].output) == (None, "value")


def test_the_positive_class_is_the_rarer_label() -> None:
    frame = pd.DataFrame({"n": [1.0, 2, 3, 4, 5]})
    rare = infer(frame, {"n": "number"}, task_type="classification", target=["no", "yes", "yes", "yes", "no"])
    even = infer(frame[:4], {"n": "number"}, task_type="classification", target=[0, 0, 1, 1])
    asked = infer(frame, {"n": "number"}, task_type="classification", target=[0, 0, 0, 1, 1], positive_class=0)
    assert (rare.positive_class, even.positive_class, asked.positive_class) == ("no", 1, 0)
    with pytest.raises(ValueError, match="must be one of"):
        infer(frame, {"n": "number"}, task_type="classification", target=[0, 0, 0, 1, 1], positive_class=2)


@pytest.mark.parametrize(("count", "is_open"), [(100, False), (101, True)])
def test_many_levels_make_a_category_open(count: int, is_open: bool) -> None:
    frame = pd.DataFrame({"code": [f"c{i}" for i in range(count)]})
    (column,) = infer(frame, {"code": "category"}, task_type="regression").inputs
    assert (column.open, len(column.levels)) == (is_open, count)


def test_new_levels_are_no_new_interface_but_a_new_input_is() -> None:
    signature = Signature.from_json(GOOD)
    levels = Signature.from_json(changed("inputs.1.levels", ["a", "b", "c"]))
    renamed = Signature.from_json(changed("inputs.0.name", "years"))
    positive = Signature.from_json(changed("positive_class", 0))
    assert levels.digest != signature.digest
    assert levels.interface_digest == signature.interface_digest
    assert len({signature.interface_digest, renamed.interface_digest, positive.interface_digest}) == 3


def test_the_json_schema_describes_what_predict_accepts(signatures: dict[str, Signature]) -> None:
    signature = signatures["binary"]
    schema = json_schema(signature)
    (example,) = schema["examples"]
    assert check_rows(signature, [example]).rows == 1
    assert schema["required"] == list(signature.names)
    assert schema["additionalProperties"] is False
    assert schema["properties"]["site"] == {"enum": ["a", "b", "c"]}
    assert schema["properties"]["plan"] == {"enum": ["basic", "full", "", None]}
    assert schema["properties"]["n3"]["type"] == ["number", "boolean", "null"]


def test_a_sample_that_predict_would_refuse_is_no_example(signatures: dict[str, Signature]) -> None:
    good = json_schema(signatures["binary"])["examples"][0] | {"n0": 41}
    assert json_schema(signatures["binary"], sample=good)["examples"] == [good]
    with pytest.raises(Invalid, match=r"features\.n0"):
        json_schema(signatures["binary"], sample=good | {"n0": "41"})
