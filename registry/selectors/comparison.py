"""Two versions side by side: metrics with their uncertainty, and what else differs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlops_site.stats import metrics
from registry.models import Artifact, Version
from registry.selectors.paired import Paired, paired


def comparison(first: Version, second: Version, *, diff_only: bool = False) -> dict[str, Any]:
    """`second` against `first`: {"v1", "v2", "metrics": [...], "params", "signature", "dataset", "artifact"}.

    `delta` is v2 minus v1 of the registered values, each on its own holdout. `shared_delta` is the difference on the
    holdout rows that both share and `ci95` its paired bootstrap interval, else null with a `note`; `certain` says
    whether it leaves out zero. `better` judges by `shared_delta` where there is one.
    `diff_only` keeps what changed.
    """
    rows = _metrics(first, second, paired(first, second))
    sections = {
        "params": _rows(first.params, second.params, diff_only),
        "signature": _signature(first, second, diff_only),
        "dataset": _pair(dataset_said(first), dataset_said(second)),
        "artifact": _pair(artifact_said(first.artifact), artifact_said(second.artifact)),
    }
    if diff_only:
        rows = [row for row in rows if row["changed"]]
        sections = {name: section if section["changed"] else {"changed": False} for name, section in sections.items()}
    return {"v1": first.number, "v2": second.number, "metrics": rows, **sections}


def _metrics(first: Version, second: Version, pair: Paired) -> list[dict[str, Any]]:
    known = [name for name in metrics.METRICS if name in first.metrics or name in second.metrics]
    others = sorted({*first.metrics, *second.metrics} - set(known))
    return [metric_row(name, metric_value(first, name), metric_value(second, name), pair) for name in [*known, *others]]


def metric_value(version: Version, name: str) -> float | None:
    entry = version.metrics.get(name)
    return None if entry is None else float(entry["value"])


def metric_row(name: str, v1: float | None, v2: float | None, pair: Paired) -> dict[str, Any]:
    delta = None if v1 is None or v2 is None else v2 - v1
    shared = pair.differences.get(name)
    return {
        "name": name,
        "v1": v1,
        "v2": v2,
        "delta": delta,
        "shared_delta": None if shared is None else shared.estimate,
        "ci95": None if shared is None else [shared.lower, shared.upper],
        "better": _better(name, delta if shared is None else shared.estimate),
        "certain": None if shared is None else shared.lower > 0 or shared.upper < 0,
        "changed": v1 != v2,
        "shared_rows": pair.rows,
        "note": ""
        if shared is not None
        else pair.note or "no interval: the shared holdout rows give this metric no value",
    }


def _better(name: str, delta: float | None) -> str | None:
    """The version that is ahead by a difference: v1, v2, equal; None if the direction is not known."""
    if delta is None or name not in metrics.METRICS:
        return None
    if delta == 0:
        return "equal"
    return "v2" if (delta > 0) == metrics.METRICS[name].greater_is_better else "v1"


def _pair(v1: Any, v2: Any) -> dict[str, Any]:
    return {"changed": v1 != v2, "v1": v1, "v2": v2}


def _rows(v1: Mapping[str, Any], v2: Mapping[str, Any], diff_only: bool) -> dict[str, Any]:
    """One row per name of either; a name that one lacks is null there."""
    rows = [
        {
            "name": name,
            "v1": v1.get(name),
            "v2": v2.get(name),
            "changed": (name in v1, v1.get(name)) != (name in v2, v2.get(name)),
        }
        for name in [*v1, *(name for name in v2 if name not in v1)]
    ]
    kept = [row for row in rows if row["changed"]] if diff_only else rows
    return {"changed": any(row["changed"] for row in rows), "rows": kept}


def _signature(first: Version, second: Version, diff_only: bool) -> dict[str, Any]:
    one, two = first.signature, second.signature
    inputs = _rows(
        {i["name"]: i["kind"] for i in one["inputs"]}, {i["name"]: i["kind"] for i in two["inputs"]}, diff_only
    )
    names = ("task_type", "classes", "positive_class", "output")
    rest = _rows({name: one[name] for name in names}, {name: two[name] for name in names}, diff_only)
    # The digest also sees what the tables leave out: the order of the inputs, and which of them are required.
    changed = first.signature_digest != second.signature_digest
    return {"changed": changed, "inputs": inputs["rows"], "output": rest["rows"]}


def dataset_said(version: Version) -> dict[str, Any]:
    return {"name": version.lineage.get("dataset"), "digest": version.data_digest or None}


def artifact_said(artifact: Artifact) -> dict[str, Any]:
    return {"digest": artifact.digest, "format": artifact.format, "size": artifact.size}
