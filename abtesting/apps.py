"""Which version is better."""

from django.apps import AppConfig


class AbtestingConfig(AppConfig):
    name = "abtesting"
    verbose_name = "Experiments"

    def ready(self) -> None:
        from abtesting import receivers
        from monitoring.signals import answers_folded

        answers_folded.connect(receivers.count_outcomes, dispatch_uid="abtesting.count_outcomes")
