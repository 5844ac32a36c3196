"""The first load of anything that a person uploaded: in a process of its own, without secrets, limited.

A file that crashes native code, takes all memory or never ends takes only that process with it.
"""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
from collections.abc import Collection
from pathlib import Path
from typing import Any, NamedTuple

from mlops_site.core.errors import FieldError, Invalid, Unavailable
from registry.artifacts.archive import Format, refused, sniff
from registry.artifacts.engines import OnnxScorer, Scorer, SklearnScorer
from registry.artifacts.formats import load_skops
from registry.artifacts.graphs import check_graph
from registry.artifacts.schema import sample_row
from registry.artifacts.signature import MAX_INPUTS, Input, Signature
from registry.artifacts.trust import TRUSTED

_ROOT = str(Path(__file__).resolve().parents[2])

# The limits are set before anything but the standard library is imported; a hard limit cannot be raised.
_CHILD = """
import json, resource, sys
root, limits = sys.argv[1], json.loads(sys.argv[2])
for name, value in limits.items():
    resource.setrlimit(getattr(resource, name), (value, value))
sys.path.insert(0, root)
from registry.artifacts.inspection import answer
answer()
"""

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_ENVIRONMENT = {"PATH": os.defpath, "LANG": "C.UTF-8", "HOME": "/nonexistent", **dict.fromkeys(_THREADS, "1")}


class Limits(NamedTuple):
    """What an inspection may take; it may never write a file."""

    cpu_secs: int = 60
    memory_bytes: int = 4 << 30
    timeout_secs: float = 120.0


DEFAULT_LIMITS = Limits()


class Inspection(NamedTuple):
    """What an accepted file is: its own `features` and `classes`, and the signature that it fits."""

    format: Format
    features: list[str]
    classes: list[Any] | None
    signature: Signature


def inspect_upload(
    data: bytes,
    *,
    signature: Signature | None = None,
    trust: Collection[str] = TRUSTED,
    limits: Limits = DEFAULT_LIMITS,
) -> Inspection:
    """Load and try an uploaded file in a limited process, and say what it is; Invalid says why it is refused.

    Without `signature` one of numbers only is derived from the file, `signature_needed` if that does not fit.
    """
    sniff(data)
    header = {"signature": signature.to_json() if signature else None, "trust": list(trust)}
    try:
        done = subprocess.run(
            [sys.executable, "-I", "-B", "-c", _CHILD, _ROOT, json.dumps(_rlimits(limits))],
            input=json.dumps(header).encode() + b"\n" + data,
            capture_output=True,
            env=_ENVIRONMENT,
            cwd="/",
            timeout=limits.timeout_secs,
            check=False,
        )
    except subprocess.TimeoutExpired:
        message = f"the artifact must load and score in {limits.timeout_secs} s but did not"
        raise refused("too_slow", message) from None
    return _verdict(done, limits)


def _rlimits(limits: Limits) -> dict[str, int]:
    return {
        "RLIMIT_CPU": limits.cpu_secs,
        "RLIMIT_AS": limits.memory_bytes,
        "RLIMIT_FSIZE": 0,
        "RLIMIT_CORE": 0,
        "RLIMIT_NOFILE": 64,
    }


def _verdict(done: subprocess.CompletedProcess[bytes], limits: Limits) -> Inspection:
    if done.returncode in (-signal.SIGXCPU, -signal.SIGKILL):
        message = f"the artifact must load and score in {limits.cpu_secs} s of processor time but did not"
        raise refused("too_slow", message)
    if done.returncode < 0:
        name = signal.Signals(-done.returncode).name
        raise refused("crashed", f"loading and trying the artifact ended its process with {name}")
    if done.returncode > 0:
        raise Unavailable(f"the inspection could not run: {done.stderr.decode(errors='replace')[-500:]}")
    said = json.loads(done.stdout.splitlines()[-1])
    if "code" in said:
        raise Invalid(said["detail"], code=said["code"], errors=[FieldError(*error) for error in said["errors"]])
    return Inspection(said["format"], said["features"], said["classes"], Signature.from_json(said["signature"]))


def answer() -> None:
    """The child's whole work: read the header and the file from stdin, write one line of JSON to stdout."""
    said: dict[str, Any]
    try:
        header = json.loads(sys.stdin.buffer.readline())
        given = header["signature"] and Signature.from_json(header["signature"])
        said = inspect_here(sys.stdin.buffer.read(), given, header["trust"])
    except Invalid as error:
        said = {"code": error.code, "detail": error.detail, "errors": error.errors}
    except MemoryError:
        message = "the artifact needs more memory than an inspection may take"
        fault = FieldError("artifact", "too_large_unpacked", message)
        said = {"code": fault.code, "detail": message, "errors": [fault]}
    sys.stdout.write("\n" + json.dumps(said) + "\n")


def inspect_here(data: bytes, given: Signature | None, trust: Collection[str]) -> dict[str, Any]:
    """The inspection itself, in this process: only for the child, and for files of our own making."""
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
    return {"format": form, "features": features, "classes": classes, "signature": signature.to_json()}


def _try(scorer: Scorer) -> None:
    """Score rows that walk different ways through the model; it may answer anything finite."""
    row = sample_row(scorer.signature)
    rows = [row]
    for value in (1.0, -1.0, 1e6, -1e6, 0.5):
        rows.append({name: value if isinstance(old, float) else old for name, old in row.items()})
    for index, column in itertools.islice(enumerate(scorer.signature.inputs), 50):
        for level in column.levels[:20]:
            rows.append({**rows[index % len(rows)], column.name: level})
    scorer.score(scorer.check_rows(rows))


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
