"""What the endpoints of channels take and answer. No address and no secret is in an answer, but the one that has just
been made."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from mlops_site.core.api.serializers import StrictSerializer, TextField
from mlops_site.core.choices import DeliveryState
from monitoring.api.policy_answers import StrictFlag
from monitoring.choices import AlertEvent, ChannelKind, Digest, Severity
from monitoring.models import Channel
from monitoring.services.channels import MAX_ADDRESS
from registry.api.serializers import PageFilter


class ChannelFields(StrictSerializer):
    """Ranges and names are the service's to check."""

    name = TextField(max_length=80, required=False)
    address = TextField(
        max_length=MAX_ADDRESS,
        required=False,
        allow_blank=True,
        help_text="https://... of a webhook, Slack or Teams; e-mail addresses, or people and roles of an inbox, parted "
        "by commas; a name of the operator's for Apprise. It is not answered again.",
    )
    enabled = StrictFlag(required=False)
    models = serializers.ListField(
        child=TextField(max_length=63), max_length=200, required=False, help_text="none: all of the team"
    )
    min_severity = TextField(max_length=20, required=False, help_text=", ".join(Severity.values))
    events = serializers.ListField(
        child=TextField(max_length=20), max_length=20, required=False, help_text=", ".join(AlertEvent.values)
    )
    digest = TextField(max_length=20, required=False, help_text=", ".join(Digest.values))
    quiet_from = serializers.TimeField(required=False, allow_null=True, help_text="22:00")
    quiet_until = serializers.TimeField(required=False, allow_null=True, help_text="07:00, on the next day")
    time_zone = TextField(max_length=64, required=False, help_text="Europe/Zurich")
    critical_passes = StrictFlag(required=False, help_text="at once, in spite of digest and quiet hours")


class ChannelNew(ChannelFields):
    name = TextField(max_length=80)
    kind = TextField(max_length=20, help_text=", ".join(ChannelKind.values))
    team = TextField(max_length=63, required=False)


class ChannelAnswer(serializers.Serializer[Channel]):
    id = serializers.UUIDField()
    name = serializers.CharField()
    team = serializers.CharField(source="team.name")
    kind = serializers.CharField()
    place = serializers.CharField(help_text="what may be shown of the address")
    enabled = serializers.BooleanField()
    models = serializers.SerializerMethodField()
    min_severity = serializers.CharField()
    events = serializers.ListField(child=serializers.CharField())
    digest = serializers.CharField()
    quiet_from = serializers.TimeField(allow_null=True)
    quiet_until = serializers.TimeField(allow_null=True)
    time_zone = serializers.CharField()
    critical_passes = serializers.BooleanField()
    created_by = serializers.CharField(source="created_by.username")
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()

    def get_models(self, channel: Channel) -> list[str]:
        return sorted(model.name for model in channel.chosen.all())


class MadeAnswer(ChannelAnswer):
    secret = serializers.SerializerMethodField(help_text="what its webhooks are signed with; not answered again")

    def get_secret(self, channel: Channel) -> str | None:
        return self.context.get("secret") or None


class DeliveryFilter(PageFilter):
    state = serializers.ChoiceField(DeliveryState.choices, required=False)


class DeliveryAnswer(serializers.Serializer[Any]):
    """One message on its way; `channel` is "channel:" and an id, or "monitoring_webhook"."""

    id = serializers.UUIDField()
    channel = serializers.CharField()
    event = serializers.CharField()
    subject = serializers.CharField()
    state = serializers.CharField(help_text="pending, delivered, failed")
    attempts = serializers.IntegerField()
    most_attempts = serializers.IntegerField()
    status_code = serializers.IntegerField(allow_null=True, help_text="of the last answer")
    error = serializers.CharField(help_text="of the last attempt")
    created_at = serializers.DateTimeField()
    next_at = serializers.DateTimeField()
    delivered_at = serializers.DateTimeField(allow_null=True)
