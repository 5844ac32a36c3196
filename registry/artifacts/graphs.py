"""ONNX graphs: made from our pipelines, compared with them, and checked when a person uploads one."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from registry.artifacts.archive import refused
from registry.artifacts.signature import Kind

if TYPE_CHECKING:
    import pandas as pd

MAX_NODES = 10_000
OPSET = {"": 21, "ai.onnx.ml": 3}
_WHOLE = ("nodes_missing_value_tracks_true", "nodes_featureids", "nodes_truenodeids", "nodes_falsenodeids")
DOMAINS = frozenset({"", "ai.onnx", "ai.onnx.ml"})


class Conversion(NamedTuple):
    """The graph, or None and the reason why there is none."""

    graph: bytes | None
    reason: str = ""


def to_onnx(pipeline: Any, kinds: Mapping[str, Kind]) -> Conversion:
    """The fitted pipeline as an ONNX graph with one input per column: (n, 1) float or string.

    A classifier answers (labels, probabilities (n, classes)). Whether the graph is the same model is for
    `exact` to say: it computes in single precision.
    """
    from skl2onnx import convert_sklearn
    from skl2onnx.common.data_types import FloatTensorType, StringTensorType

    types = {"number": FloatTensorType, "category": StringTensorType}
    inputs = [(name, types[kind]([None, 1])) for name, kind in kinds.items()]
    options = {id(pipeline): {"zipmap": False}} if hasattr(pipeline, "predict_proba") else None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # skl2onnx warns of NumPy's and of its own deprecations
            model = convert_sklearn(
                pipeline,
                name=f"ONNX({type(pipeline).__name__})",
                initial_types=inputs,
                options=options,
                target_opset=OPSET,
                custom_conversion_functions=_converters(),
            )
    except Exception as error:  # skl2onnx raises whatever its converters stumble over
        return Conversion(None, f"skl2onnx cannot convert it: {type(error).__name__}: {_line(error)}")
    if [column.name for column in model.graph.input] != list(kinds):
        return Conversion(None, "skl2onnx renamed the inputs; use column names of letters, digits and _")
    return Conversion(model.SerializeToString())


def _converters() -> dict[type, Any]:
    """skl2onnx's converters of histogram boosting, which write truth values where onnx takes whole numbers only."""
    from skl2onnx.common._registration import get_converter
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    def told_in_numbers(kind: type) -> Any:
        def convert(scope: Any, operator: Any, container: Any) -> None:
            get_converter(f"Sklearn{kind.__name__}")(scope, operator, _Numbers(container))

        return convert

    return {kind: told_in_numbers(kind) for kind in (HistGradientBoostingClassifier, HistGradientBoostingRegressor)}


class _Numbers:
    """skl2onnx's container of nodes, whose ensembles have whole numbers in `nodes_...` attributes."""

    def __init__(self, container: Any) -> None:
        self._container = container

    def __getattr__(self, name: str) -> Any:
        return getattr(self._container, name)

    def add_node(self, *args: Any, **attributes: Any) -> None:
        numbers = {name: [int(n) for n in attributes[name]] for name in _WHOLE if name in attributes}
        self._container.add_node(*args, **{**attributes, **numbers})


def _line(error: Exception) -> str:
    """What skl2onnx says, which may be pages of a graph, in a line."""
    said = " ".join(str(error).split())
    return said if len(said) <= 120 else f"{said[:119]}…"


def exact(graph: bytes, pipeline: Any, frame: pd.DataFrame, *, tolerance: float = 1e-6) -> bool:
    """Whether graph and pipeline answer the same on the golden canonical `frame`.

    Probabilities may differ by `tolerance`, values by that share of the largest value (or of 1): single precision
    errs in proportion to the terms of a sum, not to the sum.
    """
    answer = run_graph(graph, frame)
    if hasattr(pipeline, "predict_proba"):
        expected = np.asarray(pipeline.predict_proba(frame), np.float64)
    else:
        expected = np.asarray(pipeline.predict(frame), np.float64)
        answer = answer.reshape(-1)
    if answer.shape != expected.shape:
        return False
    return bool(np.all(np.abs(answer - expected) <= tolerance * np.abs(expected).max(initial=1.0)))


def run_graph(graph: bytes, frame: pd.DataFrame) -> np.ndarray[Any, np.dtype[np.float64]]:
    """The last output of a graph of `to_onnx` for a canonical frame: probabilities, or values (n, 1)."""
    session = open_session(graph)
    feeds = {
        name: frame[[name]].to_numpy(object if session_type == "tensor(string)" else np.float32)
        for name, session_type in ((column.name, column.type) for column in session.get_inputs())
    }
    return np.asarray(session.run(None, feeds)[-1], np.float64)


def open_session(graph: bytes) -> Any:
    """An ONNX Runtime session of one thread; Invalid `damaged_graph` if the runtime cannot take the graph."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 4
    try:
        return onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the runtime's exceptions share no base but this one
        raise refused("damaged_graph", f"ONNX Runtime cannot load the graph: {error!s:.200}") from error


def check_graph(data: bytes) -> Any:
    """Parse an uploaded graph and return it (an onnx.ModelProto), or raise Invalid.

    Refused: data outside the file, control flow and functions (they need not end), operators of other domains.
    """
    import onnx

    model = onnx.ModelProto()
    try:
        model.ParseFromString(data)
    except Exception as error:  # DecodeError of whichever protobuf implementation is installed
        raise refused("damaged_graph", f"the .onnx file is damaged or cut off: {error!s:.200}") from error
    if not model.graph.node or not model.graph.input or not model.graph.output:
        raise refused("damaged_graph", "the .onnx file must hold a graph with inputs, nodes and outputs")
    if len(model.graph.node) > MAX_NODES:
        message = f"the .onnx graph must have at most {MAX_NODES} nodes but has {len(model.graph.node)}"
        raise refused("unsafe_graph", message)
    domains = {node.domain for node in model.graph.node} | {opset.domain for opset in model.opset_import}
    if foreign := sorted(domains - DOMAINS):
        raise refused("unsafe_graph", f"the .onnx graph must use standard operators only but uses {foreign[:5]}")
    if model.functions or model.training_info:
        raise refused("unsafe_graph", "the .onnx file must not define functions or training steps")
    for tensor in _tensors(model.graph):
        if tensor.data_location == onnx.TensorProto.EXTERNAL or tensor.external_data:
            message = f"the .onnx file must hold all its data but {tensor.name[:80]!r} is in another file"
            raise refused("external_data", message)
    return model


def _tensors(graph: Any) -> Iterator[Any]:
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("g") or attribute.graphs:
                raise refused("unsafe_graph", f"the .onnx graph must not branch or loop but has {node.op_type}")
            yield from (attribute.t, *attribute.tensors)
            for sparse in (attribute.sparse_tensor, *attribute.sparse_tensors):
                yield from (sparse.values, sparse.indices)
