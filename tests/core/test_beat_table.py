"""The system jobs of Beat, as its scheduler keeps them."""

from __future__ import annotations

import pytest
from django_celery_beat.models import PeriodicTask
from django_celery_beat.schedulers import ModelEntry

from mlops_site.celery import app


@pytest.mark.django_db
def test_a_doorbell_that_rings_often_expires_before_it_rings_again() -> None:
    for name, entry in app.conf.beat_schedule.items():
        ModelEntry.from_entry(name, app=app, **entry)
    often = {name: entry["schedule"] for name, entry in app.conf.beat_schedule.items() if entry["schedule"] <= 300}
    kept = dict(PeriodicTask.objects.filter(name__in=often).values_list("name", "expire_seconds"))
    assert len(often) >= 4
    assert kept == {name: round(secs) for name, secs in often.items()}
