"""From the rows of a run to a winner that the holdout has judged: what a run and its reproduction share."""

from __future__ import annotations

from training.ml import evaluate, search
from training.models import Training
from training.pipeline import data, nested, selection
from training.pipeline.calibrated import Calibrated, calibrated
from training.pipeline.evidence import Winner
from training.pipeline.steps import pass_to, say


def trained(run: Training, rows: data.Rows) -> tuple[list[search.Best], Winner]:
    """The best of each model type, best first, and the first of them refitted. Raises LeaseLost, and StewardError with
    the reason."""
    say(run, f"{len(rows.training)} rows to train on in {len(rows.folds)} folds, {len(rows.holdout)} held out")
    ranked = selection.searched(run, rows)
    done = sum(best.trials for best in ranked) + nested.estimate(run, rows, ranked)
    pass_to(run, f"refit {ranked[0].recipe.name}", progress=0.86, trials_done=done)
    pipeline = ranked[0].recipe.fit(rows.training.frame, rows.training.truth, rows.training.weights)
    pass_to(run, "evaluate on the holdout", progress=0.90)
    return ranked, _evaluated(run, ranked[0], calibrated(run, ranked[0], pipeline, rows), rows)


def _evaluated(run: Training, best: search.Best, kept: Calibrated, rows: data.Rows) -> Winner:
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
