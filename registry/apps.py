"""What exists and which stage it is in."""

from django.apps import AppConfig


class RegistryConfig(AppConfig):
    name = "registry"
    verbose_name = "Models"

    def ready(self) -> None:
        from registry import receivers, signals

        signals.version_registered.connect(receivers.note_version, dispatch_uid="registry.note_version")
        signals.stage_changed.connect(receivers.note_stage, dispatch_uid="registry.note_stage")
