"""What exists and which stage it is in."""

from django.apps import AppConfig


class RegistryConfig(AppConfig):
    name = "registry"
    verbose_name = "Models"

    def ready(self) -> None:
        from django.core.checks import Tags, register

        from mlops_site.core import signals
        from registry import receivers
        from registry.artifacts.risks import check_operator_types

        register(check_operator_types, Tags.security, deploy=True)
        signals.role_ended.connect(receivers.close_open_business, dispatch_uid="registry.close_open_business")
