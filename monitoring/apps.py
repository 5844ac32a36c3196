"""What happens in production."""

from django.apps import AppConfig


class MonitoringConfig(AppConfig):
    name = "monitoring"
    verbose_name = "Production"

    def ready(self) -> None:
        from django.db.models.signals import post_migrate

        from monitoring import receivers, signals
        from registry.signals import (
            condition_closed,
            evidence_wanted,
            incident_closed,
            incident_opened,
            revalidation_due,
        )

        revalidation_due.connect(receivers.raise_revalidation, dispatch_uid="monitoring.raise_revalidation")
        condition_closed.connect(receivers.resolve_revalidation, dispatch_uid="monitoring.resolve_revalidation")
        incident_opened.connect(receivers.tell_incident, dispatch_uid="monitoring.tell_incident_opened")
        incident_closed.connect(receivers.tell_incident, dispatch_uid="monitoring.tell_incident_closed")
        evidence_wanted.connect(receivers.add_evidence, dispatch_uid="monitoring.add_evidence")
        signals.alert_raised.connect(receivers.ring_policy, dispatch_uid="monitoring.ring_policy")
        signals.answers_folded.connect(receivers.count_totals, dispatch_uid="monitoring.count_totals")
        post_migrate.connect(receivers.install_schedules, sender=self, dispatch_uid="monitoring.install_schedules")
