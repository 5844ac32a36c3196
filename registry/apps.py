"""What exists and which stage it is in."""

from django.apps import AppConfig


class RegistryConfig(AppConfig):
    name = "registry"
    verbose_name = "Models"

    def ready(self) -> None:
        from django.core.checks import Tags, register

        from registry.artifacts.risks import check_operator_types

        register(check_operator_types, Tags.security, deploy=True)
