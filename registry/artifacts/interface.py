"""What callers notice when one version takes the place of another."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple


class Change(NamedTuple):
    """One difference. `what` is input_added, input_removed, input_kind, input_required, input_order, output, classes,
    positive_class or task_type; `name` is the input's."""

    what: str
    name: str
    before: Any
    after: Any

    def __str__(self) -> str:
        """
        >>> str(Change("input_added", "region", None, "category")), str(Change("output", "", "probability", "value"))
        ('input region (category) is added', 'output changes from probability to value')
        """
        if self.what == "input_added":
            return f"input {self.name} ({self.after}) is added"
        if self.what == "input_removed":
            return f"input {self.name} ({self.before}) is removed"
        if self.what == "input_kind":
            return f"input {self.name} changes from {self.before} to {self.after}"
        if self.what == "input_required":
            return f"input {self.name} {'must be given now' if self.after else 'may be left out now'}"
        if self.what == "input_order":
            return "the inputs stand in another order"
        return f"{self.what.replace('_', ' ')} changes from {_short(self.before)} to {_short(self.after)}"


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Change]:
    """From one signature's JSON to another's; empty when callers notice nothing."""
    return [*_inputs(before["inputs"], after["inputs"]), *_rest(before, after)]


def _inputs(before: list[dict[str, Any]], after: list[dict[str, Any]]) -> Iterator[Change]:
    old, new = {column["name"]: column for column in before}, {column["name"]: column for column in after}
    for name in (name for name in old if name not in new):
        yield Change("input_removed", name, old[name]["kind"], None)
    for name in (name for name in new if name not in old):
        yield Change("input_added", name, None, new[name]["kind"])
    for name in (name for name in old if name in new):
        if old[name]["kind"] != new[name]["kind"]:
            yield Change("input_kind", name, old[name]["kind"], new[name]["kind"])
        required = [column[name].get("required", True) for column in (old, new)]
        if required[0] != required[1]:
            yield Change("input_required", name, *required)
    if [name for name in old if name in new] != [name for name in new if name in old]:
        yield Change("input_order", "", list(old), list(new))


def _rest(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Change]:
    for what in ("task_type", "output", "classes", "positive_class"):
        if before.get(what) != after.get(what):
            yield Change(what, "", before.get(what), after.get(what))


def _short(value: Any) -> str:
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return text if len(text) <= 80 else f"{text[:79]}…"
