"""What the endpoints of experiments answer."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from abtesting.choices import Design, Ending, Verdict
from abtesting.models import Experiment


class SplitAnswer(serializers.Serializer[Any]):
    """One split: B's share from `started_at` to `ended_at`; `draw` is the one in which its units were drawn."""

    number = serializers.IntegerField()
    traffic_split = serializers.FloatField(source="share_b")
    draw = serializers.IntegerField()
    started_at = serializers.DateTimeField()
    ended_at = serializers.DateTimeField(allow_null=True)
    by = serializers.CharField(source="by.username", default=None, allow_null=True)
    reason = serializers.CharField()


class ExperimentAnswer(serializers.Serializer[Experiment]):
    """What an experiment was asked, its splits, and how it ended. Units are dealt by `salt`, see /assign."""

    id = serializers.IntegerField()
    name = serializers.CharField()
    model_name = serializers.CharField(source="model.name")
    mode = serializers.ChoiceField(Design.choices, source="design")
    version_a = serializers.CharField(source="version_a.number")
    version_b = serializers.CharField(source="version_b.number")
    status = serializers.CharField(help_text="running, concluded or stopped")
    traffic_split = serializers.SerializerMethodField(help_text="B's share now; null once it has ended")
    success_metrics = serializers.ListField(child=serializers.CharField(), source="metrics")
    hypothesis = serializers.CharField()
    margin = serializers.FloatField(allow_null=True)
    min_samples = serializers.IntegerField()
    planned_labels = serializers.IntegerField(allow_null=True)
    costs = serializers.JSONField(allow_null=True)
    guardrails = serializers.JSONField(help_text="name -> warn, hold and roll_back, each a limit or null")
    group_by = serializers.CharField()
    follow_up_days = serializers.IntegerField(allow_null=True)
    holdout = serializers.FloatField()
    steps = serializers.ListField(child=serializers.FloatField())
    step_hours = serializers.FloatField(allow_null=True)
    salt = serializers.CharField()
    splits = SplitAnswer(source="epochs.all", many=True)
    created_by = serializers.CharField(source="created_by.username")
    started_at = serializers.DateTimeField()
    ending = serializers.ChoiceField(Ending.choices, allow_blank=True)
    ended_by = serializers.CharField(source="ended_by.username", default=None, allow_null=True)
    ended_at = serializers.DateTimeField(allow_null=True)
    end_reason = serializers.CharField()
    mismatch_at = serializers.DateTimeField(allow_null=True)
    verdict = serializers.ChoiceField(Verdict.choices, allow_blank=True)
    result_digest = serializers.CharField()
    request = serializers.IntegerField(source="request_id", allow_null=True)

    def get_traffic_split(self, row: Experiment) -> float | None:
        return next((epoch.share_b for epoch in row.epochs.all() if epoch.ended_at is None), None)


class RunningExperimentAnswer(serializers.Serializer[Any]):
    """Of a model, the experiment that runs on it."""

    id = serializers.IntegerField()
    name = serializers.CharField()
    mode = serializers.ChoiceField(Design.choices, source="design")
    version_a = serializers.CharField(source="version_a.number")
    version_b = serializers.CharField(source="version_b.number")
    started_at = serializers.DateTimeField()


class AssignedAnswer(serializers.Serializer[Any]):
    arm = serializers.ChoiceField(["a", "b", "holdout"])
    version = serializers.CharField(help_text="that answers the unit, and is logged with it")


class ArmAnswer(serializers.Serializer[Any]):
    arm = serializers.CharField()
    version = serializers.CharField()
    units = serializers.IntegerField()
    answers = serializers.IntegerField()
    labelled = serializers.IntegerField()
    unjudged = serializers.IntegerField(
        help_text="have a label and cannot be compared with it: failed, another class, beyond 1e70"
    )
    metrics = serializers.DictField(child=serializers.FloatField(allow_null=True))
    p50_ms = serializers.FloatField(allow_null=True)
    p95_ms = serializers.FloatField(allow_null=True)

    def get_fields(self) -> dict[str, Any]:
        # As an attribute it would hide the serializer's own `errors`.
        return {**super().get_fields(), "errors": serializers.IntegerField(help_text="of the answers")}


class EpochRatioAnswer(serializers.Serializer[Any]):
    """Of one split. `ratio` is null where units are not dealt to two arms."""

    epoch = serializers.IntegerField()
    share_b = serializers.FloatField()
    in_both = serializers.IntegerField(help_text="units that both versions answered")
    ratio = serializers.JSONField(allow_null=True, help_text="its units, p-values and reason")


class RatioAnswer(serializers.Serializer[Any]):
    """The sample ratio: `p_value` is that of the epoch that fits its split worst."""

    p_value = serializers.FloatField(allow_null=True)
    ok = serializers.BooleanField()
    epochs = EpochRatioAnswer(many=True)


class ComparedMetricAnswer(serializers.Serializer[Any]):
    """B less A. The verdict rests on `sequential_ci`, which holds whenever one looks."""

    metric = serializers.CharField()
    difference = serializers.FloatField(allow_null=True)
    ci95 = serializers.ListField(child=serializers.FloatField(), allow_null=True)
    bootstrap95 = serializers.ListField(
        child=serializers.FloatField(),
        allow_null=True,
        help_text="beside ci95: of decisions, and in pairs of brier, mae and rmse",
    )
    sequential_ci = serializers.ListField(child=serializers.FloatField(), allow_null=True)
    p_value = serializers.FloatField(allow_null=True, help_text="at a time fixed before the start")
    sequential_p = serializers.FloatField(allow_null=True, help_text="at every look, before Holm")
    chance = serializers.FloatField(allow_null=True, help_text="that B is better, given the data alone (Bayes)")
    verdict = serializers.CharField(help_text="better, worse, undecided or unknown; Holm over all metrics")
    note = serializers.CharField(help_text="the test, or why the metric is not known")


class GuardrailAnswer(serializers.Serializer[Any]):
    name = serializers.CharField()
    level = serializers.ChoiceField(["ok", "warn", "hold", "roll_back"])
    estimate = serializers.FloatField()
    certain = serializers.FloatField(allow_null=True)
    reason = serializers.CharField()


class ResultsAnswer(serializers.Serializer[Any]):
    """Live while it runs; frozen, with what was asked, once it is concluded."""

    experiment = serializers.IntegerField()
    name = serializers.CharField()
    model = serializers.CharField()
    mode = serializers.ChoiceField(Design.choices)
    status = serializers.CharField(help_text="running, concluded or stopped")
    ending = serializers.ChoiceField(Ending.choices, allow_null=True)
    as_of = serializers.DateTimeField()
    arms = ArmAnswer(many=True)
    srm = RatioAnswer()
    comparisons = ComparedMetricAnswer(many=True)
    guardrails = GuardrailAnswer(many=True)
    coverage = serializers.FloatField(allow_null=True, help_text="of a shadow test, the share that B has scored")
    pending = serializers.IntegerField(help_text="answers and labels that are not counted yet")
    strays = serializers.IntegerField(help_text="answers by a version that is not their arm's: they count for neither")
    verdict = serializers.ChoiceField(Verdict.choices, allow_null=True)
    reason = serializers.CharField()
    samples_needed = serializers.IntegerField(allow_null=True)
    result_digest = serializers.CharField(allow_null=True)
    request = serializers.IntegerField(allow_null=True, help_text="for B's promotion, with this as evidence")
    request_refused = serializers.CharField(help_text="why there is none although B should ship")
