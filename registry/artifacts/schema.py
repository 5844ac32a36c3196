"""The JSON Schema of a version's features, for GET /models/{name}/schema."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from registry.artifacts.rows import MAX_NUMBER, check_rows
from registry.artifacts.signature import MAX_TEXT, Input, Signature


def json_schema(signature: Signature, *, sample: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """JSON Schema (2020-12) of one `features` object, with an example that predict accepts.

    `sample` is that example; a sample that predict would refuse -> Invalid. Left out, a plain one is made up.
    """
    example = sample_row(signature) if sample is None else dict(sample)
    check_rows(signature, [example])
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": {column.name: _property(column) for column in signature.inputs},
        "required": [column.name for column in signature.inputs if column.required],
        "additionalProperties": False,
        "examples": [example],
    }


def sample_row(signature: Signature) -> dict[str, float | str]:
    """A made-up row that the signature accepts: zeros, and the first level of each category."""
    return {column.name: _plain(column) for column in signature.inputs}


def _plain(column: Input) -> float | str:
    if column.kind == "number":
        return 0.0
    return column.levels[0] if column.levels else "a"


def _property(column: Input) -> dict[str, Any]:
    null = [None] if column.nullable else []
    types = ["null"] if column.nullable else []
    if column.kind == "number":
        return {"type": ["number", "boolean", *types], "minimum": -MAX_NUMBER, "maximum": MAX_NUMBER}
    if column.open:
        return {"type": ["string", *types], "minLength": 0 if column.nullable else 1, "maxLength": MAX_TEXT}
    return {"enum": [*column.levels, *(["", *null] if column.nullable else [])]}
