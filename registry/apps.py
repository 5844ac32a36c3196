"""What exists and which stage it is in."""

from django.apps import AppConfig


class RegistryConfig(AppConfig):
    name = "registry"
    verbose_name = "Models"

    def ready(self) -> None:
        from django.core.checks import Tags, register

        from mlops_site.core.signals import role_ended
        from registry import receivers, signals
        from registry.artifacts.risks import check_operator_types

        register(check_operator_types, Tags.security, deploy=True)
        role_ended.connect(receivers.close_open_business, dispatch_uid="registry.close_open_business")
        signals.reviewers_told.connect(receivers.tell_asked, dispatch_uid="registry.tell_asked")
        signals.request_decided.connect(receivers.tell_requester, dispatch_uid="registry.tell_requester")
        signals.version_registered.connect(receivers.note_version, dispatch_uid="registry.note_version")
        signals.stage_changed.connect(receivers.note_stage, dispatch_uid="registry.note_stage")
