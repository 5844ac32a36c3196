"""Scoring claims, the same way with ONNX Runtime and with a scikit-learn pipeline.

A process that serves ONNX only imports NumPy and ONNX Runtime here, nothing of scikit-learn or pandas.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mlops_site.core.errors import Invalid
from registry.artifacts.archive import Format, refused
from registry.artifacts.formats import load_skops
from registry.artifacts.graphs import check_graph, open_session
from registry.artifacts.rows import Columns, RowCheck
from registry.artifacts.schema import sample_row
from registry.artifacts.signature import Signature

if TYPE_CHECKING:
    import pandas as pd

Floats = NDArray[np.float64]

_ONNX_NUMBERS = {"tensor(float)": np.float32, "tensor(double)": np.float64}


class Scores(NamedTuple):
    """Of n rows: the class or value of each; P(positive class), of many classes the highest, or None; of many classes
    also the probability of each, (n, classes) in the signature's order."""

    prediction: NDArray[Any]
    score: Floats | None
    probabilities: Floats | None = None

    def by_class(self, signature: Signature) -> list[dict[str, float]] | None:
        """Of each row {class: probability}, classes written as text; None unless there are more than two."""
        if self.probabilities is None:
            return None
        names = [str(label) for label in signature.classes or ()]
        return [dict(zip(names, row, strict=True)) for row in self.probabilities.tolist()]


class Scorer(ABC):
    """A loaded model and its signature. `check_rows` turns a caller's rows into the columns to score."""

    def __init__(self, signature: Signature) -> None:
        self.signature = signature
        self.check_rows = RowCheck(signature)
        self._classes = np.array(signature.classes) if signature.classes else None
        labels = signature.classes or ()
        self._positive = labels.index(signature.positive_class) if len(labels) == 2 else None

    def score(self, rows: Columns | pd.DataFrame) -> Scores:
        """Score checked columns, or a canonical frame. Invalid `not_scorable` if an answer is not finite."""
        answer = self.outputs(rows if isinstance(rows, Columns) else Columns.of(rows, self.signature))
        if self._classes is None:
            return Scores(answer.reshape(-1), None)
        best = answer.argmax(axis=1)
        if self._positive is None:
            return Scores(self._classes[best], answer.max(axis=1), answer)
        return Scores(self._classes[best], answer[:, self._positive])

    def outputs(self, columns: Columns) -> Floats:
        """The numbers behind the scores, as `_answer` gives them; Invalid `not_scorable` if one is not finite."""
        answer = self._answer(columns)
        if not np.isfinite(answer).all():
            raise Invalid("the model answers these features with no finite number", code="not_scorable")
        return answer

    @abstractmethod
    def _answer(self, columns: Columns) -> Floats:
        """Probabilities (n, classes) in the signature's order of classes, or values (n,) or (n, 1)."""

    def _prove(self) -> None:
        """Score one plain row, so that a model of another shape than the signature's is refused now."""
        try:
            answer = self._answer(self.check_rows([sample_row(self.signature)]))
        except Invalid:
            raise
        except Exception as error:  # whatever the model stumbles over
            message = f"the model cannot score a row of its signature: {type(error).__name__}: {error!s:.200}"
            raise _mismatch(message) from error
        wanted = 1 if self._classes is None else len(self._classes)
        if answer.size != wanted:
            raise _mismatch(f"the model answers {answer.size} numbers a row but its signature says {wanted}")


class OnnxScorer(Scorer):
    """An ONNX graph: one input (n, 1) per column under its name, or one input (n, columns) of numbers."""

    def __init__(self, data: bytes, signature: Signature) -> None:
        super().__init__(signature)
        self._session = open_session(data)
        self._inputs = {column.name: column for column in self._session.get_inputs()}
        self._matrix = self._is_matrix()
        if not self._matrix:
            self._check_inputs()
        self._labels, self._output = self._outputs()
        self._names = [column.name for column in signature.inputs]
        self._numbers = [column.name for column in signature.inputs if column.kind == "number"]
        self._texts = [column.name for column in signature.inputs if column.kind == "category"]
        kinds = {_ONNX_NUMBERS.get(column.type, np.float32) for column in self._inputs.values()}
        self._wide = np.float64 in kinds
        self._prove()
        self._check_labels()

    def _answer(self, columns: Columns) -> Floats:
        answer = self._session.run([self._output], self._feeds(columns))[0]
        return np.asarray(answer, np.float64)

    def _feeds(self, columns: Columns) -> dict[str, NDArray[Any]]:
        numbers = columns.numbers.astype(np.float32)
        if self._matrix:
            (name,) = self._inputs
            return {name: np.ascontiguousarray(numbers.T, _ONNX_NUMBERS[self._inputs[name].type])}
        feeds: dict[str, NDArray[Any]] = dict(zip(self._numbers, numbers[:, :, np.newaxis], strict=True))
        for name, texts in zip(self._texts, columns.categories, strict=True):
            feeds[name] = np.array(texts, object).reshape(-1, 1)
        if self._wide:
            for name, values in zip(self._numbers, columns.numbers, strict=True):
                feeds[name] = values.reshape(-1, 1).astype(_ONNX_NUMBERS[self._inputs[name].type])
        return feeds

    def _is_matrix(self) -> bool:
        shape = next(iter(self._inputs.values())).shape
        numbers = all(column.kind == "number" for column in self.signature.inputs)
        size = len(self.signature.inputs)
        named = set(self._inputs) == set(self.signature.names)
        return len(self._inputs) == 1 and numbers and not named and len(shape) == 2 and shape[1] in (size, None)

    def _check_inputs(self) -> None:
        if set(self._inputs) != set(self.signature.names):
            raise _mismatch(_difference("graph", self._inputs, self.signature.names))
        for column in self.signature.inputs:
            actual = self._inputs[column.name]
            wanted = tuple(_ONNX_NUMBERS) if column.kind == "number" else ("tensor(string)",)
            if actual.type not in wanted or len(actual.shape) != 2:
                types = " or ".join(wanted)
                raise _mismatch(f"input {column.name!r} must be {types} (n, 1) but the graph has {actual.type}")

    def _outputs(self) -> tuple[str | None, str]:
        outputs = self._session.get_outputs()
        floats = [output.name for output in outputs if output.type in _ONNX_NUMBERS]
        labels = [output.name for output in outputs if output.type in ("tensor(int64)", "tensor(string)")]
        if len(floats) != 1:
            types = [output.type for output in outputs]
            raise _mismatch(f"the graph must have one float output but has {types}; convert with zipmap off")
        return (labels[0] if labels else None), floats[0]

    def _check_labels(self) -> None:
        """The graph's own label must be the class with its highest probability: the order of classes agrees."""
        if self._classes is None or self._labels is None:
            return
        feeds = self._feeds(self.check_rows([sample_row(self.signature)]))
        label, answer = self._session.run([self._labels, self._output], feeds)
        expected, got = self._classes[np.asarray(answer).argmax(axis=1)][0], np.asarray(label).ravel()[0]
        if str(expected) != str(got) and int(np.sum(answer == np.max(answer))) == 1 and not _same(expected, got):
            raise _mismatch(f"the graph answers class {got!r} where the signature's order means {expected!r}")


class SklearnScorer(Scorer):
    """A scikit-learn estimator or pipeline, which takes the canonical frame."""

    def __init__(self, model: Any, signature: Signature) -> None:
        super().__init__(signature)
        self.model = model
        names = getattr(model, "feature_names_in_", None)
        if names is not None and set(names) != set(signature.names):
            raise _mismatch(_difference("model", list(names), signature.names))
        self.order = None if names is None else [str(name) for name in names]
        if self._classes is not None:
            self._check_classes()
        self._prove()

    def _answer(self, columns: Columns) -> Floats:
        given = self.given(columns)
        answer = self.model.predict(given) if self._classes is None else self.model.predict_proba(given)
        return np.asarray(answer, np.float64)

    def given(self, columns: Columns) -> Any:
        """The rows as the model takes them: a frame in its own order, or an array if it was fitted on one."""
        frame = columns.frame()
        return frame.to_numpy() if self.order is None else frame[self.order]

    def _check_classes(self) -> None:
        if not hasattr(self.model, "predict_proba"):
            kind = type(self.model).__name__
            raise refused("no_probability", f"a classifier must have predict_proba but {kind} has not; calibrate it")
        classes = list(getattr(self.model, "classes_", ()))
        if [str(label) for label in classes] != [str(label) for label in self.signature.classes or ()]:
            raise _mismatch(f"the model's classes are {classes[:20]} but its signature says {self.signature.classes}")


def open_scorer(data: bytes, form: Format, signature: Signature, *, trust: Collection[str] | None = None) -> Scorer:
    """The scorer of an artifact's bytes; Invalid if they are refused or do not fit the signature.

    Every load checks what the inspection of an upload checked: whoever can write rows cannot make the site run a graph
    that never ends, or read a file.
    """
    if form == "onnx":
        check_graph(data)
        return OnnxScorer(data, signature)
    return SklearnScorer(load_skops(data, trust), signature)


def golden(scorer: Scorer, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What the scorer answers to each row: `{"features", "prediction", "score"}`, kept with the version."""
    answer = scorer.score(scorer.check_rows(rows))
    scores = [None] * len(rows) if answer.score is None else answer.score.tolist()
    triples = zip(rows, answer.prediction.tolist(), scores, strict=True)
    return [{"features": dict(row), "prediction": value, "score": score} for row, value, score in triples]


def _same(label: Any, other: Any) -> bool:
    try:
        return float(label) == float(other)
    except ValueError:
        return False


def _difference(owner: str, actual: Collection[str], wanted: Collection[str]) -> str:
    missing, extra = sorted(set(wanted) - set(actual)), sorted(set(actual) - set(wanted))
    return f"the {owner} must take the signature's inputs but lacks {missing[:5]} and has also {extra[:5]}"


def _mismatch(message: str) -> Invalid:
    return refused("signature_mismatch", message)
