"""A training run from its data set to a registered version, in the child process of one attempt.

Every step can be done again: the rows, folds and seeds are the run's own, finished trials stay in their study,
files are named by what they hold. What must happen once, happens in the one transaction of `registration`.
"""

from __future__ import annotations

from training.ml import evaluate, search
from training.models import Run
from training.pipeline import data, registration, selection
from training.pipeline.calibrated import Calibrated, calibrated
from training.pipeline.evidence import Winner, files_of, metrics_of
from training.pipeline.steps import pass_to, say
from training.pipeline.tracking import Record, Tracking


def execute(run: Run) -> None:
    """One attempt. It ends with a registered version and a succeeded run, or raises: LeaseLost when the run is no
    longer this attempt's, StewardError with the reason that the run's page shows."""
    say(run, f"attempt {run.attempt} on {run.dataset} with seed {run.seed}, code {run.code}")
    rows = data.rows_of(run)
    say(run, f"{len(rows.training)} rows to train on in {len(rows.folds)} folds, {len(rows.holdout)} held out")
    selection.prepare_storage()
    tracking = Tracking()  # after Optuna has made its tables: Alembic cannot migrate two databases at once
    ranked = selection.searched(run, rows)
    pass_to(run, f"refit {ranked[0].recipe.name}", progress=0.86, trials_done=sum(best.trials for best in ranked))
    pipeline = ranked[0].recipe.fit(rows.training.frame, rows.training.truth, rows.training.weights)
    pass_to(run, "evaluate on the holdout", progress=0.90)
    winner = _evaluated(run, ranked[0], calibrated(run, ranked[0], pipeline, rows), rows)
    pass_to(run, "convert", progress=0.93)
    files = files_of(winner, rows, run)
    if files.reason:
        say(run, f"served by scikit-learn: {files.reason}")
    pass_to(run, "record in MLflow", progress=0.95)
    board = [selection.entry(run, best) for best in ranked]
    recorded, problem = tracking.log(run, Record(board, metrics_of(winner.report), files.skops))
    if problem:
        say(run, problem)
    pass_to(run, "gate and register", progress=0.97)
    registration.register(run, winner, rows, files, recorded)


def _evaluated(run: Run, best: search.Best, kept: Calibrated, rows: data.Rows) -> Winner:
    pipeline, threshold, told = kept
    report = evaluate.holdout_report(
        pipeline,
        rows.holdout.frame,
        rows.holdout.truth,
        classes=rows.classes,
        threshold=threshold,
        groups=rows.holdout.groups,
        seed=run.seed,
    )
    metric = run.spec["metric"]
    if found := report.metrics.get(metric):
        value, low, high = found["estimate"], found["lower"], found["upper"]
        say(run, f"holdout {metric} {value:.4f}, 95 % interval {low:.4f} to {high:.4f}")
    return Winner(best.recipe.name, dict(best.recipe.params), pipeline, threshold, report, told)
