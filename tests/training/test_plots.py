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


TRIED = plots.Tried(
    "random_forest",
    "roc_auc",
    True,
    [0.7, 0.8, 0.75],
    [
        plots.Parameter("learning_rate", [0.001, 0.1, 0.01], True),
        plots.Parameter("max_depth", [3, None, 5], False),
        plots.Parameter("max_features", [0.1, 0.5, 0.9], False),
        plots.Parameter("bootstrap", [True, False, True], False),
    ],
)


def test_each_parameter_has_a_part_of_the_slice_figure() -> None:
    figure = plots.slice_figure(TRIED)
    assert [list(trace.y) for trace in figure.data] == [[0.7, 0.8, 0.75]] * 4
    assert list(figure.data[1].x) == ["3", "none", "5"]
    assert list(figure.data[3].x) == ["yes", "no", "yes"]
    assert (figure.layout.xaxis.type, figure.layout.xaxis2.type) == ("log", "category")


def test_parallel_coordinates_have_an_axis_for_each_parameter_and_the_metric() -> None:
    figure = plots.parallel_figure(TRIED)
    names = ["learning rate", "max depth", "max features", "bootstrap", "roc auc"]
    assert list(figure.layout.xaxis.ticktext) == names
    lines = [list(zip(trace.x, trace.y, strict=True)) for trace in figure.data]
    best = lines.pop()
    assert best == [(0, 1.0), (1, 1.0), (2, 0.5), (3, 0.0), (4, 1.0), (None, None)]  # 0.1, none, 0.5, no, 0.8
    drawn = [line for band in lines for line in band if line[0] == 0]
    assert sorted(place for _, place in drawn) == [0.0, 0.5, 1.0]  # 0.001, 0.01 and 0.1 by orders of magnitude
    written = {(note.x, note.text) for note in figure.layout.annotations}
    assert {(0, "0.001"), (0, "0.1"), (1, "3"), (1, "none"), (3, "yes"), (4, "0.8")} <= written
    assert TRIED.rows[1] == ([0.1, None, 0.5, False], 0.8)


def test_where_less_is_better_the_least_is_the_best() -> None:
    best = plots.parallel_figure(TRIED._replace(greater_is_better=False)).data[-1]
    assert best.y[0] == 0.0
