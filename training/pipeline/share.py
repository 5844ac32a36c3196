"""A worker's part in a spread run: trials of the same studies, on the same rows and folds, until they are full."""

from __future__ import annotations

from functools import partial

from django.db.models import Value
from django.db.models.functions import Greatest

from mlops_site.core import jobs
from mlops_site.core.choices import JobState
from training.ml import search
from training.ml.preparation import Preparations
from training.models import Run, Share
from training.pipeline import data, selection
from training.pipeline.large import opened
from training.pipeline.steps import Fence

OPEN = (JobState.QUEUED, JobState.RUNNING)
APART = 100_003  # between the seeds of two workers' samplers: more than a study has trials


def execute(share: Share) -> None:
    """One attempt. It ends when the studies of the run are full or the run is over, or raises: LeaseLost when the share
    is no longer this attempt's or is cancelled, StewardError with the reason."""
    if not share.run.has_ended:
        selection.prepare_storage()
        try:
            with opened(share) as rows:
                _search(share, rows)
        except jobs.LeaseLost:
            share.run.refresh_from_db(fields=["state"])
            if not share.run.has_ended:
                raise
    is_cancelled = share.run.state == JobState.CANCELLED
    jobs.finish(share, JobState.CANCELLED if is_cancelled else JobState.SUCCEEDED, step="done", progress=1.0)


def _search(share: Share, rows: data.Rows) -> None:
    prepared = Preparations(rows.training.frame)
    fence = Fence(share, run__state__in=OPEN, run__cancel_requested_at=None)
    for before, name in enumerate(share.spec["model_types"]):
        jobs.advance(share, step=f"search {name}")
        selection.join(
            share,
            selection.objective_of(share, rows, name, prepared),
            seed=share.seed + APART * (share.number - 1),
            on_trial=partial(_hear, share, name, before * share.spec["n_trials"]),
            should_stop=fence,
            worker=str(share.pk),
        )


def _hear(share: Share, name: str, before: int, trial: search.Trial) -> None:
    """A finished trial moves the run on too: an attempt of the run that dies now was not without progress."""
    total = before + trial.done
    jobs.advance(share, progress=total / share.trials_total, trials_done=share.trials_done + 1)
    Run.objects.filter(pk=share.run_id, state__in=OPEN).update(
        trials_done=Greatest("trials_done", Value(total)),
        progress=Greatest("progress", Value(selection.share_done(share, total))),
        stalled=0,
    )
    value = "pruned" if trial.value is None else f"{share.spec['metric']} {trial.value:.4f}"
    share.run.tell(f"{name} trial {trial.done} of {trial.total}: {value}, by worker {share.number} on {share.worker}")
