"""Each report as files too, where the operator has set EVIDENTLY_WORKSPACE:
`<model>/<end of the window>-<version>-<id>.json` and `.html`. What is there is not written
again, so a pass that failed is simply repeated."""

from __future__ import annotations

import json
import logging
import os
import tempfile
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

from django.conf import settings
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from monitoring.models import Report
from monitoring.pipeline.standalone import LIBRARY, library, report_file

log = logging.getLogger(__name__)
MARK = ".saved-up-to"  # when the last whole pass began
FIRST = timedelta(days=7)  # so far back a new workspace reaches
OVERLAP = timedelta(minutes=10)  # longer than any transaction that keeps a report
PASS = 200  # reports of one pass
_HEAVY = ("version__reference", "version__golden", "version__signature")


def save_due(now: datetime | None = None) -> int:
    """Save the reports that are not there yet, the oldest first; how many were saved. A folder that cannot be written
    is logged, hurts nothing and is tried again by the next call."""
    folder, began = settings.EVIDENTLY_WORKSPACE, now or timezone.now()
    if folder is None:
        return 0
    saved = 0
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for report in _missing(folder, _since(folder, began)):
            if saved == PASS:
                return saved  # the next pass goes on from the same mark
            _save(folder, report)
            saved += 1
        _replace(folder / MARK, began.isoformat())
    except OSError as error:
        log.error("EVIDENTLY_WORKSPACE %s could not be written: %s", folder, error)
    return saved


def path_of(folder: Path, report: Report) -> Path:
    """Without its ending. Nothing in it is typed freely: a model's name is letters, digits and underscores."""
    name = f"{report.window_to:%Y%m%dT%H%M%SZ}-{report.version.number}-{str(report.pk)[:8]}"
    return folder / report.model.name / name


def _since(folder: Path, now: datetime) -> datetime:
    try:
        found = parse_datetime((folder / MARK).read_text().strip())
    except (FileNotFoundError, ValueError):
        found = None
    return now - FIRST if found is None else found - OVERLAP


def _missing(folder: Path, since: datetime) -> Iterator[Report]:
    """Reports kept since then without a JSON file, which is written last."""
    rows = Report.objects.filter(created_at__gte=since).order_by("created_at")
    found = rows.select_related("model", "version__model").defer("body", "findings", *_HEAVY)
    for report in found:
        if not Path(f"{path_of(folder, report)}.json").exists():
            yield Report.objects.select_related("model", "version__model", "created_by").get(pk=report.pk)


def _save(folder: Path, report: Report) -> None:
    path = path_of(folder, report)
    path.parent.mkdir(exist_ok=True)
    if not (folder / LIBRARY).exists():
        _replace(folder / LIBRARY, library())
    try:
        _replace(Path(f"{path}.html"), report_file(report, library=f"../{LIBRARY}"))
    except OSError:
        raise
    except Exception:  # one that cannot be drawn must not hold up those behind it
        log.exception("report %s could not be drawn; its JSON is saved", report.pk)
    _replace(Path(f"{path}.json"), json.dumps(_content(report), indent=1))


def _content(report: Report) -> dict[str, object]:
    """The fields of GET /monitoring/reports/{id}."""
    return {
        "id": str(report.pk),
        "model_name": report.model.name,
        "model_version": report.version.number,
        "created_at": report.created_at.isoformat(),
        "created_by": report.created_by.get_username() if report.created_by else None,
        "explicit": report.explicit,
        "from_frames": report.from_frames,
        "findings": report.findings,
        **report.body,
    }


def _replace(path: Path, text: str) -> None:
    """The whole file appears under its name, or none of it."""
    handle, draft = tempfile.mkstemp(dir=path.parent, prefix=".")
    try:
        with os.fdopen(handle, "w") as file:
            file.write(text)
        os.chmod(draft, 0o644)
        os.replace(draft, path)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise
