"""What happens in production."""

from django.apps import AppConfig


class MonitoringConfig(AppConfig):
    name = "monitoring"
    verbose_name = "Production"

    def ready(self) -> None:
        from django.db.models.signals import post_migrate

        from monitoring import receivers, signals

        signals.alert_raised.connect(receivers.ring_policy, dispatch_uid="monitoring.ring_policy")
        post_migrate.connect(receivers.install_schedules, sender=self, dispatch_uid="monitoring.install_schedules")
