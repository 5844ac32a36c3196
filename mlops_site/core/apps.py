"""The app at the bottom."""

from django.apps import AppConfig


class CoreConfig(AppConfig):
    name = "mlops_site.core"
    label = "core"
    verbose_name = "People and audit"

    def ready(self) -> None:
        from django.conf import settings
        from django.db.models.signals import post_migrate, pre_migrate
        from django.utils.module_loading import import_string

        from mlops_site.core import laws, receivers, signals

        import_string(settings.TASK_APP)  # so that every process rings the same broker
        pre_migrate.connect(laws.lift, sender=self, dispatch_uid="core.laws")
        post_migrate.connect(laws.install, dispatch_uid="core.laws")
        signals.delivery_enqueued.connect(receivers.ring, dispatch_uid="core.ring")
