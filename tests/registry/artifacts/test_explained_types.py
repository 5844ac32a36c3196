"""Every model type of training is explained: read off its trees or weights where it has them, else asked."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from mlops_site.stats.scored import TaskType
from registry.artifacts.explainer import Explainer
from registry.artifacts.formats import dump_skops, load_skops
from registry.artifacts.rows import Columns
from registry.artifacts.signature import Signature
from tests.registry.artifacts.conftest import KINDS
from tests.registry.artifacts.test_explainer import answers, by_definition, explainer
from training.ml import estimators

FEW = {"n_estimators": 6, "max_iter": 6, "hidden_units": 4}
LINEAR = {"logistic_regression", "linear_regression", "elastic_net"}
ASKED = {"mlp"}
CASES = [
    (name, target)
    for name in dict.fromkeys([*estimators.names("classification"), *estimators.names("regression")])
    for target in ("binary", "many", "value")
    if name in estimators.names("regression" if target == "value" else "classification")
]


@pytest.mark.parametrize(("name", "target"), CASES)
def test_what_its_inputs_add_is_shapleys_value(
    name: str, target: str, frame: pd.DataFrame, targets: dict[str, Any], signatures: dict[str, Signature]
) -> None:
    task: TaskType = "regression" if target == "value" else "classification"
    params = {key: value for key, value in FEW.items() if key in estimators.search_space(name, task)}
    fitted = estimators.Recipe(name, task, KINDS, params, seed=0).fit(frame, targets[target])
    model, signature, background = load_skops(dump_skops(fitted)), signatures[target], frame.iloc[100:106]
    told: Explainer = explainer(model, signature, background)
    found = told.explain(Columns.of(frame.iloc[[9]], signature))
    assert found.method == ("enumeration" if name in ASKED else "linear" if name in LINEAR else "trees")
    if name in ASKED:  # of those the answer itself is shared out
        assert found.output_space == ("value" if target == "value" else "probability")
    said = answers(model, signature, found.output_space, found.explained)
    expected = by_definition(said, frame.iloc[9], background)
    assert found.contributions == pytest.approx(expected, abs=1e-9, rel=1e-6)
    assert found.output == pytest.approx(found.base_value + float(np.sum([*found.contributions.values()])))
