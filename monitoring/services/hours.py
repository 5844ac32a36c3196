"""The hours in which a channel is quiet, as somebody says them."""

from __future__ import annotations

import functools
from datetime import time
from zoneinfo import available_timezones

from mlops_site.core.errors import Invalid


def quiet_hours(start: time | None, end: time | None) -> None:
    """Invalid `quiet_hours` unless both or neither are said, and differ."""
    if (start is None) != (end is None):
        field, other = ("quiet_until", "quiet_from") if end is None else ("quiet_from", "quiet_until")
        raise Invalid.on(field, f"{field} must be given where {other} is", code="quiet_hours")
    if start is not None and start == end:
        message = f"quiet_until must differ from quiet_from but both are {start:%H:%M}: switch the channel off instead"
        raise Invalid.on("quiet_until", message, code="quiet_hours")


def time_zone(name: object) -> str:
    """A name of the IANA database; Invalid `unknown_time_zone`."""
    if not isinstance(name, str) or name not in zones():
        message = f"time_zone must be a name such as Europe/Zurich or UTC but got {name!r:.80}"
        raise Invalid.on("time_zone", message, code="unknown_time_zone")
    return name


@functools.cache
def zones() -> frozenset[str]:
    return frozenset(available_timezones())
