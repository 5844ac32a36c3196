"""Figures of a run: numbers in, traces out."""

from __future__ import annotations

import json

from training import plots


def point(order: int, value: float | None, best: float | None) -> plots.TrialPoint:
    state = "pruned" if value is None else "complete"
    return plots.TrialPoint(
        order, "random_forest" if order < 3 else "logistic_regression", order, state, value, best, 1.0
    )


def test_pruned_trials_are_no_points_and_the_best_line_goes_on() -> None:
    info = plots.History("roc_auc", True, [point(1, 0.7, 0.7), point(2, None, 0.7), point(3, 0.8, 0.8)])
    figure = json.loads(plots.history_figure(info).to_json())
    said = {trace["name"]: (list(trace["x"]), list(trace["y"])) for trace in figure["data"]}
    assert said == {
        "random forest": ([1], [0.7]),
        "logistic regression": ([3], [0.8]),
        "best so far": ([1, 2, 3], [0.7, 0.7, 0.8]),
    }


def test_the_best_is_the_lowest_where_lower_is_better() -> None:
    assert plots.best_so_far([3.0, None, 4.0, 1.0], greater_is_better=False) == [3.0, 3.0, 3.0, 1.0]


def test_the_most_important_parameter_is_on_top_of_its_figure() -> None:
    figure = plots.importance_figure(plots.Importance("random_forest", [("max_depth", 0.8), ("min_samples", 0.2)]))
    assert list(figure.data[0].y) == ["min samples", "max depth"]  # Plotly draws bars from below


def test_figures_use_colours_that_colour_blind_people_tell_apart() -> None:
    text = plots.history_figure(plots.History("mae", False, [point(1, 0.7, 0.7)])).to_json()
    assert "#0072b2" in text
    assert "#e69f00" in text
