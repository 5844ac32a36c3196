"""What may be asked of a training run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass
class RunConfig:
    """The fields of POST /training/start. What is left out is completed from the model and the data set.

    `n_trials` counts per model type; without `hyperparameter_optimization` each type is trained once with its
    defaults. `search_space` narrows a type's parameters: {"random_forest": {"max_depth": {"low": 3, "high": 6}}}.
    `monotone` holds the answer to rise (1) or fall (-1) with a number: {"age": 1}.
    Two classes are told apart at the best F1; with `cost_matrix` where mistakes cost least, per row by outcome:
    {"false_negative": 500, "false_positive": 40}; with `capacity` so that at most that many rows are positive:
    {"at_most": 200, "of_rows": 5000}, 200 investigations among the 5,000 claims of a week.
    `calibration` (auto, sigmoid or isotonic) corrects the scores of two classes where that lowers log loss and Brier
    score out of fold.
    `new_rows_weight` is how much a row that a retraining added to the data set counts in every fit, where one that was
    there before counts 1; folds and holdout are judged with every row alike.
    `nested_folds` asks how good the search as a whole is: it is done again inside each of so many outer folds of the
    training part and its choice scored on the rest, at the price of that many searches more.
    `slices` are columns of the data set, features or not, by whose groups the holdout is told apart.
    `available_at` names, for features, the column with the time at which their value was known: a row where that is
    after the data set's time column blocks the run.
    `workers` is how many worker processes, on any machines, share the trials: one leads, the others join as they become
    free. `gpu` leaves the run to workers of the queue gpu. Neither is part of what the version is.
    `margin` is how much worse than the champion, in units of the metric, still counts as no worse: the gate wants the
    whole interval above minus the margin, so a small holdout needs a wider one. With `need` "superior" it wants the
    whole interval above 0 instead: a candidate that is only as good stays in development.
    `feature_sets` are those that the version will read for features a caller leaves out; left out, those that the data
    set was made with.
    """

    model_name: str
    target: str | None = None
    task_type: str | None = None
    positive_class: str | int | float | None = None
    features: list[str] | None = None
    model_types: list[str] | None = None
    hyperparameter_optimization: bool = True
    n_trials: int = 20
    search_space: dict[str, dict[str, Any]] | None = None
    cv_folds: int = 5
    cv: str | None = None
    metric: str | None = None
    auto_deploy_threshold: float | None = None
    margin: float = 0.01
    need: str = "non_inferior"
    monotone: dict[str, int] | None = None
    cost_matrix: dict[str, float] | None = None
    capacity: dict[str, float] | None = None
    calibration: str | None = None
    slices: list[str] | None = None
    available_at: dict[str, str] | None = None
    nested_folds: int | None = None
    new_rows_weight: float = 1.0
    feature_sets: list[str] | None = None
    workers: int = 1
    gpu: bool = False
    seed: int = 0
