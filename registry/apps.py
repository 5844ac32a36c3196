"""What exists and which stage it is in."""

from django.apps import AppConfig


class RegistryConfig(AppConfig):
    name = "registry"
    verbose_name = "Models"

    def ready(self) -> None:
        from mlops_site.core import signals
        from registry import receivers

        signals.role_ended.connect(receivers.close_open_business, dispatch_uid="registry.close_open_business")
