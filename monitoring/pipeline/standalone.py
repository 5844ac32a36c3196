"""A dashboard or a report as one file to send around: the page's own parts, with everything that they need inside."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.safestring import SafeString, mark_safe

from monitoring.models import Report
from monitoring.selectors.board import MOST_PICTURES, report_shown, shown
from monitoring.selectors.dashboard import dashboard
from monitoring.selectors.periods import Period
from registry.models import Version

LIBRARY = "plotly.min.js"
_ADDRESS = re.compile(r' href="(/[^"]*|\?[^"]*|#[^"]*)"')
Extra = dict[str, Any]


def dashboard_file(version: Version, period: Period, *, metric: str = "", feature: str = "", site: str = "") -> str:
    """The dashboard of a window, with the metric over time and the feature first that are asked for. `site` is where
    links lead to ("https://steward.example"); without one they are plain text."""
    found = dashboard(version, period, metric=metric)
    facts = {
        "title": f"Monitoring of {version.model}",
        "model": version.model,
        "version": version,
        "period": period,
        **shown(found, feature=feature, most=MOST_PICTURES),
    }
    return _written("monitoring/dashboard.html", facts, site)


def report_file(report: Report, *, site: str = "", library: str = "") -> str:
    """A report as it was written, with its features drawn. `library` is where the script that draws lies beside the
    file; left out, it is inside."""
    return _written("monitoring/report.html", report_shown(report, most=MOST_PICTURES), site, library)


def library() -> str:
    """plotly.js, 4.8 MB."""
    return _file("vendor/plotly.min.js")


def _written(template: str, facts: Extra, site: str, library_src: str = "") -> str:
    inside = {
        "parent": "monitoring/standalone.html",
        "standalone": True,
        "written_at": timezone.now(),
        "style": _inline(_file("css/steward.css"), "style"),
        "drawing": _inline(_file("js/figures.js"), "script"),
        "library_src": library_src,
        "library": "" if library_src else _inline(library(), "script"),
        "script_src": "'unsafe-inline'" + (" file: 'self'" if library_src else ""),
    }
    return _linked(render_to_string(template, {**facts, **inside}, request=HttpRequest()), site)


def _linked(text: str, site: str) -> str:
    """Links of the site lead to the site from anywhere, or are none.

    >>> _linked('<a href="/reports/1">x</a> <a href="?a=1">y</a>', "https://steward.example")
    '<a href="https://steward.example/reports/1">x</a> <a>y</a>'
    """

    def lead(found: re.Match[str]) -> str:
        return f' href="{site}{found[1]}"' if site and found[1].startswith("/") else ""

    head, _, body = text.partition("<body>")
    return f"{head}{'<body>' if body else ''}{_ADDRESS.sub(lead, body)}" if body else _ADDRESS.sub(lead, head)


def _inline(text: str, tag: str) -> SafeString:
    """Our own files, never what somebody typed; none of them may close the tag that it stands in."""
    if f"</{tag}" in text.lower():
        raise ValueError(f"a file that stands in a {tag} must not close it")
    return mark_safe(text)  # noqa: S308


@cache
def _file(name: str) -> str:
    return (Path(settings.BASE_DIR) / "static" / name).read_text()
