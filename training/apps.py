"""How versions come to be."""

from django.apps import AppConfig


class TrainingConfig(AppConfig):
    name = "training"
    verbose_name = "Training"

    def ready(self) -> None:
        from registry.signals import evidence_wanted, version_registered
        from training import receivers

        evidence_wanted.connect(receivers.add_gate, dispatch_uid="training.add_gate")
        version_registered.connect(receivers.keep_feature_sets, dispatch_uid="training.keep_feature_sets")
