"""A training run from its data set to a registered version, in the child process of one attempt.

Every step can be done again: the rows, folds and seeds are the run's own, finished trials stay in their study,
files are named by what they hold. What must happen once, happens in the one transaction of `registration`.
"""

from __future__ import annotations

from mlops_site.core import jobs
from training.models import Run
from training.pipeline import registration, selection, soundness
from training.pipeline.evidence import files_of
from training.pipeline.large import opened
from training.pipeline.steps import pass_to, say
from training.pipeline.trained import trained
from training.services import origin


def execute(run: Run) -> None:
    """One attempt. It ends with a registered version and a succeeded run, or raises: LeaseLost when the run is no
    longer this attempt's, StewardError with the reason that the run's page shows."""
    # Of this process: it need not be that of who asked.
    jobs.advance(run, step="check the data", **origin.made_with())
    say(run, f"attempt {run.attempt} on {run.dataset} with seed {run.seed}, code {run.code}")
    selection.prepare_storage()
    with opened(run) as rows:
        _, winner = trained(run, rows)
        pass_to(run, "convert", progress=0.93)
        files = files_of(winner, rows, run)
        if files.reason:
            say(run, f"served by scikit-learn: {files.reason}")
        soundness.before_registration(run, winner, rows, files)
        pass_to(run, "gate and register", progress=0.97)
        registration.register(run, winner, rows, files)
