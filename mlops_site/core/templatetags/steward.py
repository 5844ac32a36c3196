"""How figures, times, digests and states are written on every page."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from django import template
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.text import capfirst

from mlops_site.core.api.auth import actor_of
from mlops_site.core.choices import Role
from mlops_site.core.inbox import unread_count

register = template.Library()

TONES = {
    word: tone
    for tone, words_of in {
        "ok": "production succeeded approved approve approve_with_conditions ok resolved delivered done",
        "info": "staging running pending medium acknowledged",
        "warn": "changes_requested request_changes high expired remark open held waiting",
        "bad": "failed rejected reject error blocked",
    }.items()
    for word in words_of.split()
}


@register.inclusion_tag("core/bell.html", takes_context=True)
def bell(context: template.Context) -> dict[str, Any]:
    """How much in the inbox of whoever looks is unread."""
    return {"unread": unread_count(actor_of(context["request"]))}


@register.filter
def figure(value: Any, digits: int = 3) -> str:
    """A number as a table shows it: whole numbers with separators, others to `digits` decimals or significant
    digits when small; a dash for what is not known.

    >>> figure(1234567), figure(0.76249), figure(0.000123456), figure(None), figure(-1.5)
    ('1,234,567', '0.762', '0.000123', '–', '−1.500')
    """
    if isinstance(value, bool):
        return "yes" if value else "no"
    if not isinstance(value, int | float) or not math.isfinite(value):
        return str(value) if isinstance(value, str) and value else "–"
    if isinstance(value, int):
        text = f"{value:,}"
    elif value == 0 or abs(value) >= 10.0**-digits:
        text = f"{value:,.{digits}f}"
    else:
        text = f"{value:.{digits}g}"
    return text.replace("-", "−")


@register.filter
def setting(value: Any) -> str:
    """A parameter as somebody would type it.

    >>> setting(0.5), setting(1e-5), setting(None), setting([1, 2]), setting([]), setting(True)
    ('0.5', '1e-05', 'none', '[1, 2]', 'none', 'yes')
    """
    if isinstance(value, bool):
        return figure(value)
    if isinstance(value, float):
        return f"{value:.6g}"
    return "none" if value is None or value == [] else value if isinstance(value, str) else json.dumps(value)


@register.filter
def signed(value: Any, digits: int = 3) -> str:
    """A change, always with its sign.

    >>> signed(0.0131), signed(-0.2), signed(None)
    ('+0.013', '−0.200', '–')
    """
    text = figure(value, digits)
    return f"+{text}" if isinstance(value, int | float) and not isinstance(value, bool) and value > 0 else text


@register.filter
def interval(pair: Any, digits: int = 3) -> str:
    """Both ends to the same decimals, unless all of it is too small for them.

    >>> interval([0.7412, 0.7834]), interval([-0.0002, 0.009]), interval(None)
    ('0.741 to 0.783', '−0.000 to 0.009', '–')
    """
    if not isinstance(pair, list | tuple) or len(pair) != 2 or any(not isinstance(x, int | float) for x in pair):
        return "–"
    if max(map(abs, pair)) < 10.0**-digits:
        return f"{figure(float(pair[0]), digits)} to {figure(float(pair[1]), digits)}"
    return f"{pair[0]:,.{digits}f} to {pair[1]:,.{digits}f}".replace("-", "−")


@register.filter
def difference(row: Mapping[str, Any]) -> float | None:
    """What the interval of a compared metric is about: the change on the shared rows, else that of the values.

    >>> difference({"delta": 0.05, "shared_delta": -0.01}), difference({"delta": 0.05})
    (-0.01, 0.05)
    """
    shared: float | None = row.get("shared_delta")
    return row["delta"] if shared is None else shared


@register.filter
def share(value: Any, digits: int = 0) -> str:
    """A part of one in percent.

    >>> share(0.61), share(0.0725, 1), share(None)
    ('61 %', '7.2 %', '–')
    """
    return f"{100 * value:.{digits}f} %" if isinstance(value, int | float) and math.isfinite(value) else "–"


@register.filter
def width(value: Any) -> str:
    """A share as the width of a bar, always with a point whatever the locale."""
    known = isinstance(value, int | float) and math.isfinite(value)
    return f"{100 * min(max(float(value), 0.0), 1.0):.1f}%" if known else "0%"


@register.filter
def digest(text: Any) -> SafeString:
    """The beginning of a sha256; the whole of it is in the title, for copying."""
    full = str(text or "")
    return format_html('<code title="{}">{}…</code>', full, full[:10]) if full else SafeString("–")


@register.filter
def words(text: Any) -> str:
    """
    >>> words("hist_gradient_boosting")
    'hist gradient boosting'
    """
    return str(text).replace("_", " ")


HEADINGS = {"memberships": "People", "audit records": "Audit", "periodic tasks": "Schedules"}


@register.filter
def heading(title: Any) -> str:
    """Of a list of rows, as the navigation calls it. Marked text, such as the crumbs of a page, stays as it is.

    >>> heading("periodic tasks"), heading("approvals")
    ('Schedules', 'Approvals')
    """
    return title if isinstance(title, SafeString) else capfirst(HEADINGS.get(str(title), title))


METRICS = {
    "roc_auc": "ROC AUC",
    "f1_score": "F1 score",
    "brier": "Brier score",
    "mae": "MAE",
    "rmse": "RMSE",
    "r2": "R²",
    "poisson_deviance": "Poisson deviance",
    "gamma_deviance": "gamma deviance",
    "tweedie_deviance": "Tweedie deviance",
    "gini": "Gini",
}


@register.filter
def metric(name: str) -> str:
    """
    >>> metric("roc_auc"), metric("average_precision")
    ('ROC AUC', 'Average precision')
    """
    return METRICS.get(name, words(name).capitalize())


@register.filter
def role(value: str) -> str:
    return str(Role(value).label) if value in Role.values else value


@register.filter
def ago(moment: Any) -> str:
    """How long since, in the largest unit that fits, or a dash."""
    if not isinstance(moment, datetime):
        return "–"
    return f"{span((timezone.now() - moment).total_seconds())} ago"


@register.filter
def span(secs: Any) -> str:
    """
    >>> span(42), span(3600 * 5), span(86400 * 21), span(0.2)
    ('42 s', '5 h', '21 d', '0 s')
    """
    if isinstance(secs, timedelta):
        secs = secs.total_seconds()
    if not isinstance(secs, int | float):
        return "–"
    secs = max(secs, 0)
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if secs >= length:
            return f"{int(secs // length)} {unit}"
    return f"{int(secs)} s"


@register.simple_tag
def tag(value: Any, tone: str = "") -> SafeString:
    """A badge: words in a colour, never a colour alone."""
    return format_html('<span class="tag {}">{}</span>', tone or TONES.get(str(value), "plain"), words(value))


CHECKS = {
    "holdout_rows": "Enough holdout rows",
    "threshold": "Good enough by itself",
    "comparison": "Against the version in production",
    "calibration": "Calibration no worse",
    "slices": "No slice worse (Holm)",
}


@register.filter
def check_name(name: str) -> str:
    """What a check of the gate asks, in words."""
    return CHECKS.get(name, words(name).capitalize())


QUALITY = {
    "range": "out of range",
    "type": "unreadable",
    "unseen": "unseen category",
    "outliers": "far out",
    "cardinality": "levels gone",
    "constant": "all the same",
    "correlation": "correlated otherwise",
}


@register.filter
def quality_check(name: str) -> str:
    """What the values that a check of data quality counts are.

    >>> quality_check("range"), quality_check("missing")
    ('out of range', 'missing')
    """
    return QUALITY.get(name, name)


@register.simple_tag
def gate_summary(gate: Any) -> SafeString:
    """How many checks of a gate passed, as a badge."""
    levels = [check["level"] for check in gate["checks"]]
    judged, remarks = [level for level in levels if level != "remark"], levels.count("remark")
    said = f"{judged.count('pass')} of {len(judged)} passed"
    said += f", {remarks} remark{'s' if remarks > 1 else ''}" if remarks else ""
    return tag(said, "ok" if gate["passed"] else "bad")


@register.simple_tag
def moment(at: Any) -> SafeString:
    """A time, exact to the minute (UTC), with how long ago as its title."""
    if not isinstance(at, datetime):
        return SafeString("–")
    return format_html('<time datetime="{}" title="{}">{}</time>', at.isoformat(), ago(at), f"{at:%d %b %Y %H:%M}")


@register.filter
def pretty(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False, sort_keys=True)


@register.filter
def duration(job: Any) -> str:
    """How long a job has worked, or did."""
    if job.started_at is None:
        return "–"
    return span((job.finished_at or timezone.now()) - job.started_at)


@register.filter
def script(text: str) -> SafeString:
    """JSON text that is safe inside a script tag: nothing in it can close the tag or open a comment.

    >>> script('{"a": "</script>"}')
    '{"a": "\\\\u003c/script\\\\u003e"}'
    """
    return SafeString(text.translate({ord("<"): "\\u003c", ord(">"): "\\u003e", ord("&"): "\\u0026"}))
