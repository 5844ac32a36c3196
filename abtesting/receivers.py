"""What follows in experiments from facts below them."""

from __future__ import annotations

from typing import Any

from abtesting.services import sums
from monitoring.signals import Folded


def count_outcomes(*, folded: list[Folded], **_: Any) -> None:
    """What monitoring has folded is added to the sums of the running experiments, each item once as there."""
    sums.count_folded(folded)
