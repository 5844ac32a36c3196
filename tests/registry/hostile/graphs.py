"""ONNX graphs that reach outside, never end, or ask for more memory than there is."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

Build = Callable[[Path], bytes]


def constant(name: str, value: Any, kind: Any) -> Any:
    return numpy_helper.from_array(np.array(value, kind), name)


def graph(*nodes: Any, initializers: list[Any] | None = None, domain: str = "") -> onnx.ModelProto:
    """x (n, 2) -> y (n, 1)."""
    weights = [constant("w", [[1.0], [1.0]], np.float32)] if initializers is None else initializers
    inside = helper.make_graph(
        list(nodes) or [helper.make_node("MatMul", ["x", "w"], ["y"])],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, 2])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, 1])],
        weights,
    )
    opsets = [helper.make_opsetid("", 21), *([helper.make_opsetid(domain, 1)] if domain else [])]
    return helper.make_model(inside, opset_imports=opsets, ir_version=10)


def external(location: str) -> Build:
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[2, 1], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value=location)
    return lambda marker: bytes(graph(initializers=[tensor]).SerializeToString())


def external_in_an_attribute(marker: Path) -> bytes:
    tensor = TensorProto(name="k", data_type=TensorProto.FLOAT, dims=[2, 1], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value="/proc/self/environ")
    nodes = [helper.make_node("Constant", [], ["k"], value=tensor), helper.make_node("MatMul", ["x", "k"], ["y"])]
    return bytes(graph(*nodes).SerializeToString())


def endless(marker: Path) -> bytes:
    """A loop whose condition stays true, for as many turns as an int64 can count."""
    inside = helper.make_graph(
        [
            helper.make_node("Identity", ["more"], ["more_out"]),
            helper.make_node("Add", ["value", "value"], ["value_out"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("turn", TensorProto.INT64, []),
            helper.make_tensor_value_info("more", TensorProto.BOOL, []),
            helper.make_tensor_value_info("value", TensorProto.FLOAT, None),
        ],
        [
            helper.make_tensor_value_info("more_out", TensorProto.BOOL, []),
            helper.make_tensor_value_info("value_out", TensorProto.FLOAT, None),
        ],
    )
    nodes = [
        helper.make_node("Loop", ["turns", "yes", "x"], ["looped"], body=inside),
        helper.make_node("MatMul", ["looped", "w"], ["y"]),
    ]
    weights = constant("w", [[1.0], [1.0]], np.float32)
    first = [constant("turns", 2**63 - 1, np.int64), constant("yes", True, np.bool_), weights]
    return bytes(graph(*nodes, initializers=first).SerializeToString())


def branching(marker: Path) -> bytes:
    inside = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["o"])],
        "b",
        [],
        [helper.make_tensor_value_info("o", TensorProto.FLOAT, None)],
    )
    node = helper.make_node("If", ["yes"], ["y"], then_branch=inside, else_branch=inside)
    weights = constant("w", [[1.0], [1.0]], np.float32)
    return bytes(graph(node, initializers=[constant("yes", True, np.bool_), weights]).SerializeToString())


def with_function(marker: Path) -> bytes:
    model = graph()
    model.functions.add(name="MatMul", domain="")
    return bytes(model.SerializeToString())


def gigantic_zeros(marker: Path) -> bytes:
    """Four terabytes out of a shape."""
    nodes = [
        helper.make_node("ConstantOfShape", ["shape"], ["zeros"]),
        helper.make_node("ReduceSum", ["zeros"], ["sum"], keepdims=0),
        helper.make_node("MatMul", ["x", "w"], ["flat"]),
        helper.make_node("Add", ["flat", "sum"], ["y"]),
    ]
    weights = constant("w", [[1.0], [1.0]], np.float32)
    return bytes(graph(*nodes, initializers=[constant("shape", [1 << 40], np.int64), weights]).SerializeToString())


def gigantic_when_asked(marker: Path) -> bytes:
    """The same, but only a row makes it."""
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["flat"]),
        helper.make_node("Tile", ["flat", "times"], ["tiled"]),
        helper.make_node("ReduceMax", ["tiled"], ["most"], keepdims=0),
        helper.make_node("Add", ["flat", "most"], ["y"]),
    ]
    weights = constant("w", [[1.0], [1.0]], np.float32)
    return bytes(
        graph(*nodes, initializers=[constant("times", [1 << 20, 1 << 20], np.int64), weights]).SerializeToString()
    )


def gigantic_initializer(marker: Path) -> bytes:
    """Claims four terabytes and holds eight bytes."""
    tensor = TensorProto(name="w", data_type=TensorProto.FLOAT, dims=[1 << 30, 1 << 10], raw_data=bytes(8))
    return bytes(graph(initializers=[tensor]).SerializeToString())


def nodes_without_end(marker: Path) -> bytes:
    names = ["x", *[f"n{n}" for n in range(20_000)]]
    nodes = [helper.make_node("Relu", [a], [b]) for a, b in itertools.pairwise(names)]
    return bytes(graph(*nodes, helper.make_node("MatMul", [names[-1], "w"], ["y"])).SerializeToString())


def matryoshka(marker: Path) -> bytes:
    """Length-delimited fields inside each other, deeper than a parser should follow."""
    data = b""
    for _ in range(3_000):
        data = b"\x32" + varint(len(data)) + data  # attribute.g and graph.node.attribute by turns, or nonsense
    return b"\x08\x0a\x3a" + varint(len(data)) + data


def varint(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])


def cut_off(marker: Path) -> bytes:
    return bytes(graph().SerializeToString())[:-20]


def foreign(domain: str, name: str) -> Build:
    node = helper.make_node(name, ["x"], ["y"], domain=domain)
    return lambda marker: bytes(graph(node, domain=domain).SerializeToString())


FILES: dict[str, tuple[Build, str]] = {
    "cut-off.onnx": (cut_off, "damaged_graph"),
    "external-passwd.onnx": (external("/etc/passwd"), "external_data"),
    "external-traversal.onnx": (external("../../../../etc/shadow"), "external_data"),
    "external-in-an-attribute.onnx": (external_in_an_attribute, "external_data"),
    "operator-of-its-own.onnx": (foreign("com.example.native", "Run"), "unsafe_graph"),
    "operator-in-python.onnx": (foreign("ai.onnx.contrib", "PyOp"), "unsafe_graph"),
    "endless-loop.onnx": (endless, "unsafe_graph"),
    "branch.onnx": (branching, "unsafe_graph"),
    "function-that-shadows.onnx": (with_function, "unsafe_graph"),
    "too-many-nodes.onnx": (nodes_without_end, "unsafe_graph"),
    "gigantic-zeros.onnx": (gigantic_zeros, "signature_mismatch"),
    "gigantic-when-asked.onnx": (gigantic_when_asked, "signature_mismatch"),
    "gigantic-initializer.onnx": (gigantic_initializer, "damaged_graph"),
    "matryoshka.onnx": (matryoshka, "damaged_graph"),
}
