"""The inspection itself: loads an uploaded file, tries it on rows, and says what it is. Runs in the limited child of
`inspection`; in the site's own processes only for files of our own making. Needs no settings.
"""

from __future__ import annotations

import base64
import io
import itertools
import json
import sys
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from mlops_site.core.errors import FieldError, Invalid
from registry.artifacts.archive import named_types, refused, sniff
from registry.artifacts.engines import OnnxScorer, Scorer, SklearnScorer, golden
from registry.artifacts.formats import load_skops
from registry.artifacts.graphs import check_graph
from registry.artifacts.schema import sample_row
from registry.artifacts.signature import MAX_INPUTS, Input, Signature
from registry.artifacts.trust import added

GOLDEN_ROWS = 20


def answer() -> None:
    """The child's whole work: read the header and the file from stdin, write one line of JSON to stdout, and then,
    where there are reference rows, another one of what the model looks at in them."""
    try:
        header = json.loads(sys.stdin.buffer.readline())
        given = header["signature"] and Signature.from_json(header["signature"])
        data, rows = sys.stdin.buffer.read(), header["reference"]
        said, scorer = _inspected(data, given, header["trust"], rows)
        _say("inspection", said)
        if rows:
            _say("told", _told(scorer, rows))
    except Invalid as error:
        _say("inspection", {"code": error.code, "detail": error.detail, "errors": error.errors})
    except MemoryError:
        message = "the artifact needs more memory than an inspection may take"
        fault = FieldError("artifact", "too_large_unpacked", message)
        _say("inspection", {"code": fault.code, "detail": message, "errors": [fault]})


def _say(what: str, content: dict[str, Any]) -> None:
    sys.stdout.write(f"\n{what} {json.dumps(content)}\n")
    sys.stdout.flush()


def inspect_here(
    data: bytes, given: Signature | None, trust: Collection[str], *, reference: Sequence[Mapping[str, Any]] = ()
) -> dict[str, Any]:
    """What `inspection.Inspection` holds, as JSON, but for `told`."""
    return _inspected(data, given, trust, reference)[0]


def _inspected(
    data: bytes, given: Signature | None, trust: Collection[str], reference: Sequence[Mapping[str, Any]]
) -> tuple[dict[str, Any], Scorer]:
    form = sniff(data)
    if form == "onnx":
        graph = check_graph(data)
        features, classes = [column.name for column in graph.graph.input], _graph_classes(graph)
        signature = given or _graph_signature(graph, classes)
        scorer: Scorer = OnnxScorer(data, signature)
    else:
        model = load_skops(data, trust)
        features, classes = _features(model), _classes(model)
        signature = given or _number_signature(features, classes)
        scorer = _sklearn_scorer(model, signature, derived=given is None)
    _try(scorer)
    operators = added(trust) if form == "skops" else frozenset()
    said = {
        "format": form,
        "features": features,
        "classes": classes,
        "signature": signature.to_json(),
        "golden": golden(scorer, list(reference[:GOLDEN_ROWS]) or [sample_row(signature)]),
        **_of_rows(scorer, reference),
        "operator_types": sorted(named_types(io.BytesIO(data)) & operators) if operators else [],
    }
    return said, scorer


def _told(scorer: Scorer, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    from registry.artifacts.summary import told_by

    found = told_by(scorer, scorer.check_rows(list(rows), single=False).frame())._asdict()
    return {name: base64.b64encode(part).decode() if isinstance(part, bytes) else part for name, part in found.items()}


def _try(scorer: Scorer) -> None:
    """Score rows that walk different ways through the model; it may answer anything finite."""
    row = sample_row(scorer.signature)
    rows = [row]
    for value in (1.0, -1.0, 1e6, -1e6, 0.5):
        rows.append({name: value if isinstance(old, float) else old for name, old in row.items()})
    for index, column in itertools.islice(enumerate(scorer.signature.inputs), 50):
        for level in column.levels[:20]:
            rows.append({**rows[index % len(rows)], column.name: level})
    try:
        scorer.score(scorer.check_rows(rows))
    except Invalid:
        raise
    except Exception as error:  # one plain row went well; what others stumble over is the model's fault as well
        message = f"the model cannot score rows of its signature: {type(error).__name__}: {error!s:.200}"
        raise refused("not_scorable", message) from error


def _of_rows(scorer: Scorer, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The profile of the training rows, and how their numbers move together."""
    if not rows:
        return {"reference": None}
    from mlops_site.stats.correlations import of_frame
    from mlops_site.stats.profile import profile, reference_bins

    frame, kinds = scorer.check_rows(list(rows), single=False).frame(), scorer.signature.kinds
    counted = profile(frame, reference_bins(frame, kinds, salt="reference")).to_bytes()
    return {"reference": base64.b64encode(counted).decode(), "correlations": of_frame(frame, kinds).to_json()}


def _sklearn_scorer(model: Any, signature: Signature, *, derived: bool) -> Scorer:
    try:
        return SklearnScorer(model, signature)
    except Invalid as error:
        if not derived or error.code != "signature_mismatch":
            raise
        message = f"metadata must have a signature, for the model does not take numbers only: {error.detail}"
        fault = FieldError("metadata.signature", "signature_needed", message)
        raise Invalid(message, code=fault.code, errors=[fault]) from error


def _features(model: Any) -> list[str]:
    names = getattr(model, "feature_names_in_", None)
    count = getattr(model, "n_features_in_", 0) if names is None else len(names)
    if type(count) is not int or not 1 <= count <= MAX_INPUTS:
        raise refused("not_a_model", f"the file must hold a fitted model of 1 to {MAX_INPUTS} features")
    return [f"x{i}" for i in range(count)] if names is None else [str(name) for name in names]


def _classes(model: Any) -> list[Any] | None:
    from sklearn.base import is_classifier, is_regressor

    if is_classifier(model):
        return [label.item() if hasattr(label, "item") else label for label in model.classes_]
    if not is_regressor(model):
        message = f"the file must hold a classifier or a regressor but holds {type(model).__name__}"
        raise refused("not_a_model", message)
    return None


def _number_signature(features: list[str], classes: list[Any] | None) -> Signature:
    inputs = [{"name": name, "kind": "number"} for name in features]
    task_type = "regression" if classes is None else "classification"
    return Signature.from_json({"inputs": inputs, "task_type": task_type, "classes": classes})


def _graph_classes(graph: Any) -> list[Any] | None:
    """The class labels that the graph's classifier carries, or None."""
    for node in graph.graph.node:
        for attribute in node.attribute:
            if attribute.name.startswith("classlabels"):
                return list(attribute.ints) or [label.decode() for label in attribute.strings] or None
    return None


def _graph_signature(graph: Any, classes: list[Any] | None) -> Signature:
    columns = graph.graph.input
    width = columns[0].type.tensor_type.shape.dim[1].dim_value if len(columns) == 1 else 1
    if width > 1:
        return _number_signature([f"x{i}" for i in range(min(width, MAX_INPUTS + 1))], classes)
    text = {column.name for column in columns if column.type.tensor_type.elem_type == 8}
    inputs = tuple(Input(c.name, "category", open=True) if c.name in text else Input(c.name, "number") for c in columns)
    derived = _number_signature([column.name for column in columns], classes)
    return Signature(inputs, derived.task_type, derived.classes, derived.positive_class)
