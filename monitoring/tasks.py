"""Doorbells and system jobs of monitoring."""

from __future__ import annotations

from celery import shared_task
from django.db import close_old_connections, transaction
from django.utils import timezone

from mlops_site.core.tasks import ring
from monitoring import services
from monitoring.models import Alert, RetrainPolicy
from monitoring.services import reports, retraining
from registry.choices import Stage
from registry.models import StageInterval

FOLD_SECS = 5.0  # Beat's interval


@shared_task(name="monitoring.fold")
def fold() -> None:
    """Fold what is queued. Any number of them share the work."""
    close_old_connections()
    services.fold_all()


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


@shared_task(name="monitoring.run_all")
def run_all() -> None:
    """Ask for a report on the last 24 hours of every model in production."""
    close_old_connections()
    serving = StageInterval.objects.open().filter(stage=Stage.PRODUCTION).select_related("version__model")
    window = reports.window_of("24h")
    for interval in serving:
        version, span = interval.version, {"window_from": window.start, "window_to": window.end}
        ring(reports.request_report(actor=None, model=version.model, version=version, explicit=False, **span))


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


@shared_task(name="monitoring.save_reports")
def save_reports() -> None:
    """Save reports as files, where the operator wants them."""
    from monitoring.pipeline import workspace  # with plotly, which a notebook that asks for drift need not load

    close_old_connections()
    workspace.save_due()


def ring_fold() -> None:
    """Fold once what was logged is committed. A broker that is down delays it until Beat rings."""
    transaction.on_commit(lambda: fold.apply_async(expires=FOLD_SECS), robust=True)
