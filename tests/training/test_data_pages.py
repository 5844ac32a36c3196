"""The pages of data set versions and sources, as people of three roles meet them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from mlops_site.core import jobs
from mlops_site.core.choices import Role
from mlops_site.core.entries import Place
from mlops_site.core.permissions import Actor
from registry.models import RegisteredModel
from tests.people import actor
from tests.training.claims import SMALL, claims
from tests.training.conftest import uploaded
from training.models import DatasetVersion, DataSource, Fetch

Upload = Callable[..., DatasetVersion]


@pytest.fixture
def dataset(scientist: Actor) -> DatasetVersion:
    """Not kept: an erasure looks at how old the bytes are."""
    return uploaded(scientist)


def browser(who: Actor) -> Client:
    found = Client()
    assert who.user is not None
    found.force_login(who.user, backend="django.contrib.auth.backends.ModelBackend")
    return found


def text(client: Client, address: str) -> str:
    answer = client.get(address)
    assert answer.status_code == 200
    return answer.content.decode()


@pytest.fixture
def folder(tmp_path: Path, settings: Any) -> Path:
    settings.DATA_FOLDERS = [Place("claims", str(tmp_path))]
    claims().to_csv(tmp_path / "a.csv", index=False)
    return tmp_path


def test_a_version_shows_profile_suggestions_and_keeping(upload: Upload, engineer: Actor) -> None:
    version = upload(claims().assign(contact="ada@example.org"))
    page = text(browser(engineer), reverse("dataset", args=[version]))
    assert "<b>contact</b> (e-mail address: 300 of 300 values look like one)" in page
    assert "Quartiles, about" in page
    assert "for good" in page


def test_keeping_is_set_by_who_may(dataset: DatasetVersion, engineer: Actor, scientist: Actor) -> None:
    address = reverse("dataset_keeping", args=["hie"])
    approver = browser(actor("ansel", Role.APPROVER))
    assert browser(scientist).get(address).status_code == 403
    assert 'name="hold"' not in text(browser(engineer), address)
    answer = browser(engineer).post(address, {"owner": "enno", "retention_days": "30"})
    assert answer["Location"] == reverse("dataset", args=[dataset])
    assert 'name="retention_days"' not in text(approver, address)
    approver.post(address, {"hold": "court case 7"})
    page = text(approver, reverse("dataset", args=[dataset]))
    assert "30 days" in page
    assert "court case 7" in page
    erase = browser(engineer).post(reverse("dataset_erase", args=[dataset]), {"reason": "asked for"})
    assert (erase.status_code, "court case 7" in erase.content.decode()) == (409, True)


def test_deleted_bytes_are_said_where_the_version_is_shown(dataset: DatasetVersion, engineer: Actor) -> None:
    client = browser(engineer)
    client.post(reverse("dataset_erase", args=[dataset]), {"reason": "a person asked"})
    page = text(client, reverse("dataset", args=[dataset]))
    assert "by enno: a person asked" in page
    assert "Train on it…" not in page
    assert "bytes deleted" in text(client, reverse("datasets"))


def test_what_changed_is_shown_with_tables_and_pictures(upload: Upload, scientist: Actor) -> None:
    before = claims().assign(id=range(300))
    upload(before, pii=["plan"])
    version = upload(before.assign(dollars=before.dollars + 400, plan="basic").iloc[5:], pii=["plan"])
    address = f"{reverse('dataset_diff', args=[version])}?with=hie@1&keys=id"
    page = text(browser(scientist), address)
    assert "0 rows came, 5 went, 295 changed" in page
    assert page.count('class="plot"') >= 2
    assert "basic" in page
    hidden = text(browser(actor("vera", Role.VIEWER)), address)
    assert "basic" not in hidden
    upload(claims(rows=310).assign(id=range(310)), pii=["plan"])
    usual = text(browser(scientist), reverse("dataset_diff", args=[version]))
    assert "whole rows" in usual
    assert "What changed from hie@1 to hie@2" in usual, "from the one before, though there is a later one"


@pytest.mark.parametrize("query", ["with=hie@1", "with=other@1", "with=<b>", "with=hie@2&keys=nothing"])
def test_what_cannot_be_compared_is_said_on_the_page(query: str, upload: Upload, scientist: Actor) -> None:
    upload()
    upload(claims(rows=310))
    page = text(browser(scientist), f"{reverse('dataset_diff', args=['hie@1'])}?{query}")
    assert 'role="alert"' in page


def test_a_file_is_registered_from_a_page(folder: Path, scientist: Actor) -> None:
    client = browser(scientist)
    assert "Register a file…" in text(client, reverse("datasets"))
    address = reverse("dataset_register")
    said = {"name": "hie", "location": f"{folder}/a.csv", "target": "high_cost", "team": "claims"}
    assert client.post(address, said)["Location"] == reverse("dataset", args=["hie@1"])
    refused = client.post(address, {**said, "location": "/etc/passwd"})
    assert (refused.status_code, "of the folders that the team may read" in refused.content.decode()) == (422, True)


def test_a_source_from_its_form_to_its_way(
    folder: Path, engineer: Actor, scientist: Actor, outsider: Actor, model: RegisteredModel
) -> None:
    client = browser(engineer)
    said = {
        "name": "exports", "kind": "folder", "location": str(folder), "pattern": "*.csv", "takes": "newest",
        "dataset_name": "hie", "target": "high_cost", "group_column": "person", "every": "1d", "enabled": "on",
        "run_config": f'{{"model_name": "{model.name}", "model_types": {SMALL["model_types"]}}}'.replace("'", '"'),
        "team": "claims",
    }  # fmt: skip
    page = reverse("source", args=["exports"])
    assert client.post(reverse("source_new"), said)["Location"] == page
    assert "“Look now…” is the first." in text(client, page)
    asked = browser(scientist).post(reverse("source_fetch", args=["exports"]))
    assert asked["Location"].startswith(f"{page}?fetch=")
    job = jobs.claim(Fetch.objects.get(), worker="test")
    assert job is not None
    jobs.run_here(job)
    shown = text(client, asked["Location"])
    assert f'href="{reverse("dataset", args=["hie@1"])}"' in shown
    assert f'href="{reverse("run", args=[Fetch.objects.get().run_id])}"' in shown
    assert "Train high_cost_claim" in shown
    version = text(client, reverse("dataset", args=["hie@1"]))
    assert f'href="{page}?fetch={job.pk}"' in version
    assert browser(outsider).get(page).status_code == 404
    assert browser(scientist).get(reverse("source_edit", args=["exports"])).status_code == 403
    edit = reverse("source_edit", args=["exports"])
    assert 'value="1d"' in text(client, edit)
    changed = {name: value for name, value in said.items() if name not in ("name", "kind", "team", "enabled")}
    assert client.post(edit, changed)["Location"] == page
    assert not DataSource.objects.get().enabled
    assert "Look now…" not in text(client, page)
    assert "exports" in text(client, reverse("sources"))
    wrong = client.post(edit, {**changed, "location": "/etc"})
    assert wrong.status_code == 422
