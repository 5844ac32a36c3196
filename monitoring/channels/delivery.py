"""One delivery to one of a team's channels, as core's sender calls it."""

from __future__ import annotations

from importlib import import_module
from typing import Any, NamedTuple

from mlops_site.core import seals
from mlops_site.core.http import Answer
from mlops_site.core.models import Delivery
from monitoring.choices import ChannelKind
from monitoring.models import Channel


class Target(NamedTuple):
    """Where to, opened for one message. `key` is the same for each try of it."""

    address: str
    secret: str
    key: str
    subject: str
    channel: Channel


def module_of(kind: str) -> Any:
    """The module of a kind of channel."""
    return import_module(f"monitoring.channels.{ChannelKind(kind).value}")


def deliver(delivery: Delivery) -> Answer:
    """Send it by the channel's kind."""
    found = Channel.objects.select_related("team").filter(pk=delivery.channel.partition(":")[2]).first()
    if found is None or found.deleted_at is not None:
        return Answer(None, "the channel was deleted")
    if not found.enabled and delivery.event != "channel.test":
        return Answer(None, "the channel is switched off")
    try:
        address, secret = (seals.unseal(sealed) if sealed else "" for sealed in (found.address, found.secret))
    except seals.Unreadable as error:
        return Answer(None, f"the address cannot be read: {error}")
    target = Target(address, secret, str(delivery.pk), delivery.subject, found)
    answer: Answer = module_of(found.kind).send(target, delivery.body)
    return answer
