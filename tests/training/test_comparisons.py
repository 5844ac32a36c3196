"""Two versions that are too large to compare while somebody waits: a worker does it, once, and what it finds stays."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from mlops_site.core import jobs, store
from mlops_site.core.errors import Conflict, Forbidden, Invalid
from mlops_site.core.models import AuditRecord
from mlops_site.core.permissions import Actor
from tests.people import actor, bearer
from tests.training.claims import claims
from tests.training.test_data_pages import browser, text
from training.models import Comparison, DatasetVersion
from training.selectors import differences
from training.selectors.keeping import gone
from training.services import cancel_comparison, erase_dataset_version, request_comparison

Upload = Callable[..., DatasetVersion]
DIFF = "/api/v1/datasets/hie/1/diff/2"


@pytest.fixture
def pair(upload: Upload) -> tuple[DatasetVersion, DatasetVersion]:
    frame = claims().assign(id=range(300))
    before = upload(frame, pii=["plan"])
    frame.loc[:9, "age"] += 1
    return before, upload(frame.iloc[5:], pii=["plan"])


@pytest.fixture
def large(pair: Any, monkeypatch: pytest.MonkeyPatch) -> tuple[DatasetVersion, DatasetVersion]:
    """The same, as if nobody could wait for it."""
    monkeypatch.setattr(differences, "AT_ONCE", 1_000)
    found: tuple[DatasetVersion, DatasetVersion] = pair
    return found


def done(made: Comparison) -> Comparison:
    claimed = jobs.claim(made, worker="test")
    assert claimed is not None
    jobs.run_here(claimed)
    return Comparison.objects.get(pk=made.pk)


def sent(client: Client, body: dict[str, Any]) -> Any:
    return client.post(DIFF, json.dumps(body), content_type="application/json")


def test_what_a_worker_finds_is_what_is_found_at_once(
    pair: tuple[DatasetVersion, DatasetVersion], scientist: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    for keys in ([], ["id"]):
        at_once = differences.difference(*pair, keys)
        made = done(request_comparison(*pair, actor=scientist, keys=keys))
        assert (made.state, made.progress, made.error) == ("succeeded", 1.0, "")
        with monkeypatch.context() as patch:
            patch.setattr(differences, "AT_ONCE", 0)
            kept = differences.difference(*pair, keys)
        assert kept._replace(profiles=at_once.profiles) == at_once
        assert [each.to_bytes() for each in kept.profiles] == [each.to_bytes() for each in at_once.profiles]
    assert (at_once.rows.changed, at_once.rows.removed, at_once.rows.cells["age"]) == (5, 5, 5)


def test_how_far_it_is_grows_column_by_column(pair: Any, scientist: Actor, monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[float] = []
    real = jobs.advance

    def advance(job: Any, *, progress: float, **more: Any) -> None:
        heard.append(progress)
        real(job, progress=progress, **more)

    monkeypatch.setattr(jobs, "advance", advance)
    done(request_comparison(*pair, actor=scientist, keys=["id"]))
    assert len(heard) == 1 + 2 * 8
    assert heard == sorted(heard)
    assert heard[-1] == pytest.approx(0.99)


def test_the_same_is_asked_for_once(large: Any, scientist: Actor, engineer: Actor) -> None:
    first = request_comparison(*large, actor=scientist, keys=["id", "person"])
    assert request_comparison(*large, actor=engineer, keys=["person", "id", "id"]) == first
    assert request_comparison(*large, actor=engineer) != first
    assert done(first).state == "succeeded"
    assert request_comparison(*large, actor=engineer, keys=["id", "person"]) == first
    assert AuditRecord.objects.filter(action="comparison.requested").count() == 2
    assert cancel_comparison(Comparison.objects.get(keys=[]), actor=scientist).state == "cancelled"
    assert request_comparison(*large, actor=engineer).state == "queued"
    with pytest.raises(Conflict, match="cannot be cancelled because it has succeeded"):
        cancel_comparison(first, actor=scientist)


def test_what_cannot_be_compared_is_refused_or_fails_with_the_reason(
    large: Any, scientist: Actor, engineer: Actor, outsider: Actor
) -> None:
    before, after = large
    for stranger in (outsider, actor("vera", "viewer"), actor("axel", "auditor")):
        with pytest.raises(Forbidden):
            request_comparison(before, after, actor=stranger)
    with pytest.raises(Invalid, match="must be columns of both versions but got 'claim'"):
        request_comparison(before, after, actor=scientist, keys=["claim"])
    with pytest.raises(Invalid, match="two versions must be compared but both are hie@1"):
        request_comparison(before, before, actor=scientist)
    repeated = done(request_comparison(before, after, actor=scientist, keys=["person"]))
    assert repeated.state == "failed"
    assert "person must tell rows apart but 150 repeat one before" in repeated.error
    waiting = request_comparison(before, after, actor=scientist)
    erase_dataset_version(before, actor=engineer, reason="a person asked")
    ended = done(waiting)
    assert ended.state == "failed"
    assert ended.error == f"hie@1 cannot be compared: {gone(before)}"
    with pytest.raises(Conflict, match="a person asked"):
        request_comparison(before, after, actor=scientist, keys=["id"])


def test_what_was_found_outlives_the_bytes(large: Any, scientist: Actor, engineer: Actor) -> None:
    before, after = large
    done(request_comparison(before, after, actor=scientist))
    erase_dataset_version(before, actor=engineer, reason="a person asked")
    assert not store.exists(before.digest)
    assert differences.difference(before, after).rows.removed == 10


def calling(who: Actor) -> Client:
    assert who.user is not None
    return Client(headers=bearer(who.user))


def test_over_http(large: Any, scientist: Actor, outsider: Actor) -> None:
    client = calling(scientist)
    said = client.get(DIFF)
    assert (said.status_code, said.json()["code"]) == (409, "not_compared")
    assert "4,760 cells together, more than the 1,000" in said.json()["detail"]
    asked = sent(client, {"keys": ["id"]})
    assert asked.status_code == 202
    assert sent(client, {"keys": ["id"]}).json() == asked.json()
    status = client.get(asked.json()["status_url"]).json()
    assert (status["state"], status["keys"], status["result_url"]) == ("queued", ["id"], None)
    assert client.get(f"/api/v1/jobs/{status['job_id']}").json()["state"] == "queued"
    done(Comparison.objects.get())
    status = client.get(asked.json()["status_url"]).json()
    assert (status["state"], status["result_url"]) == ("succeeded", f"{DIFF}?keys=id")
    found = client.get(status["result_url"]).json()
    assert {name: found["rows"][name] for name in ("keys", "changed", "removed")} == {
        "keys": ["id"], "changed": 5, "removed": 5,
    }  # fmt: skip
    assert found["distribution"]["total"] == 8
    again = client.post(f"{asked.json()['status_url']}/cancel")
    assert (again.status_code, again.json()["code"]) == (409, "already_ended")
    others = calling(outsider)
    assert others.get(asked.json()["status_url"]).status_code == 404
    assert sent(others, {}).status_code == 404
    for body, field in (({"keys": "id"}, "keys"), ({"key": ["id"]}, "key"), ({"keys": ["nothing"]}, "keys")):
        refused = sent(client, body)
        assert refused.status_code in (400, 422)
        assert refused.json()["errors"][0]["field"].startswith(field)


def test_on_the_page_it_is_asked_for_followed_stopped_and_shown(large: Any, scientist: Actor) -> None:
    client, viewer = browser(scientist), browser(actor("vera", "viewer"))
    address = f"{reverse('dataset_diff', args=[large[1]])}?with=hie@1&keys=id"
    assert "4,760 cells together" in text(client, address)
    assert "Have them compared…" not in text(viewer, address)
    ask = f"{reverse('dataset_compare', args=[large[1]])}?with=hie@1&keys=id"
    assert ask.replace("@", "%40").replace("&", "&amp;") in text(client, address).replace("@", "%40")
    assert viewer.get(ask).status_code == 403
    back = client.post(ask)["Location"]
    made = Comparison.objects.get()
    part = reverse("comparison_progress", args=[made.pk])
    assert f'hx-get="{part}"' in text(client, back)
    assert "HX-Refresh" not in client.get(part)
    assert client.post(reverse("comparison_cancel", args=[made.pk]))["Location"] == back
    assert "The last try cancelled" in text(client, back)
    client.post(ask)
    assert client.get(part)["HX-Refresh"] == "true"
    done(Comparison.objects.get(state="queued"))
    page = text(viewer, back)
    assert "Columns that tell rows apart" in page
    assert "of 8 columns are distributed otherwise" in page
