"""Doorbells and system jobs of monitoring."""

from __future__ import annotations

import time

from celery import shared_task
from django.conf import settings
from django.db import close_old_connections, transaction
from django.utils import timezone

from mlops_site.core.tasks import ring
from monitoring import services
from monitoring.models import Alert, RetrainPolicy
from monitoring.services import retraining

FOLD_AT_MOST_SECS = 20.0


@shared_task(name="monitoring.fold")
def fold() -> None:
    """Fold what is queued, and look at once at what has changed enough by it. Any number of them share the work."""
    close_old_connections()
    deadline = time.monotonic() + FOLD_AT_MOST_SECS
    taken = True
    while taken and time.monotonic() < deadline:
        taken = bool(services.fold())
        for run in services.request_due_checks():
            ring(run)


@shared_task(name="monitoring.compact")
def compact() -> None:
    """Merge older buckets into hours and days."""
    close_old_connections()
    services.compact(timezone.now())


@shared_task(name="monitoring.forget_pieces")
def forget_pieces() -> None:
    """Delete the pieces of scorings that ended without a result."""
    close_old_connections()
    services.forget_pieces()


@shared_task(name="monitoring.end_expired")
def end_expired() -> None:
    """Delete predictions, labels, features and deliveries whose time is over."""
    close_old_connections()
    services.end_expired()
    services.end_deliveries()


@shared_task(name="monitoring.run_all")
def run_all() -> None:
    """Ask for a report on every model in production that has no schedule of its own, and for the rules that alarm
    budgets wait for."""
    close_old_connections()
    for run in [*services.request_scheduled(), *services.due_calibrations()]:
        ring(run)


@shared_task(name="monitoring.run_model")
def run_model(model_name: str) -> None:
    """A tick of a model's own schedule."""
    close_old_connections()
    for run in services.request_scheduled(model_name):
        ring(run)


@shared_task(name="monitoring.sweep_alerts")
def sweep_alerts() -> None:
    """Escalate what nobody looks at, and see which models are silent."""
    close_old_connections()
    now = timezone.now()
    services.escalate_alerts(now)
    services.watch_silence(now)


@shared_task(name="monitoring.evaluate_alert")
def evaluate_alert(alert_id: str) -> None:
    """See what the model's retrain policy makes of an alert."""
    close_old_connections()
    alert = Alert.objects.select_related("model__team", "report", "version__model").get(pk=alert_id)
    if run := retraining.evaluate(alert):
        ring(run)


@shared_task(name="monitoring.evaluate_policies")
def evaluate_policies() -> None:
    """The guarantee behind the bells: alerts that still wait for a training, and intervals that have passed."""
    close_old_connections()
    for run in retraining.evaluate_policies():
        ring(run)


@shared_task(name="monitoring.retrain_on_schedule")
def retrain_on_schedule(model_name: str) -> None:
    """A tick of a policy's interval."""
    close_old_connections()
    policy = RetrainPolicy.objects.select_related("model__team", "set_by").filter(model__name=model_name).first()
    if policy is not None and (run := retraining.evaluate_schedule(policy)):
        ring(run)


@shared_task(name="monitoring.send_held")
def send_held() -> None:
    """Send digests whose hour has come, and what quiet hours held."""
    close_old_connections()
    services.send_held()


@shared_task(name="monitoring.save_reports")
def save_reports() -> None:
    """Save reports as files, where the operator wants them."""
    from monitoring.pipeline import workspace  # with plotly, which a notebook that asks for drift need not load

    close_old_connections()
    workspace.save_due()


def ring_fold() -> None:
    """Fold once what was logged is committed. A broker that is down delays it until Beat rings."""
    transaction.on_commit(lambda: fold.apply_async(expires=settings.FOLD_SECS), robust=True)
