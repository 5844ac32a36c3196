"""What the arms' answers add up to."""

from __future__ import annotations

from collections.abc import Sequence

from abtesting.models import ShadowAnswer


def count_scored(rows: Sequence[ShadowAnswer]) -> None:
    """Take note of what B has said, or failed to say, of claims; their experiment and rows are locked."""
