"""Explanations of every estimator of training, against Shapley values by their definition."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.base import BaseEstimator
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.ensemble import ExtraTreesClassifier, GradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier

from registry.artifacts.background import background_of, from_bytes, row_of, take, to_bytes
from registry.artifacts.engines import OnnxScorer, SklearnScorer
from registry.artifacts.explainer import Budget, Explainer, Explanation
from registry.artifacts.graphs import to_onnx
from registry.artifacts.rows import Columns
from registry.artifacts.signature import Signature, infer
from tests.registry.artifacts.conftest import CLASSIFIERS, KINDS, REGRESSORS

Fitted = Callable[[str, str], Pipeline]
CASES = [(name, target) for name in CLASSIFIERS for target in ("binary", "many")] + [(n, "value") for n in REGRESSORS]
SPACES = {
    "logistic_regression": {"binary": "log_odds", "many": "raw"},
    "linear_regression": {"value": "value"},
    "random_forest": {"binary": "probability", "many": "probability", "value": "value"},
    "gradient_boosting": {"binary": "log_odds", "many": "raw", "value": "value"},
    "hist_gradient_boosting": {"binary": "log_odds", "many": "raw", "value": "value"},
}


def explainer(model: Any, signature: Signature, rows: pd.DataFrame) -> Explainer:
    return Explainer(SklearnScorer(model, signature), Columns.of(rows, signature), "d" * 64)


def answers(model: Any, signature: Signature, space: str, explained: Any) -> Callable[[pd.DataFrame], Any]:
    """What the model says of rows, in the output space, from its public methods alone."""

    def said(frame: pd.DataFrame) -> Any:
        frame = frame[list(signature.names)]
        if space == "value":
            return model.predict(frame)
        at = list(model.classes_).index(explained)
        if space == "probability":
            return model.predict_proba(frame)[:, at]
        raw = model.decision_function(frame)
        if raw.ndim == 1:
            return raw if at == 1 else -raw
        return raw[:, at]

    return said


def by_definition(said: Callable[[pd.DataFrame], Any], row: pd.Series, background: pd.DataFrame) -> dict[str, float]:
    """Shapley's sum over all coalitions, written out."""
    names = list(background.columns)
    parts = [part for size in range(len(names) + 1) for part in itertools.combinations(names, size)]
    mixed = pd.concat([background.assign(**{name: row[name] for name in part}) for part in parts])
    known = dict(zip(parts, said(mixed).reshape(len(parts), len(background)).mean(axis=1).tolist(), strict=True))
    n, found = len(names), dict.fromkeys(names, 0.0)
    for name in names:
        for part in known:
            if name not in part:
                joined = tuple(each for each in names if each in part or each == name)
                weight = math.factorial(len(part)) * math.factorial(n - len(part) - 1) / math.factorial(n)
                found[name] += weight * (known[joined] - known[part])
    return found


@pytest.mark.parametrize(("name", "target"), CASES)
def test_trees_and_lines_are_explained_exactly(
    fitted: Fitted, signatures: dict[str, Signature], frame: pd.DataFrame, name: str, target: str
) -> None:
    model, signature, background = fitted(name, target), signatures[target], frame.iloc[100:112]
    explained = explainer(model, signature, background)
    for at in (4, 9):  # the last has a gap
        found = explained.explain(Columns.of(frame.iloc[[at]], signature))
        assert found.method == ("linear" if "regression" in name else "trees")
        assert found.output_space == SPACES[name][target]
        said = answers(model, signature, found.output_space, found.explained)
        expected = by_definition(said, frame.iloc[at], background)
        assert found.contributions == pytest.approx(expected, abs=1e-9, rel=1e-7)
        assert found.base_value == pytest.approx(float(np.mean(said(background))))
        assert found.output == pytest.approx(float(said(frame.iloc[[at]])[0]))
        assert found.output == pytest.approx(found.base_value + sum(found.contributions.values()) + found.residual)
        assert abs(found.residual) < 1e-9 * max(1.0, abs(found.output))
        assert found.background == {"digest": "d" * 64, "rows": 12}
        assert (found.errors, found.samples) == ({}, 0)


def test_the_positive_class_is_explained_whichever_it_is(fitted: Fitted, frame: pd.DataFrame) -> None:
    for name in CLASSIFIERS:
        model = fitted(name, "binary")
        both = []
        for positive in (0, 1):
            signature = infer(frame, KINDS, task_type="classification", target=model.classes_, positive_class=positive)
            found = explainer(model, signature, frame.iloc[100:112]).explain(Columns.of(frame.iloc[[3]], signature))
            assert found.explained == positive
            both.append(np.array(list(found.contributions.values())))
        assert both[0] == pytest.approx(-both[1], abs=1e-9)


def test_of_many_classes_the_likeliest_is_explained(
    fitted: Fitted, signatures: dict[str, Signature], frame: pd.DataFrame
) -> None:
    model, signature = fitted("random_forest", "many"), signatures["many"]
    explained = explainer(model, signature, frame.iloc[100:112])
    found = [explained.explain(Columns.of(frame.iloc[[at]], signature)).explained for at in range(12)]
    assert found == model.predict(frame.head(12)).tolist()
    assert len(set(found)) > 1


@pytest.mark.parametrize(("name", "target"), CASES)
def test_rows_together_are_explained_as_each_alone(
    fitted: Fitted, signatures: dict[str, Signature], frame: pd.DataFrame, name: str, target: str
) -> None:
    explained, rows = explainer(fitted(name, target), signatures[target], frame.iloc[100:112]), frame.head(12)
    together = explained.explain_all(Columns.of(rows, signatures[target]))
    for place, found in enumerate(together):
        alone = explained.explain(Columns.of(rows.iloc[[place]], signatures[target]))
        assert (found.method, found.explained) == (alone.method, alone.explained)
        assert found.contributions == pytest.approx(alone.contributions, abs=1e-12)
        assert (found.base_value, found.output) == pytest.approx((alone.base_value, alone.output), abs=1e-12)


def test_a_row_of_the_background_alone_differs_from_it_in_nothing(
    fitted: Fitted, signatures: dict[str, Signature], frame: pd.DataFrame
) -> None:
    found = explainer(fitted("random_forest", "binary"), signatures["binary"], frame.iloc[[7]]).explain(
        Columns.of(frame.iloc[[7]], signatures["binary"])
    )
    assert set(found.contributions.values()) == {0.0}
    assert found.output == pytest.approx(found.base_value)


class TestOtherEstimators:
    """Written as they are met in uploads: fitted on arrays, in another order, with other preparation."""

    def check(self, model: Any, signature: Signature, frame: pd.DataFrame, method: str) -> Explanation:
        background = frame.iloc[100:110]
        found = explainer(model, signature, background).explain(Columns.of(frame.iloc[[2]], signature))
        assert found.method == method
        said = answers(model, signature, found.output_space, found.explained)
        expected = by_definition(said, frame.iloc[2], background)
        assert found.contributions == pytest.approx(expected, abs=1e-9)
        return found

    def test_in_another_order_of_columns(self, frame: pd.DataFrame, targets: dict[str, Any]) -> None:
        names = ["n4", "n0", "n2"]
        model = DecisionTreeClassifier(max_depth=4, random_state=0).fit(frame[names], targets["binary"])
        kinds = dict.fromkeys(sorted(names), "number")
        part = frame[sorted(names)]
        signature = infer(part, kinds, task_type="classification", target=targets["binary"])  # type: ignore[arg-type]
        self.check_named(model, signature, part, names)

    def check_named(self, model: Any, signature: Signature, frame: pd.DataFrame, names: list[str]) -> None:
        class Ordered:
            classes_ = model.classes_

            def predict_proba(self, rows: pd.DataFrame) -> Any:
                return model.predict_proba(rows[names])

        background = frame.iloc[100:110]
        found = explainer(model, signature, background).explain(Columns.of(frame.iloc[[2]], signature))
        said = answers(Ordered(), signature, found.output_space, found.explained)
        assert found.contributions == pytest.approx(by_definition(said, frame.iloc[2], background), abs=1e-9)
        assert found.method == "trees"

    def test_with_rare_levels_and_one_dropped(
        self, frame: pd.DataFrame, targets: dict[str, Any], signatures: dict[str, Signature]
    ) -> None:
        at = np.arange(300)
        sites = np.where(at % 90 == 0, "rare", np.where(at % 90 == 1, "rarer", frame["site"]))
        rare = frame.assign(site=sites)
        encoder = OneHotEncoder(drop="first", min_frequency=10, handle_unknown="ignore")
        parts = [("levels", encoder, ["site", "plan"]), ("numbers", "passthrough", ["n0", "n1", "n2", "n4"])]
        prepare = ColumnTransformer(parts, sparse_threshold=0)
        names = ["n0", "n1", "n2", "n4", "site", "plan"]
        model = Pipeline([("p", prepare), ("m", ExtraTreesClassifier(5, max_depth=5, random_state=0))])
        model.fit(rare[names], targets["binary"])
        kinds = {name: KINDS[name] for name in names}
        signature = infer(rare[names], kinds, task_type="classification", target=targets["binary"])
        self.check(model, signature, rare[names], "trees")

    def test_boosting_of_the_exponential_loss_says_raw(self, frame: pd.DataFrame, targets: dict[str, Any]) -> None:
        names = ["n0", "n1", "n2"]
        model = GradientBoostingClassifier(loss="exponential", n_estimators=5).fit(frame[names], targets["binary"])
        signature = infer(frame[names], dict.fromkeys(names, "number"), task_type="classification", target=[0, 1, 1])
        assert self.check(model, signature, frame[names], "trees").output_space == "raw"

    def test_boosting_with_a_log_link_says_raw(self, frame: pd.DataFrame, targets: dict[str, Any]) -> None:
        names = ["n0", "n3"]
        model = HistGradientBoostingRegressor(loss="poisson", max_iter=5).fit(frame[names], targets["binary"])
        signature = infer(frame[names], dict.fromkeys(names, "number"), task_type="regression")
        found = explainer(model, signature, frame.iloc[100:110]).explain(Columns.of(frame.iloc[[2]], signature))
        assert (found.method, found.output_space) == ("trees", "raw")
        assert math.exp(found.output) == pytest.approx(model.predict(frame[names].iloc[[2]])[0])

    @pytest.mark.parametrize("estimator", [MLPClassifier((4,), max_iter=20, random_state=0)])
    def test_what_is_no_sum_is_enumerated_for_few_inputs(
        self, frame: pd.DataFrame, targets: dict[str, Any], estimator: BaseEstimator
    ) -> None:
        names = ["n0", "n1", "n2"]
        with np.errstate(all="ignore"), pytest.warns(UserWarning, match="Maximum iterations"):
            model = make_pipeline(StandardScaler(), estimator).fit(frame[names], targets["binary"])
        signature = infer(frame[names], dict.fromkeys(names, "number"), task_type="classification", target=[0, 1, 1])
        assert self.check(model, signature, frame[names], "enumeration").output_space == "probability"

    def test_columns_that_mix_inputs_are_not_taken_apart(self, frame: pd.DataFrame, targets: dict[str, Any]) -> None:
        names = ["n0", "n1", "n2"]
        model = make_pipeline(PCA(2), DecisionTreeClassifier(max_depth=3, random_state=0))
        model.fit(frame[names], targets["binary"])
        signature = infer(frame[names], dict.fromkeys(names, "number"), task_type="classification", target=[0, 1, 1])
        self.check(model, signature, frame[names], "enumeration")


class TestGraphs:
    """An uploaded ONNX graph is asked, not read."""

    @pytest.fixture
    def graph(self, fitted: Fitted, signatures: dict[str, Signature]) -> OnnxScorer:
        content = to_onnx(fitted("random_forest", "binary"), KINDS).graph
        assert content is not None
        return OnnxScorer(content, signatures["binary"])

    def test_of_few_inputs_it_says_what_its_trees_would(
        self, graph: OnnxScorer, fitted: Fitted, signatures: dict[str, Signature], frame: pd.DataFrame
    ) -> None:
        background, row = Columns.of(frame.iloc[100:112], graph.signature), Columns.of(frame.iloc[[4]], graph.signature)
        asked = Explainer(graph, background, "").explain(row)
        read = explainer(fitted("random_forest", "binary"), signatures["binary"], frame.iloc[100:112]).explain(row)
        assert (asked.method, asked.output_space) == ("enumeration", "probability")
        assert asked.contributions == pytest.approx(read.contributions, abs=1e-5)
        assert abs(asked.residual) < 1e-6

    def test_a_sample_states_its_errors_and_adds_up(
        self, graph: OnnxScorer, fitted: Fitted, signatures: dict[str, Signature], frame: pd.DataFrame, monkeypatch: Any
    ) -> None:
        monkeypatch.setattr("registry.artifacts.explainer.EXACT_CELLS", 0)
        background, row = Columns.of(frame.iloc[100:112], graph.signature), Columns.of(frame.iloc[[4]], graph.signature)
        found = Explainer(graph, background, "").explain(row, budget=Budget(secs=60, pairs=40))
        read = explainer(fitted("random_forest", "binary"), signatures["binary"], frame.iloc[100:112]).explain(row)
        assert (found.method, found.samples) == ("sampling", 40)
        assert set(found.errors) == set(found.contributions)
        far = [abs(found.contributions[n] - read.contributions[n]) / max(found.errors[n], 1e-6) for n in found.errors]
        assert max(far) < 4
        assert abs(found.residual) < 1e-6

    def test_it_ends_when_its_time_is_over_and_has_two_pairs_at_least(
        self, graph: OnnxScorer, frame: pd.DataFrame, monkeypatch: Any
    ) -> None:
        monkeypatch.setattr("registry.artifacts.explainer.EXACT_CELLS", 0)
        background, row = Columns.of(frame.head(100), graph.signature), Columns.of(frame.iloc[[4]], graph.signature)
        explained = Explainer(graph, background, "")
        found = explained.explain(row, budget=Budget(secs=0.0))
        assert (found.samples, found.background["rows"]) == (2, 100)
        found = explained.explain(row, budget=Budget(secs=0.0, cells=320))
        assert (found.samples, found.background["rows"]) == (2, 10)  # 2 pairs of 2 orders of 8 coalitions
        assert found.base_value == pytest.approx(graph.outputs(take(background, range(10)))[:, 1].mean(), abs=1e-6)


def test_the_residual_is_about_what_was_answered(
    fitted: Fitted, signatures: dict[str, Signature], frame: pd.DataFrame
) -> None:
    signature = signatures["binary"]
    row = Columns.of(frame.iloc[[4]], signature)
    for name in ("random_forest", "gradient_boosting"):
        explained = explainer(fitted(name, "binary"), signature, frame.iloc[100:112])
        right = explained.explain(row)
        found = explained.explain(row, answer=0.25)
        assert found.output == pytest.approx(0.25 if name == "random_forest" else math.log(1 / 3))
        assert found.residual == pytest.approx(found.output - right.output)
    rounded = float(np.float32(1 / (1 + math.exp(-right.output))))
    assert explained.explain(row, answer=rounded).residual == right.residual
    assert 10 < explained.explain(row, answer=1.0).residual < 60


class TestBackground:
    def test_it_is_at_most_a_hundred_rows_and_always_the_same(self, frame: pd.DataFrame) -> None:
        first, second = background_of(frame), background_of(frame)
        assert len(first) == 100
        assert to_bytes(first) == to_bytes(second)
        assert len(background_of(frame.head(7))) == 7

    def test_it_comes_back_as_it_was(self, frame: pd.DataFrame, signatures: dict[str, Signature]) -> None:
        signature = signatures["binary"]
        back = from_bytes(to_bytes(background_of(frame)), signature)
        assert back.rows == 100
        pd.testing.assert_frame_equal(back.frame(), background_of(frame), check_dtype=False)

    def test_a_row_is_read_as_a_caller_would_send_it(
        self, frame: pd.DataFrame, signatures: dict[str, Signature], rows: list[dict[str, Any]]
    ) -> None:
        columns = Columns.of(frame.head(40), signatures["binary"])
        assert [row_of(columns, at) for at in range(40)] == rows
