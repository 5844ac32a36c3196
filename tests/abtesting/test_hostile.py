"""What somebody who wants to break an experiment would try: its laws by SQL, bad input, tricks with rows."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from abtesting.models import Experiment, Unit
from tests.abtesting.lab import Lab

pytestmark = pytest.mark.django_db


def refused(sql: str, *values: Any) -> str:
    """What the database says against a statement."""
    with pytest.raises(DatabaseError) as caught, transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(sql, values)
    return str(caught.value)


class TestLaws:
    def test_the_hypothesis_and_the_name_stay_as_they_were_before_the_first_label(self, lab: Lab) -> None:
        """A hypothesis that is written once the result is known is none."""
        lab.start(hypothesis="It finds more.")
        for column in ("hypothesis", "name"):
            said = refused(f"UPDATE abtesting_experiment SET {column} = 'what came out'")
            assert "stays as it was at the start" in said

    def test_a_proven_mismatch_is_not_taken_back(self, lab: Lab) -> None:
        lab.start()
        Experiment.objects.update(mismatch_at=timezone.now())
        assert "blocks for good" in refused("UPDATE abtesting_experiment SET mismatch_at = NULL")

    def test_a_unit_is_not_dealt_again_by_taking_it_out(self, lab: Lab) -> None:
        lab.answer(lab.start(), 5)
        assert Unit.objects.count() == 5
        assert "units are kept" in refused("DELETE FROM abtesting_unit")
