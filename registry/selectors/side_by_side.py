"""Two to eight versions side by side against one of them: metrics with uncertainty, overlays, what else differs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mlops_site.core.errors import Conflict, FieldError, Invalid, NotFound
from mlops_site.core.permissions import Actor
from mlops_site.stats import metrics
from registry.choices import TaskType
from registry.models import RegisteredModel, Version
from registry.models.version import parts_of
from registry.selectors.cards.parts import plain
from registry.selectors.comparison import artifact_said, dataset_said, metric_row, metric_value
from registry.selectors.models import model_named
from registry.selectors.overlays import overlays
from registry.selectors.paired import paired
from registry.selectors.versions import version_numbered

FEWEST, MOST = 2, 8
Said = Mapping[str, Mapping[str, Any]]
"""Label of a version -> name -> value."""


def versions_named(actor: Actor, model: RegisteredModel, said: Sequence[str]) -> dict[str, Version]:
    """The versions written as `1.2.0`, or as `name@1.2.0` of another model the actor sees, by what was written.

    Invalid names the field `versions` for too few, too many or repeated ones, NotFound one that is not there.
    """
    labels = [label.removeprefix(f"{model.name}@") for label in said]
    if not FEWEST <= len(labels) <= MOST:
        message = f"versions must name {FEWEST} to {MOST} versions but got {len(labels)}"
        raise Invalid.on("versions", message, code="too_few" if len(labels) < FEWEST else "too_many")
    if repeated := next((label for label in labels if labels.count(label) > 1), None):
        message = f"versions must name each once but {repeated[:80]!r} is there {labels.count(repeated)} times"
        raise Invalid.on("versions", message, code="repeated")
    return {label: _version(actor, model, label) for label in labels}


def _version(actor: Actor, model: RegisteredModel, label: str) -> Version:
    name, at, number = label.rpartition("@")
    try:
        if at and not name:  # an alias
            return version_numbered(model, label)
        return version_numbered(model_named(actor, name) if at else model, number)
    except NotFound as error:
        form = "" if parts_of(number) else "; write 1.2.0, or name@1.2.0 of another model"
        message = f"{error.detail}{form}"
        raise NotFound(message, code=error.code, errors=[FieldError("versions", error.code, message)]) from error


def side_by_side(found: Mapping[str, Version], *, base: str | None = None, diff_only: bool = False) -> dict[str, Any]:
    """All against `base` (the first if left out): {"base", "versions", "metrics", "overlays", "params", "signature",
    "dataset", "artifact"}. Each metric has a cell a version: its value, and its difference to the base's as
    `comparison` has it. `diff_only` keeps what is not the same in all.

    Conflict `different_tasks` where they do not do the same kind of task.
    """
    chosen = base_of(found, base)
    check_tasks(found)
    rows = _metrics(found, chosen)
    sections = {
        "params": _rows({label: version.params for label, version in found.items()}, diff_only),
        "signature": _signature(found, diff_only),
        "dataset": _values({label: dataset_said(version) for label, version in found.items()}, diff_only),
        "artifact": _values({label: artifact_said(version.artifact) for label, version in found.items()}, diff_only),
    }
    return {
        "base": chosen,
        "task": task_of(found[chosen]),
        "versions": [_about(label, version) for label, version in found.items()],
        "metrics": [row for row in rows if row["changed"] or not diff_only],
        "overlays": _overlays(found),
        **sections,
    }


def base_of(found: Mapping[str, Version], base: str | None) -> str:
    labels = list(found)
    if base is None:
        return labels[0]
    if base not in labels:
        message = f"base must be one of versions ({', '.join(labels)}) but got {base[:80]!r}"
        raise Invalid.on("base", message, code="unknown_base")
    return base


def task_of(version: Version) -> str:
    """The kind of task, as far as versions can be compared within it."""
    if version.signature["task_type"] == TaskType.REGRESSION:
        return "regression"
    return "two classes" if len(version.signature["classes"] or ()) == 2 else "several classes"


def check_tasks(found: Mapping[str, Version]) -> None:
    tasks = {label: task_of(version) for label, version in found.items()}
    if len(set(tasks.values())) > 1:
        said = ", ".join(f"{label} ({task})" for label, task in tasks.items())
        message = f"versions of different tasks have no metric in common and are not compared: {said}"
        errors = [FieldError("versions", "different_tasks", message)]
        raise Conflict(message, code="different_tasks", errors=errors)


def _about(label: str, version: Version) -> dict[str, Any]:
    held = {"model": version.model.name, "number": version.number, "stage": version.stage}
    return {"version": label, **held, "created_at": plain(version.created_at)}


def _metrics(found: Mapping[str, Version], base: str) -> list[dict[str, Any]]:
    pairs = {label: paired(found[base], version) for label, version in found.items() if label != base}
    said = {name for version in found.values() for name in version.metrics}
    names = [*(name for name in metrics.METRICS if name in said), *sorted(said - set(metrics.METRICS))]
    table = []
    for name in names:
        before = metric_value(found[base], name)
        cells = []
        for label, version in found.items():
            value, interval = metric_value(version, name), (version.metrics.get(name) or {}).get("ci95")
            cell = {"version": label, "value": value, "ci95": interval}
            against = None if label == base else _against(metric_row(name, before, value, pairs[label]))
            cells.append({**cell, "against_base": against})
        known = metrics.METRICS.get(name)
        changed = any(cell["value"] != before for cell in cells)
        better = None if known is None else known.greater_is_better
        table.append({"name": name, "greater_is_better": better, "changed": changed, "values": cells})
    return table


def _against(row: Mapping[str, Any]) -> dict[str, Any]:
    """The difference to the base: `better` says which of the two is ahead."""
    words = {"v1": "worse", "v2": "better", "equal": "equal", None: None}
    names = ("delta", "shared_delta", "ci95", "certain", "shared_rows", "note")
    return {**{name: row[name] for name in names}, "judgement": words[row["better"]]}


def _overlays(found: Mapping[str, Version]) -> dict[str, Any]:
    said = overlays(list(found.values()))
    series = [{"version": label, **plain(one)} for label, one in zip(found, said.series, strict=True)]
    return {"shared": said.shared, "note": said.note, "series": series}


def _rows(said: Said, diff_only: bool) -> dict[str, Any]:
    """One row per name of any; `values` leaves out a version that lacks it."""
    names = dict.fromkeys(name for values in said.values() for name in values)
    rows = []
    for name in names:
        values = {label: each[name] for label, each in said.items() if name in each}
        first = next(iter(values.values()))
        changed = len(values) < len(said) or any(value != first for value in values.values())
        rows.append({"name": name, "changed": changed, "values": values})
    kept = [row for row in rows if row["changed"]] if diff_only else rows
    return {"changed": any(row["changed"] for row in rows), "rows": kept}


def _values(said: Said, diff_only: bool) -> dict[str, Any]:
    """One value a version."""
    first = next(iter(said.values()))
    changed = any(value != first for value in said.values())
    return {"changed": changed} if diff_only and not changed else {"changed": changed, "values": dict(said)}


def _signature(found: Mapping[str, Version], diff_only: bool) -> dict[str, Any]:
    names = ("task_type", "classes", "positive_class", "output")
    signatures = {label: version.signature for label, version in found.items()}
    inputs = {label: {row["name"]: row["kind"] for row in one["inputs"]} for label, one in signatures.items()}
    rest = {label: {name: one[name] for name in names} for label, one in signatures.items()}
    # The digest also sees what the tables leave out: the order of the inputs, and which of them are required.
    changed = len({version.signature_digest for version in found.values()}) > 1
    return {"changed": changed, "inputs": _rows(inputs, diff_only)["rows"], "output": _rows(rest, diff_only)["rows"]}
