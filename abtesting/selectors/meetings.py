"""What one claim has met."""

from __future__ import annotations

from typing import NamedTuple

from abtesting.models import Epoch, Experiment, ShadowAnswer
from monitoring.models import Prediction


class Meeting(NamedTuple):
    """The experiment under which a claim was answered, and what B says of it silently, where it does."""

    experiment: Experiment
    epoch: Epoch
    silent: ShadowAnswer | None


def met(row: Prediction) -> Meeting | None:
    """None where the claim took no part in an experiment."""
    if row.epoch is None:
        return None
    rows = Epoch.objects.select_related("experiment__model", "experiment__version_b__model")
    heavy = ("result", *(f"version_b__{name}" for name in ("reference", "golden", "facts", "explanation")))
    epoch = rows.defer(*(f"experiment__{name}" for name in heavy)).filter(pk=row.epoch).first()
    if epoch is None:
        return None
    test = epoch.experiment
    silent = ShadowAnswer.objects.filter(pk=row.pk).first() if test.is_paired else None
    return Meeting(test, epoch, silent)
