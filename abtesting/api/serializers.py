"""What the endpoints of experiments take. Names, ranges and states are the services' to check."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from abtesting.services.terms import MAX_METRICS, MAX_NAME, MAX_STEPS
from mlops_site.core.api.serializers import FiniteField, StrictSerializer, TextField
from registry.api.serializers import PageFilter


class ExperimentFilter(PageFilter):
    status = TextField(max_length=20, required=False, allow_blank=True, help_text="running, concluded, stopped or all")
    model = TextField(max_length=63, required=False, allow_blank=True)


class GuardrailLimits(StrictSerializer):
    """From where on what is done; null: never."""

    warn = FiniteField(required=False, allow_null=True)
    hold = FiniteField(required=False, allow_null=True, help_text="B's share does not grow, and there is no verdict")
    roll_back = FiniteField(required=False, allow_null=True, help_text="all units go back to A at once")


class WrongCosts(StrictSerializer):
    """What a wrong decision costs, in any one currency."""

    false_positive = FiniteField()
    false_negative = FiniteField()


class ExperimentNew(StrictSerializer):
    model_name = TextField(max_length=63)
    version_a = TextField(max_length=40, help_text="in production")
    version_b = TextField(max_length=40, help_text="in staging")
    success_metrics = serializers.ListField(child=TextField(max_length=40), min_length=1, max_length=MAX_METRICS)
    mode = TextField(max_length=10, required=False, default="ab", help_text="ab, shadow or ramp")
    name = TextField(max_length=MAX_NAME, required=False, allow_blank=True)
    traffic_split = FiniteField(required=False, allow_null=True, help_text="B's share; of a shadow test 1 if left out")
    margin = FiniteField(required=False, allow_null=True, help_text="how much worse B may be; left out: it is better")
    min_samples = serializers.IntegerField(required=False, allow_null=True, help_text="labels of each arm, 100")
    guardrails = serializers.DictField(
        child=GuardrailLimits(allow_null=True), required=False, help_text="name -> limits, or null for none"
    )
    group_by = TextField(max_length=128, required=False, allow_blank=True, help_text="whose groups are compared")
    costs = WrongCosts(required=False, allow_null=True)
    follow_up_days = serializers.IntegerField(required=False, allow_null=True, help_text="the same for all units")
    holdout = FiniteField(required=False, help_text="share of the units that take no part")
    steps = serializers.ListField(child=FiniteField(), required=False, allow_null=True, max_length=MAX_STEPS)
    step_hours = FiniteField(required=False, allow_null=True, help_text="that each step lasts at least, 24")
    planned_labels = serializers.IntegerField(required=False, allow_null=True)
    hypothesis = TextField(required=False, allow_blank=True)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """As the service calls them."""
        attrs["metrics"], attrs["design"] = attrs.pop("success_metrics"), attrs.pop("mode")
        return attrs


class SplitChange(StrictSerializer):
    traffic_split = FiniteField(help_text="B's share from now on")
    reason = TextField()
    redraw = serializers.BooleanField(required=False, default=False, help_text="draw the units anew")


class UnitToAssign(StrictSerializer):
    unit_id = TextField(max_length=128, trim_whitespace=False)
