"""ONNX: the conversion is the same model or there is none; uploaded graphs hold all their data and always end."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pandas as pd
import pytest
from onnx import TensorProto, helper, numpy_helper
from sklearn.compose import TransformedTargetRegressor
from sklearn.linear_model import Ridge
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import StandardScaler

from mlops_site.core.errors import Invalid
from registry.artifacts.graphs import check_graph, exact, open_session, to_onnx
from registry.artifacts.signature import Kind

Fitted = Callable[[str, str], Pipeline]


@pytest.fixture(scope="session")
def kinds(frame: pd.DataFrame) -> dict[str, Kind]:
    return {name: "category" if name in ("site", "plan") else "number" for name in frame.columns}


def linear(*nodes: Any, initializers: tuple[Any, ...] = (), domain: str = "") -> onnx.ModelProto:
    """A graph x (n, 2) -> y (n, 1), or of the given nodes."""
    weights = numpy_helper.from_array(np.ones((2, 1), np.float32), "w")
    body = nodes or (helper.make_node("MatMul", ["x", "w"], ["y"]),)
    graph = helper.make_graph(
        list(body),
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 2])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, 1])],
        list(initializers) or [weights],
    )
    opsets = [helper.make_opsetid("", 21), *([helper.make_opsetid(domain, 1)] if domain else [])]
    return helper.make_model(graph, opset_imports=opsets, ir_version=10)


def external(location: str) -> onnx.ModelProto:
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[2, 1])
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value=location)
    return linear(initializers=(tensor,))


def code_of(data: bytes) -> str:
    with pytest.raises(Invalid) as raised:
        check_graph(data)
    return raised.value.code


def refusal(data: bytes) -> str | None:
    """The code with which an upload is refused, as it is looked at first and then opened."""
    try:
        check_graph(data)
        open_session(data)
    except Invalid as error:
        return error.code
    return None


def test_every_estimator_that_converts_is_exact(
    cases: list[tuple[str, str]], fitted: Fitted, frame: pd.DataFrame, kinds: dict[str, Kind]
) -> None:
    for name, target in cases:
        pipeline = fitted(name, target)
        conversion = to_onnx(pipeline, kinds)
        assert conversion.graph is not None, (name, target, conversion.reason)
        if (
            name != "hist_gradient_boosting"
        ):  # its own thresholds fall between numbers of single precision, see training
            assert exact(conversion.graph, pipeline, frame), (name, target)
        check_graph(conversion.graph)


def test_what_does_not_convert_is_told_why(frame: pd.DataFrame, targets: dict[str, Any]) -> None:
    model = TransformedTargetRegressor(Ridge(), transformer=StandardScaler()).fit(frame[["n0"]], targets["value"])
    conversion = to_onnx(model, {"n0": "number"})
    assert conversion.graph is None
    assert "skl2onnx cannot convert" in conversion.reason


def test_one_input_per_column(fitted: Fitted, kinds: dict[str, Kind]) -> None:
    graph = to_onnx(fitted("logistic_regression", "binary"), kinds).graph
    assert graph is not None
    inputs = {column.name: (column.type, column.shape) for column in open_session(graph).get_inputs()}
    assert list(inputs) == list(kinds)
    assert inputs["n0"] == ("tensor(float)", [None, 1])
    assert inputs["site"] == ("tensor(string)", [None, 1])


def test_another_model_is_not_exact(fitted: Fitted, frame: pd.DataFrame, kinds: dict[str, Kind]) -> None:
    for target in ("binary", "value"):
        graph = to_onnx(fitted("gradient_boosting", target), kinds).graph
        assert graph is not None
        assert not exact(graph, fitted("random_forest", target), frame)
        assert not exact(graph, fitted("gradient_boosting", target), frame, tolerance=0)


@pytest.mark.parametrize("location", ["/etc/passwd", "../../secret", "weights.bin"])
def test_data_in_another_file_is_refused(location: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "weights.bin").write_bytes(bytes(8))
    assert code_of(external(location).SerializeToString()) == "external_data"


def test_data_in_another_file_is_refused_inside_an_attribute_too() -> None:
    tensor = external("x").graph.initializer[0]
    nodes = (helper.make_node("Constant", [], ["k"], value=tensor), helper.make_node("MatMul", ["x", "k"], ["y"]))
    assert code_of(linear(*nodes).SerializeToString()) == "external_data"


def test_a_cut_graph_is_refused(fitted: Fitted, kinds: dict[str, Kind]) -> None:
    graph = to_onnx(fitted("random_forest", "binary"), kinds).graph
    assert graph is not None
    for size in range(1, len(graph), len(graph) // 25):
        assert refusal(graph[:size]) == "damaged_graph"


def test_control_flow_functions_and_other_domains_are_refused() -> None:
    body = linear().graph
    loop = helper.make_node("Loop", ["", "", "x"], ["y"], body=body)
    assert code_of(linear(loop).SerializeToString()) == "unsafe_graph"
    own = helper.make_node("Anything", ["x"], ["y"], domain="com.example")
    assert code_of(linear(own, domain="com.example").SerializeToString()) == "unsafe_graph"
    model = linear()
    model.functions.add(name="f", domain="")
    assert code_of(model.SerializeToString()) == "unsafe_graph"


def test_an_unknown_operator_is_refused_by_the_runtime() -> None:
    with pytest.raises(Invalid, match="ONNX Runtime cannot load"):
        open_session(linear(helper.make_node("NoSuchOperator", ["x"], ["y"])).SerializeToString())


def test_an_empty_graph_is_refused() -> None:
    assert code_of(b"\x08\x09") == "damaged_graph"


def test_a_sound_graph_passes() -> None:
    assert check_graph(linear().SerializeToString()).graph.name == "g"
