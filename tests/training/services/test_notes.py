"""What people add to runs and take from data sets: for good, bounded, only pixels, and on the record."""

from __future__ import annotations

import hashlib
import io
from typing import Any
from uuid import uuid4

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import DatabaseError, connection, transaction
from django.test import Client
from django.urls import reverse
from PIL import Image, PngImagePlugin

from mlops_site.core import holdings, store
from mlops_site.core.errors import Conflict, Forbidden, Invalid, NotFound, TooLarge
from mlops_site.core.models import AuditRecord
from mlops_site.core.permissions import Actor
from registry.models import RegisteredModel
from tests.people import actor, bearer
from tests.training import runs as made
from training.models import DatasetVersion, Run, RunNote
from training.selectors import dataset_named
from training.selectors.comparison import runs_compared
from training.selectors.notes import figure_of
from training.services import add_note, notes


@pytest.fixture
def run(scientist: Actor, model: RegisteredModel, dataset: DatasetVersion) -> Run:
    return made.succeeded_run(scientist, model, dataset, trials=False)


def png(width: int = 30, height: int = 20, **save: Any) -> bytes:
    sink = io.BytesIO()
    Image.new("RGB", (width, height), (200, 30, 30)).save(sink, "PNG", **save)
    return sink.getvalue()


def test_a_note_is_kept_with_its_figure_and_told_to_the_audit(run: Run, scientist: Actor) -> None:
    note = add_note(run, actor=scientist, text=" The drop in May. ", figure=io.BytesIO(png()), name="may.png")
    assert (note.text, note.by, note.width, note.height) == ("The drop in May.", scientist.user, 30, 20)
    record = AuditRecord.objects.get(action="run.noted")
    assert (record.subject, record.data["figure"]) == (run.subject, note.figure)
    assert holdings.named()[note.figure]  # else the sweep of orphans would take it
    with pytest.raises(DatabaseError), transaction.atomic():
        RunNote.objects.filter(pk=note.pk).update(text="never said")


def test_of_a_figure_only_its_pixels_are_kept(run: Run, scientist: Actor) -> None:
    said = PngImagePlugin.PngInfo()
    said.add_text("Comment", "<script>alert(1)</script>")
    sent = png(pnginfo=said) + b"<html><script>alert(2)</script></html>"
    kept = store.read(add_note(run, actor=scientist, figure=io.BytesIO(sent), name="a.png").figure)
    assert b"script" in sent
    assert b"script" not in kept
    with Image.open(io.BytesIO(kept)) as image:
        assert image.convert("RGB").getpixel((3, 3)) == (200, 30, 30)


SVG = b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>"
JPEG = io.BytesIO()
Image.new("RGB", (9, 9)).save(JPEG, "JPEG")


@pytest.mark.parametrize(
    ("asked", "code"),
    [
        ({}, "required"),
        ({"text": " \n "}, "required"),
        ({"text": "x" * 4_001}, "too_long"),
        ({"text": "gnp\u202eexe"}, "control_character"),
        ({"figure": b""}, "not_png"),
        ({"figure": SVG}, "not_png"),
        ({"figure": JPEG.getvalue()}, "not_png"),
        ({"figure": png()[:60]}, "not_png"),
        ({"figure": png(4_001, 1)}, "too_many_pixels"),
    ],
)
def test_what_is_no_note_is_refused(run: Run, scientist: Actor, asked: dict[str, Any], code: str) -> None:
    given: dict[str, Any] = {
        name: io.BytesIO(value) if isinstance(value, bytes) else value for name, value in asked.items()
    }
    with pytest.raises(Invalid) as caught:
        add_note(run, actor=scientist, **given)
    assert caught.value.code == code
    assert not RunNote.objects.exists()


def test_a_figure_and_the_notes_of_a_run_have_bounds(
    run: Run, scientist: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notes, "FIGURE_BYTES", 100)
    with pytest.raises(TooLarge):
        add_note(run, actor=scientist, figure=io.BytesIO(b"x" * 101))
    monkeypatch.setattr(notes, "MOST", 1)
    add_note(run, actor=scientist, text="one")
    with pytest.raises(Conflict) as caught:
        add_note(run, actor=scientist, text="two")
    assert caught.value.code == "too_many"


def test_who_only_reads_adds_nothing_and_others_see_nothing(run: Run, scientist: Actor, outsider: Actor) -> None:
    with pytest.raises(Forbidden):
        add_note(run, actor=actor("vera", "viewer"), text="hello")
    note = add_note(run, actor=scientist, figure=io.BytesIO(png()), name="a.png")
    with pytest.raises(NotFound):
        figure_of(outsider, note.pk)


class TestOverHttp:
    @pytest.fixture
    def client(self, scientist: Actor) -> Client:
        return Client(headers=bearer(scientist.user))  # type: ignore[arg-type]

    def test_notes_are_added_listed_and_their_figure_is_never_a_page(self, client: Client, run: Run) -> None:
        url = f"/api/v1/training/runs/{run.pk}/notes"
        assert client.post(url, {"text": "only words"}, content_type="application/json").status_code == 201
        file = SimpleUploadedFile("may.png", png(), "text/html")
        made_ = client.post(url, {"text": "May", "figure": file})
        assert made_.status_code == 201, made_.content
        listed = client.get(url).json()
        assert [note["text"] for note in listed] == ["only words", "May"]
        assert (listed[0]["figure"], listed[1]["figure"]["name"]) == (None, "may.png")
        answer = client.get(listed[1]["figure"]["url"])
        assert (answer.status_code, answer["Content-Type"]) == (200, "image/png")
        assert (answer["X-Content-Type-Options"], "sandbox" in answer["Content-Security-Policy"]) == ("nosniff", True)
        refused = client.post(url, {"figure": SimpleUploadedFile("may.svg", SVG, "image/svg+xml")})
        assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "figure")

    def test_a_note_is_added_on_its_form_and_shown_on_the_page(self, scientist: Actor, run: Run) -> None:
        browser = Client()
        browser.force_login(scientist.user)  # type: ignore[arg-type]
        form = reverse("run_note", args=[run.pk])
        assert browser.post(form, {"text": ""}).status_code == 422
        sent = {"text": "<b>May</b>", "figure": SimpleUploadedFile("may.png", png())}
        assert browser.post(form, sent)["Location"].endswith(f"/runs/{run.pk}#notes")
        said = browser.get(reverse("run", args=[run.pk])).content.decode()
        picture = reverse("run_figure", args=[RunNote.objects.get().pk])
        assert "&lt;b&gt;May&lt;/b&gt;" in said
        assert f'src="{picture}"' in said
        assert browser.get(picture)["Content-Type"] == "image/png"

    def test_runs_are_compared(
        self, client: Client, run: Run, scientist: Actor, model: RegisteredModel, dataset: DatasetVersion
    ) -> None:
        other = made.queued_run(scientist, model, dataset, seed=4, cv_folds=3)
        said = client.get("/api/v1/training/compare", {"runs": f"{run.pk},{other.pk}"}).json()
        assert [one["job_id"] for one in said["runs"]] == [str(run.pk), str(other.pk)]
        assert (said["metric"], said["same_folds"]) == ("roc_auc", False)
        forest = next(row for row in said["leaderboard"] if row["name"] == "random_forest")
        assert forest["values"] == [{"mean": 0.7512, "se": 0.0061}, None]
        assert [row["name"] for row in said["spec"] if row["differs"]] == ["cv_folds"]
        assert next(row["values"] for row in said["made_with"] if row["name"] == "seed") == [0, 4]
        for wrong, status in ((str(run.pk), 422), ("x", 422), (f"{run.pk},{dataset.dataset_id}", 422)):
            assert client.get("/api/v1/training/compare", {"runs": wrong}).status_code == status

    def test_runs_of_two_teams_are_not_compared(self, run: Run, outsider: Actor) -> None:
        with pytest.raises(NotFound):
            runs_compared(outsider, [run.pk, uuid4()])

    def test_the_page_compares_what_was_chosen(
        self, scientist: Actor, run: Run, model: RegisteredModel, dataset: DatasetVersion
    ) -> None:
        other, browser = made.queued_run(scientist, model, dataset, seed=4), Client()
        browser.force_login(scientist.user)  # type: ignore[arg-type]
        page = reverse("run_compare")
        offered = browser.get(page, {"run": str(run.pk)}).content.decode()
        assert f'value="{run.pk}" checked' in offered
        assert f'value="{other.pk}"' in offered
        said = browser.get(page, {"run": [str(run.pk), str(other.pk), "nonsense"]}).content.decode()
        assert "They did not see the same rows in the same folds" in said
        assert "0.7512" in said
        many = [str(uuid4()) for _ in range(7)]
        assert browser.get(page, {"run": many}).status_code == 404
        too_many = browser.get(page, {"run": [str(run.pk), *many]}).content.decode()
        assert "Runs must be 2 to 6 different runs but got 8" in too_many

    def test_a_data_set_is_downloaded_by_whoever_may_and_the_audit_says_who(
        self, client: Client, dataset: DatasetVersion, outsider: Actor
    ) -> None:
        url = f"/api/v1/datasets/{dataset.dataset.name}/{dataset.version}/download"
        answer = client.get(url)
        assert (answer.status_code, answer.streaming) == (200, True)
        assert hashlib.sha256(b"".join(answer.streaming_content)).hexdigest() == dataset.digest  # type: ignore[attr-defined]
        record = AuditRecord.objects.get(action="dataset.downloaded")
        assert (record.actor, record.data["digest"], record.data["pii"]) == ("dana", dataset.digest, [])
        viewer = Client(headers=bearer(actor("vera", "viewer").user))  # type: ignore[arg-type]
        assert viewer.get(url).status_code == 403
        assert AuditRecord.objects.filter(action="dataset.download.refused", actor="vera").exists()
        assert Client(headers=bearer(outsider.user)).get(url).status_code == 404  # type: ignore[arg-type]
        browser = Client()
        browser.force_login(actor("dana2", "data_scientist").user)  # type: ignore[arg-type]
        page = browser.get(reverse("dataset_download", args=[dataset]))
        assert page["Content-Disposition"].endswith("hie%401.parquet")
        store.delete(dataset.digest)
        assert client.get(url).status_code == 404
        assert dataset_named(actor("dana3", "data_scientist"), str(dataset)) == dataset


def test_a_run_is_locked_while_its_notes_are_counted(run: Run, scientist: Actor) -> None:
    """Two at once cannot both be the last note: the run's row is locked while they are counted."""
    from django.test.utils import CaptureQueriesContext

    with CaptureQueriesContext(connection) as asked:
        add_note(run, actor=scientist, text="one")
    if connection.vendor == "postgresql":
        assert any("FOR UPDATE" in query["sql"] and "training_run" in query["sql"] for query in asked.captured_queries)
