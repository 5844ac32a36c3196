"""Reports saved as files where the operator wants them."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.utils import timezone

from mlops_site.core.permissions import Actor
from monitoring.analysis import report_of_window
from monitoring.models import Report
from monitoring.pipeline import standalone, workspace
from monitoring.pipeline.workspace import MARK, path_of, save_due
from monitoring.services.reports import Window, keep_report
from registry.models import Version
from tests.kept import kept_fixture
from tests.monitoring.traffic import DAY, answer, version_of

pytestmark = pytest.mark.django_db


@pytest.fixture
def folder(settings: Any, tmp_path: Path) -> Path:
    settings.EVIDENTLY_WORKSPACE = tmp_path / "evidently"
    return tmp_path / "evidently"


@kept_fixture
def version(author: Actor) -> Version:
    made = version_of(author)
    answer(made, 300, start=timezone.now() - DAY, shift=1.0)
    return made


def kept(version: Version) -> Report:
    now = timezone.now()
    content = report_of_window(version, now - 2 * DAY, now)
    return keep_report(version, content, Window(now - 2 * DAY, now), explicit=True)


def names(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_a_report_is_saved_as_json_and_html_by_model_and_time(folder: Path, version: Version) -> None:
    report = kept(version)
    assert save_due() == 1
    path = path_of(folder, report)
    own = {f"high_cost/{path.name}{ending}" for ending in (".json", ".html")}
    assert names(folder) == own | {MARK, "plotly.min.js"}
    assert path.name.startswith(f"{report.window_to:%Y%m%dT%H%M%SZ}-1.0.0-")
    said = json.loads(Path(f"{path}.json").read_text())
    assert (said["id"], said["model_name"], said["model_version"]) == (str(report.pk), "high_cost", "1.0.0")
    assert said["drift"] == report.body["drift"]
    assert said["findings"] == report.findings
    page = Path(f"{path}.html").read_text()
    assert '<script src="../plotly.min.js">' in page
    assert 'data-figure="feature0"' in page
    assert len(page) < 200_000


def test_what_is_there_is_not_written_again(folder: Path, version: Version) -> None:
    report = kept(version)
    save_due()
    written = Path(f"{path_of(folder, report)}.json").stat().st_mtime_ns
    assert save_due() == 0
    assert Path(f"{path_of(folder, report)}.json").stat().st_mtime_ns == written
    kept(version)
    assert save_due() == 1


def test_a_folder_that_cannot_be_written_hurts_nothing_and_is_tried_again(
    folder: Path, version: Version, caplog: pytest.LogCaptureFixture
) -> None:
    folder.write_text("a file where the folder should be")
    report = kept(version)
    assert save_due() == 0
    assert "could not be written" in caplog.text
    folder.unlink()
    assert save_due() == 1
    assert Path(f"{path_of(folder, report)}.json").exists()


def test_a_disk_that_fills_up_leaves_no_half_file(
    folder: Path, version: Version, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept(version)
    save_due()
    before = names(folder)
    kept(version)

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.replace", full)
        assert save_due() == 0
    assert names(folder) == before
    assert save_due() == 1


def test_one_that_cannot_be_drawn_does_not_hold_up_the_others(
    folder: Path, version: Version, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = kept(version), kept(version)
    drawn = standalone.report_file

    def fails(report: Report, **how: Any) -> str:
        if report == first:
            raise ValueError("a body of an older kind")
        return drawn(report, **how)

    monkeypatch.setattr(workspace, "report_file", fails)
    assert save_due() == 2
    assert Path(f"{path_of(folder, first)}.json").exists()
    assert not Path(f"{path_of(folder, first)}.html").exists()
    assert Path(f"{path_of(folder, second)}.html").exists()


def test_a_pass_is_bounded_and_a_new_workspace_reaches_a_week_back(
    folder: Path, version: Version, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        kept(version)
    monkeypatch.setattr(workspace, "PASS", 2)
    later = timezone.now() + timedelta(days=6)
    assert [save_due(later), save_due(later)] == [2, 1]
    assert save_due(timezone.now() + timedelta(days=20)) == 0


def test_a_report_older_than_a_week_is_left_to_the_site(folder: Path, version: Version) -> None:
    kept(version)
    assert save_due(timezone.now() + timedelta(days=8)) == 0


def test_without_a_workspace_nothing_is_done(settings: Any, version: Version) -> None:
    settings.EVIDENTLY_WORKSPACE = None
    kept(version)
    assert save_due() == 0
