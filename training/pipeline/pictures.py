"""A run's figures as PNG files for MLflow, whose pages show no plotly: drawn by Optuna and scikit-learn."""

from __future__ import annotations

import io
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from mlops_site.core import store
from registry.models import Version
from training.models import Run

if TYPE_CHECKING:
    import optuna
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

log = logging.getLogger(__name__)
DOTS_PER_INCH, INCHES = 100, (8.0, 5.0)
FEW = 2  # complete trials that a figure of a search needs
Draw = Callable[[], Any]


def draw(run: Run, studies: Mapping[str, optuna.Study], folder: Path) -> list[str]:
    """The names of the files made in the folder: of each model type's search, and of the holdout. A figure that cannot
    be drawn is left out: the numbers are recorded all the same."""
    import matplotlib

    matplotlib.use("Agg", force=True)  # there is no screen here
    from matplotlib import pyplot

    folder.mkdir(parents=True, exist_ok=True)
    made = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Optuna calls them experimental; both warn of data that has nothing to show
        for name, drawn in [*_of_searches(studies), *_of_holdout(run.version)]:
            try:
                figure = _figure_of(drawn())
                figure.set_size_inches(*INCHES)
                figure.savefig(folder / f"{name}.png", dpi=DOTS_PER_INCH, bbox_inches="tight")
                made.append(name)
            except Exception:  # whatever these libraries raise of data that they were not made for
                log.warning("%s of %s was not drawn", name, run, exc_info=True)
            finally:
                pyplot.close("all")
    return made


def _of_searches(studies: Mapping[str, optuna.Study]) -> Iterator[tuple[str, Draw]]:
    from optuna.trial import TrialState
    from optuna.visualization import matplotlib as visual

    for model_type, study in studies.items():
        complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
        if len(complete) < FEW or not complete[0].params:
            continue
        for name, function in (
            ("history", visual.plot_optimization_history),
            ("importance", visual.plot_param_importances),
            ("slice", visual.plot_slice),
            ("parallel_coordinate", visual.plot_parallel_coordinate),
        ):
            yield f"{model_type}_{name}", partial(function, study)


def _of_holdout(version: Version | None) -> Iterator[tuple[str, Draw]]:
    """Of two classes by the score, of more by the answer, of a number by actual against expected."""
    if version is None or version.holdout_id is None:
        return
    rows = pd.read_parquet(io.BytesIO(store.read(version.holdout_id)))
    if "score" in rows:
        yield from _of_scores(rows, version)
    elif version.signature["classes"]:
        yield "confusion", lambda: _confusion(rows["label"], rows["prediction"])
    else:
        yield "actual_against_predicted", lambda: _errors(rows, "actual_vs_predicted")
        yield "residuals", lambda: _errors(rows, "residual_vs_predicted")


def _of_scores(rows: pd.DataFrame, version: Version) -> Iterator[tuple[str, Draw]]:
    from sklearn.calibration import CalibrationDisplay
    from sklearn.metrics import PrecisionRecallDisplay, RocCurveDisplay

    positive = (rows["label"] == version.signature["positive_class"]).astype(int)
    yield "roc_curve", lambda: RocCurveDisplay.from_predictions(positive, rows["score"], plot_chance_level=True)
    yield "precision_recall", lambda: PrecisionRecallDisplay.from_predictions(positive, rows["score"])
    yield (
        "calibration",
        lambda: CalibrationDisplay.from_predictions(positive, rows["score"], n_bins=10, strategy="quantile"),
    )
    yield "confusion", lambda: _confusion(positive, (rows["score"] >= version.threshold).astype(int))


def _confusion(truth: Any, said: Any) -> Any:
    from sklearn.metrics import ConfusionMatrixDisplay

    return ConfusionMatrixDisplay.from_predictions(truth, said)


def _errors(rows: pd.DataFrame, kind: str) -> Any:
    from sklearn.metrics import PredictionErrorDisplay

    return PredictionErrorDisplay.from_predictions(
        rows["label"], rows["prediction"], kind=kind, subsample=1_000, random_state=0
    )


def _figure_of(drawn: Any) -> Figure:
    """Of what these libraries answer: a display, an axis, or a row of axes."""
    import numpy as np

    axes: Axes = drawn.ax_ if hasattr(drawn, "ax_") else np.ravel(drawn)[0]
    figure: Any = axes.get_figure()
    return figure  # type: ignore[no-any-return]
