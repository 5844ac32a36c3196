"""A model card as Markdown (CommonMark with tables). What people typed cannot become markup."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from registry.selectors.cards.parts import Approval, Card, Data, Decision

_MARKUP = re.compile(r"([\\`*_\[\]<>|#&~])")
NOT_STORED = "not stored"
NAMELESS = ("", "")


def markdown(found: Card) -> str:
    """The card as a document; the same card is always the same text."""
    about = found.about
    sections = [
        f"# Model card: {escape(about.model)} {about.version}",
        _table(NAMELESS, _about(found)),
        *_words(found),
        "## Data",
        _table(NAMELESS, _data(found.data)),
        *_remarks(found.data),
        "## Training",
        _table(NAMELESS, _training(found)),
        "## Metrics on the holdout",
        _table(("Metric", "Value", "95 % interval"), _metrics(found.metrics)),
        *_slices(found),
        *_calibration(found),
        *_gate(found),
        *_drift(found),
        "## Signature",
        _answers(found),
        _table(("Input", "Kind", "Required", "May be missing"), _inputs(found.signature)),
        *_reports(found),
        "## Approvals",
        *([_approval(row) for row in found.approvals] or ["None was asked for."]),
        *_served(found),
        *_changes(found),
        "## Not stored",
        "\n".join(f"- {sentence}" for sentence in found.missing) or "Nothing is missing.",
    ]
    return "\n\n".join(sections) + "\n"


def escape(text: Any) -> str:
    r"""One line in which no character is markup.

    >>> escape("<b>a|b\n# x")
    '\\<b\\>a\\|b \\# x'
    """
    return _MARKUP.sub(r"\\\1", " ".join(str(text).split()))


def _said(value: Any) -> str:
    """A value as a cell shows it."""
    if value is None or value == "":
        return NOT_STORED
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    return escape(value if isinstance(value, str | int) else json.dumps(value, ensure_ascii=False, sort_keys=True))


def _table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    lines = [[_said(cell) for cell in row] for row in rows]
    if not lines:
        return "None stored."
    return "\n".join(f"| {' | '.join(row)} |" for row in [list(head), ["---"] * len(head), *lines])


def _about(found: Card) -> list[tuple[str, Any]]:
    a, file = found.about, found.artifact
    return [
        ("Stage", a.stage),
        ("Risk tier", a.risk_tier),
        ("Team", a.team),
        ("Owner", a.owner),
        ("Task", a.task_type),
        ("Registered", f"{a.registered_at:%Y-%m-%d %H:%M} UTC by {a.registered_by}"),
        ("Trained by", a.trained_by),
        ("Artifact", f"{file['format']}, {file['size']:,} bytes, sha256 {file['digest']}"),
    ]


def _words(found: Card) -> list[str]:
    a = found.about
    words = {
        "Description": a.description,
        "Purpose": a.purpose,
        "Intended use": a.intended_use,
        "Limitations": a.limitations,
    }
    return [part for head, text in words.items() for part in (f"## {head}", _quoted(text) or "Not written.")]


def _quoted(text: str) -> str:
    return "\n".join(f"> {escape(line)}" for line in text.splitlines())


def _data(data: Data) -> list[tuple[str, Any]]:
    period = None if data.period is None else f"{data.period['from']} to {data.period['to']} ({data.period['column']})"
    return [
        ("Data set", data.dataset),
        ("Digest", data.digest),
        ("Rows", data.rows),
        ("Rows to train on", data.training_rows),
        ("Rows held out", data.holdout_rows),
        ("Groups held out", data.holdout_groups),
        ("Holdout predictions", data.holdout_digest),
        ("Features", data.features),
        ("Target", data.target),
        ("Period", period),
        ("Profile kept for drift", data.profiled),
    ]


def _remarks(data: Data) -> list[str]:
    lines = "\n".join(f"- {escape(line)}" for line in data.quality or ())
    return ["Remarks of the check of the data:", lines] if lines else []


def _training(found: Card) -> list[tuple[str, Any]]:
    t = found.training
    facts = [("Algorithm", t.algorithm), ("Seed", t.seed), ("Code", t.code), ("Packages", t.packages), ("Run", t.run)]
    params = [(f"Parameter {name}", "none" if value is None else value) for name, value in t.params.items()]
    search = [(f"Search: {name.replace('_', ' ')}", value) for name, value in (t.search or {}).items()]
    return [*facts, ("Trained because", t.reason), *sorted(params), *sorted(search, key=lambda row: row[0])]


def _metrics(metrics: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    return [(name, entry["value"], interval(entry.get("ci95"))) for name, entry in sorted(metrics.items())]


def interval(pair: Sequence[float] | None) -> str:
    return "unknown" if not pair else f"{pair[0]:.4g} to {pair[1]:.4g}"


def _slices(found: Card) -> list[str]:
    if not found.slices:
        return []
    rows = [(s["slice"], s["rows"], s["value"], interval((s["lower"], s["upper"]))) for s in found.slices["slices"]]
    head = ("Slice", "Rows", "Value", "95 % interval")
    return [f"## {escape(found.slices['metric'])} by slice", _table(head, rows)]


def _calibration(found: Card) -> list[str]:
    rows = [(int(part["rows"]), part["predicted"], part["observed"]) for part in found.calibration]
    return ["## Calibration", _table(("Rows", "Mean prediction", "Mean truth"), rows)] if rows else []


def _gate(found: Card) -> list[str]:
    if found.gate is None:
        return []
    lines = [f"- {escape(c['name'])}: {escape(c['level'])}. {escape(c['message'])}" for c in found.gate["checks"]]
    return ["## Gate", f"It {'passed' if found.gate['passed'] else 'did not pass'}.", "\n".join(lines)]


def _drift(found: Card) -> list[str]:
    rows = [(name, value) for name, value in (found.drift or {}).items() if not isinstance(value, list | dict)]
    return ["## Drift of the holdout", _table(NAMELESS, rows)] if rows else []


def _answers(found: Card) -> str:
    s = found.signature
    classes = f" of {escape(', '.join(map(str, s['classes'])))}" if s.get("classes") else ""
    cut = ""
    if s.get("positive_class") is not None:
        cut = f" The decision is {escape(s['positive_class'])} from a score of {found.threshold:.6g} on."
    return f"It answers a {escape(s['output'])}{classes}.{cut}"


def _inputs(signature: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    return [(row["name"], row["kind"], row["required"], row["nullable"]) for row in signature["inputs"]]


def _approval(row: Approval) -> str:
    asked = f"Asked by {escape(row.requester)}, {row.requested_at:%Y-%m-%d %H:%M} UTC."
    lines = [f"### Request {row.request}: {escape(row.status)}", f"{asked} Evidence {row.evidence_digest}."]
    lines += [_quoted(row.reason), _quoted(row.why_material)]
    for said in row.reviews:
        comment = f": {escape(said.comment)}" if said.comment else ""
        comment += _condition(said)
        who = f"{escape(said.reviewer)} ({escape(said.role)})"
        lines.append(f"- {who}, {said.at:%Y-%m-%d %H:%M} UTC, {escape(said.decision)}{comment}")
    return "\n\n".join(line for line in lines if line)


def _condition(said: Decision) -> str:
    end = "" if said.voided_at is None else f"; void since {said.voided_at:%Y-%m-%d}"
    if not said.condition:
        return end
    how = "open" if said.closed_by is None else f"closed by {escape(said.closed_by)}: {escape(said.closing_note)}"
    return f"; on condition: {escape(said.condition)}, by {said.revalidate_on}, {how}{end}"


def _reports(found: Card) -> list[str]:
    rows = [(row.name, row.digest, row.by, f"{row.at:%Y-%m-%d %H:%M}") for row in found.reports]
    return ["## Validation reports", _table(("Report", "Digest", "By", "When (UTC)"), rows)] if rows else []


def _served(found: Card) -> list[str]:
    rows = [
        (
            f"{s.since:%Y-%m-%d %H:%M}",
            "still" if s.until is None else f"{s.until:%Y-%m-%d %H:%M}",
            s.cause,
            s.by or "system",
        )
        for s in found.served
    ]
    return ["## In production", _table(("From (UTC)", "To", "Cause", "By"), rows)] if rows else []


def _changes(found: Card) -> list[str]:
    if found.changes is None:
        return ["## Changes", "No version of this model was in production before."]
    lines = [_changed_metric(row) for row in found.changes["metrics"]]
    for row in found.changes["params"].get("rows", []):
        lines.append(f"- parameter {escape(row['name'])}: {_said(row['v1'])} to {_said(row['v2'])}")
    for part in ("signature", "dataset", "artifact"):
        lines.append(f"- {part}: {'changed' if found.changes[part]['changed'] else 'the same'}")
    return [f"## Changes since {found.since}", "\n".join(lines)]


def _changed_metric(row: Mapping[str, Any]) -> str:
    said = f"- {escape(row['name'])}: {_said(row['v1'])} to {_said(row['v2'])}"
    if row["ci95"] is None:
        return said
    return f"{said}; on the shared rows {row['shared_delta']:+.4g} ({interval(row['ci95'])})"
