"""Which version is better."""

from django.apps import AppConfig


class AbtestingConfig(AppConfig):
    name = "abtesting"
    verbose_name = "Experiments"

    def ready(self) -> None:
        from abtesting import receivers
        from monitoring.signals import answers_folded
        from registry.signals import evidence_wanted, model_transferred, stage_changed

        stage_changed.connect(receivers.stop_experiment_of, dispatch_uid="abtesting.stop_experiment_of")
        model_transferred.connect(receivers.stop_transferred, dispatch_uid="abtesting.stop_transferred")
        answers_folded.connect(receivers.count_outcomes, dispatch_uid="abtesting.count_outcomes")
        evidence_wanted.connect(receivers.add_experiment, dispatch_uid="abtesting.add_experiment")
