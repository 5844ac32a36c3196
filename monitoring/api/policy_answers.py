"""What the endpoints of retrain policies take and answer. Ranges and names are the service's to check."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from mlops_site.core.api.serializers import FiniteField, StrictSerializer, TextField
from monitoring.choices import Outcome, Trigger
from monitoring.models import RetrainDecision, RetrainPolicy, TeamRetrainPolicy
from monitoring.services.policies import said

_LENGTH = 'like "7d", "12h" or "30m"'


class StrictFlag(serializers.BooleanField):
    """True or false, not "yes" or 1."""

    def to_internal_value(self, data: Any) -> bool:
        if not isinstance(data, bool):
            raise serializers.ValidationError(f"must be true or false but got {data!r}"[:200], code="invalid")
        return data


class PolicyFields(StrictSerializer):
    enabled = StrictFlag(required=False)
    performance_degradation = FiniteField(required=False, allow_null=True, help_text="drop of the metric, 0 to 1")
    data_drift_score = FiniteField(required=False, allow_null=True, help_text="overall drift score, 0 to 1")
    prediction_volume_drop = FiniteField(required=False, allow_null=True, help_text="share of the traffic, 0 to 1")
    scheduled_interval = TextField(required=False, allow_null=True, max_length=20, help_text=_LENGTH)
    cool_down = TextField(required=False, max_length=20, help_text=_LENGTH)
    min_labels = serializers.IntegerField(required=False, help_text="labelled predictions since the last data set")
    daily_budget = serializers.IntegerField(required=False, allow_null=True, help_text="retrainings in 24 hours")
    new_rows_weight = FiniteField(required=False, help_text="of a new row in a fit, where an old one counts 1")
    keeps_training_rows = StrictFlag(required=False, help_text="the rows before and the new ones, or these alone")
    config_overrides = serializers.DictField(required=False, help_text="fields of POST /training/start")


class TeamPolicyFields(PolicyFields):
    team_daily_budget = serializers.IntegerField(
        required=False, allow_null=True, help_text="retrainings of all the team's models in 24 hours"
    )


class TeamPolicyAnswer(TeamPolicyFields):
    """A team's policy; every field as its model's default, and off, where none is set."""

    set_by = serializers.CharField(allow_null=True)
    updated_at = serializers.DateTimeField(allow_null=True)

    def to_representation(self, instance: TeamRetrainPolicy) -> dict[str, Any]:
        is_set = instance.is_set
        about = {"set_by": instance.set_by.username, "updated_at": instance.updated_at} if is_set else {}
        return {**said(instance), "set_by": None, "updated_at": None, **about}


class StepAnswer(serializers.Serializer[Any]):
    """A reason to train again, and what would have come of it."""

    at = serializers.DateTimeField()
    trigger = serializers.ChoiceField(Trigger.choices)
    outcome = serializers.ChoiceField(Outcome.choices)
    reason = serializers.CharField()
    detail = serializers.CharField()


class RehearsalAnswer(serializers.Serializer[Any]):
    start = serializers.DateTimeField()
    end = serializers.DateTimeField()
    runs = serializers.IntegerField(help_text="how many of the steps would have been runs")
    steps = StepAnswer(many=True)


class DecisionFilter(StrictSerializer):
    """The query of GET /monitoring/retrain-decisions."""

    model = TextField(max_length=63, required=False)
    trigger = TextField(max_length=30, required=False, help_text=", ".join(Trigger.values))
    outcome = TextField(max_length=20, required=False, help_text=", ".join([*Outcome.values, "not_taken"]))
    page = serializers.IntegerField(required=False)
    page_size = serializers.IntegerField(required=False)


class DecisionAnswer(serializers.Serializer[RetrainDecision]):
    """A reason to train again, and what came of it."""

    id = serializers.UUIDField()
    trigger = serializers.ChoiceField(Trigger.choices)
    outcome = serializers.ChoiceField(Outcome.choices)
    reason = serializers.CharField()
    detail = serializers.CharField()
    alert = serializers.UUIDField(source="alert_id", allow_null=True)
    run = serializers.UUIDField(source="run_id", allow_null=True)
    dataset = serializers.CharField()
    decided_by = serializers.CharField(source="decided_by.username", default=None, allow_null=True)
    decided_at = serializers.DateTimeField()


class PolicyAnswer(PolicyFields):
    """Of (policy, its last decisions)."""

    own = serializers.BooleanField(help_text="the model's own; else its team's, or none")
    set_by = serializers.CharField(allow_null=True)
    updated_at = serializers.DateTimeField(allow_null=True)
    decisions = DecisionAnswer(many=True)

    def to_representation(self, instance: tuple[RetrainPolicy, Any]) -> dict[str, Any]:
        policy, rows = instance
        is_set = policy.is_set
        about = {
            "own": policy.is_own,
            "set_by": policy.set_by.username if is_set else None,
            "updated_at": policy.updated_at if is_set else None,
        }
        return {**said(policy), **about, "decisions": DecisionAnswer(rows, many=True).data}


class ListedDecision(DecisionAnswer):
    """A decision among those of other models."""

    model_name = serializers.CharField(source="model.name")
