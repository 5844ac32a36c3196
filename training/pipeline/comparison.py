"""Two versions of a data set compared in the child process of one attempt."""

from __future__ import annotations

from mlops_site.core import jobs
from mlops_site.core.choices import JobState
from training.ml.differences import WrongKeys
from training.models import Comparison
from training.selectors import differences

PROFILED = 0.2  # of the progress; the rest is comparing cells, column by column


def execute(comparison: Comparison) -> None:
    """One attempt. It ends with what was found in the row, or raises: LeaseLost when it is no longer this attempt's,
    StewardError with the reason."""
    before, after = comparison.before, comparison.after
    differences.check_bytes(before, after)
    jobs.advance(comparison, step="profiles", progress=0.01)

    def heard(share: float) -> None:
        jobs.advance(comparison, step="cells, column by column", progress=PROFILED + share * (0.99 - PROFILED))

    try:
        counts = differences.counts_of(before)
        found = differences.compared(before.digest, after.digest, comparison.keys, counts, heard)
    except WrongKeys as error:
        raise differences.wrong_keys(error) from error
    with jobs.fenced(comparison):
        jobs.finish(
            comparison,
            JobState.SUCCEEDED,
            step="done",
            progress=1.0,
            row_change=found.rows._asdict(),
            column_change=found.columns._asdict(),
            counts_before=found.profiles[0].to_bytes(),
            counts_after=found.profiles[1].to_bytes(),
        )
