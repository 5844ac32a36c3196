"""The pages of training: a run while it works and afterwards, data sets, their forms."""

from __future__ import annotations

import json
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from mlops_site.core.permissions import Actor
from registry import services as registry
from registry.models import RegisteredModel
from tests.kept import kept_fixture
from tests.people import actor
from tests.training import runs as made
from training.dashboards import study
from training.models import DatasetVersion, Reproduction, Run


@kept_fixture
def scientist(db: None) -> Actor:
    return actor("sofia", "data_scientist")


@pytest.fixture
def client(scientist: Actor) -> Client:
    found = Client()
    assert scientist.user is not None
    found.force_login(scientist.user)
    return found


@kept_fixture
def model(db: None) -> RegisteredModel:
    return registry.create_model(actor=actor("ada", "ml_engineer"), name="claims", task_type="classification")


@kept_fixture
def data(scientist: Actor) -> DatasetVersion:
    return made.dataset_version(scientist)


@kept_fixture
def working(scientist: Actor, model: RegisteredModel, data: DatasetVersion) -> Run:
    return made.working_run(scientist, model, data)


@kept_fixture
def done(scientist: Actor, model: RegisteredModel, data: DatasetVersion) -> Run:
    return made.succeeded_run(scientist, model, data)


def test_a_run_that_succeeded_is_reproduced_by_a_button(client: Client, done: Run) -> None:
    page = reverse("run", args=[done.pk])
    ask = reverse("run_reproduce", args=[done.pk])
    assert f'href="{ask}"' in client.get(page).content.decode()
    assert "nothing is registered" in client.get(ask).content.decode()
    assert client.post(ask)["Location"] == f"{page}#reproductions"
    row = Reproduction.objects.get(run=done)
    said = client.get(page).content.decode()
    assert f'hx-get="{reverse("run_reproductions", args=[done.pk])}"' in said
    stop = reverse("reproduction_cancel", args=[row.pk])
    assert f'href="{stop}"' in said
    assert client.get(stop).status_code == 200
    assert client.post(stop)["Location"] == page
    row.refresh_from_db()
    assert row.state == "cancelled"


def test_what_came_of_a_reproduction_is_on_the_page_of_the_run(
    client: Client, done: Run, working: Run, scientist: Actor
) -> None:
    made.reproduced_run(scientist, done)
    said = client.get(reverse("run", args=[done.pk])).content.decode()
    assert "not equal" in said
    assert "random_forest: roc_auc over the folds differs, by at most 0.0015" in said
    assert "predictions: 2 of 60 shared rows differ, by at most 0.01" in said
    assert "lock: requirements.lock is another one" in said
    made.reproduced_run(scientist, done, equal=True)
    said = client.get(reverse("run_reproductions", args=[done.pk])).content.decode()
    assert "all 60 predictions on the holdout are the same" in said
    assert "hx-get" not in said
    assert f'href="{reverse("run_reproduce", args=[working.pk])}"' not in (
        client.get(reverse("run", args=[working.pk])).content.decode()
    )
    refused = client.post(reverse("run_reproduce", args=[working.pk]))
    assert refused.status_code == 409
    assert "must have succeeded" in refused.content.decode()


def test_a_changed_tree_is_downloaded_as_its_diff(client: Client, done: Run) -> None:
    Run.objects.filter(pk=done.pk).update(diff="-1\n+2 <b>\n", diff_digest="1" * 64)
    address = reverse("run_diff", args=[done.pk])
    assert f'href="{address}"' in client.get(reverse("run", args=[done.pk])).content.decode()
    answer = client.get(address)
    assert answer.content == b"-1\n+2 <b>\n"
    assert answer["Content-Disposition"].startswith("attachment")


def test_a_viewer_is_offered_no_reproduction(done: Run) -> None:
    viewer, client = actor("vera", "viewer"), Client()
    assert viewer.user is not None
    client.force_login(viewer.user)
    said = client.get(reverse("run", args=[done.pk])).content.decode()
    assert f'href="{reverse("run_reproduce", args=[done.pk])}"' not in said
    assert client.get(reverse("run_reproduce", args=[done.pk])).status_code == 403


def test_a_working_run_asks_for_its_progress_every_two_seconds(client: Client, working: Run) -> None:
    said = client.get(reverse("run", args=[working.pk])).content.decode()
    assert f'hx-get="/runs/{working.pk}/progress"' in said
    assert 'hx-trigger="every 2s"' in said
    assert '<noscript><meta http-equiv="refresh"' in said
    assert "35 %" in said
    assert "0.746" in said  # the best so far
    assert "240 rows to train on" in said  # the log


def test_progress_stops_asking_once_the_run_has_ended(client: Client, working: Run) -> None:
    path = reverse("run_progress", args=[working.pk])
    assert "HX-Refresh" not in client.get(path)
    Run.objects.filter(pk=working.pk).update(state="succeeded", finished_at=timezone.now())
    answer = client.get(path)
    assert answer["HX-Refresh"] == "true"
    assert "hx-get" not in answer.content.decode()


def test_an_ended_run_shows_leaderboard_gate_and_figures_with_their_numbers(client: Client, done: Run) -> None:
    answer = client.get(reverse("run", args=[done.pk]))
    said = answer.content.decode()
    assert "/progress" not in said
    assert "0.7512" in said
    assert "3 of 3 passed, 1 remark" in said
    assert "Every number" in said
    assert [json.loads(answer.context[name])["data"] for name in ("history_json", "importance_json")]
    assert "max depth" in said


def test_history_is_what_the_studies_hold(done: Run) -> None:
    history = study.history_of(done)
    assert [point.order for point in history.points] == list(range(1, 13))
    assert sum(point.value is None for point in history.points) == 2  # pruned
    values = [point.value for point in history.points if point.value is not None]
    assert history.points[-1].best == max(values)


def test_importance_waits_for_the_end_and_for_enough_trials(done: Run, working: Run) -> None:
    found = study.importance_of(done)
    assert found is not None
    assert sum(share for _, share in found.shares) == pytest.approx(1)
    assert study.importance_of(working) is None  # it has no leaderboard yet
    Run.objects.filter(pk=working.pk).update(leaderboard=done.leaderboard)
    working.refresh_from_db()
    few = study.importance_of(working)
    assert few is not None
    assert "3 complete trials tell too little" in few.note


def test_the_time_that_is_left_is_said_while_a_run_works(client: Client, working: Run, done: Run) -> None:
    assert "about 0 s of trials left" in client.get(reverse("run", args=[working.pk])).content.decode()
    assert "of trials left" not in client.get(reverse("run", args=[done.pk])).content.decode()


def test_the_parameters_of_the_best_model_type_are_drawn_and_told(client: Client, done: Run, working: Run) -> None:
    said = client.get(reverse("run", args=[done.pk]))
    tried = said.context["tried"]
    assert (tried.model_type, [each.name for each in tried.parameters]) == (
        "random_forest",
        ["max_depth", "max_features"],
    )
    assert len(tried.values) == 5  # one of six was pruned
    for figure in ("slice", "parallel"):
        assert f'data-figure="{figure}"' in said.content.decode()
    assert "tried" not in client.get(reverse("run", args=[working.pk])).context


def test_a_search_judged_as_a_whole_is_told_on_the_page(client: Client, done: Run) -> None:
    fold = {"model_type": "random_forest", "params": {}, "promised": 0.76, "value": 0.7321, "rows": 120}
    told = {"metric": "roc_auc", "mean": 0.7342, "se": 0.01, "ci95": [0.70, 0.77], "promised": 0.7512, "folds": [fold]}
    Run.objects.filter(pk=done.pk).update(nested=told)
    said = client.get(reverse("run", args=[done.pk])).content.decode()
    assert "0.7342" in said
    assert "0.7321" in said


def test_a_failed_run_says_why(client: Client, scientist: Actor, model: RegisteredModel, data: DatasetVersion) -> None:
    run = made.failed_run(scientist, model, data)
    assert "killed by signal 9" in client.get(reverse("run", args=[run.pk])).content.decode()


def test_a_run_is_stopped_from_its_page(client: Client, working: Run, done: Run) -> None:
    assert "Stop…" in client.get(reverse("run", args=[working.pk])).content.decode()
    client.post(reverse("run_cancel", args=[working.pk]))
    working.refresh_from_db()
    assert working.cancel_requested_at is not None
    assert client.post(reverse("run_cancel", args=[done.pk])).status_code == 409


def test_runs_are_filtered_by_model_and_state(client: Client, working: Run, done: Run) -> None:
    def shown(**query: str) -> list[Run]:
        return list(client.get(reverse("runs"), query).context["page"].object_list)

    assert shown() == [done, working]
    assert shown(state="running") == [working]
    assert shown(model="other") == []
    assert shown(state="nonsense") == [done, working]


def test_a_run_is_started_on_its_form(client: Client, model: RegisteredModel, data: DatasetVersion) -> None:
    asked = {"model_name": "claims", "dataset": "hie@1", "n_trials": 3, "model_types": ["random_forest"], "cv_folds": 3}
    answer = client.post(reverse("run_new"), {**asked, "seed": 7, "trigger_reason": "A first look."})
    run = Run.objects.get()
    assert answer["Location"] == reverse("run", args=[run.pk])
    assert (run.state, run.seed, run.trigger_reason, run.trials_total) == ("queued", 7, "A first look.", 3)


def test_a_run_is_told_of_its_decisions_on_its_form(
    client: Client, model: RegisteredModel, data: DatasetVersion
) -> None:
    asked: dict[str, Any] = {"model_name": "claims", "dataset": "hie@1", "n_trials": 3, "cv_folds": 3, "seed": 0}
    asked |= {"model_types": ["extra_trees"], "trigger_reason": "Costs.", "calibration": "auto", "slices": " plan, "}
    client.post(reverse("run_new"), {**asked, "false_negative": 500, "false_positive": 40})
    spec = Run.objects.get().spec
    assert spec["cost_matrix"] == {"false_negative": 500, "false_positive": 40}
    assert (spec["calibration"], spec["slices"], "capacity" in spec) == ("auto", ["plan"], False)
    narrow = '{"extra_trees": {"max_depth": {"low": 2, "high": 3}}}'
    client.post(reverse("run_new"), {**asked, "features": "age, visits,", "search_space": narrow})
    spec = Run.objects.order_by("created_at").last().spec  # type: ignore[union-attr]
    assert (spec["features"], list(spec["search_space"])) == (["age", "visits"], ["extra_trees"])
    refused = client.post(reverse("run_new"), {**asked, "at_most": 200})
    assert "lacks of_rows" in refused.context["form"].errors["at_most"][0]
    refused = client.post(reverse("run_new"), {**asked, "false_negative": 0, "false_positive": 40})
    assert "must have false_negative above" in refused.context["form"].errors["false_negative"][0]
    assert not refused.context["form"].non_field_errors()
    for field, value in (("monotone", '{"nobody": 1}'), ("search_space", '{"svm": {}}'), ("features", "nobody")):
        refused = client.post(reverse("run_new"), {**asked, field: value})
        assert (refused.status_code, list(refused.context["form"].errors)) == (422, [field])
    assert Run.objects.count() == 2


def test_what_a_run_cannot_do_is_said_beside_the_field(
    client: Client, model: RegisteredModel, data: DatasetVersion
) -> None:
    asked = {"model_name": "claims", "dataset": "hie@1", "n_trials": 3, "cv": "time", "cv_folds": 3, "seed": 0}
    answer = client.post(reverse("run_new"), {**asked, "trigger_reason": "why not"})
    assert answer.status_code == 422
    assert "needs a time_column" in answer.context["form"].errors["cv"][0]
    assert not Run.objects.exists()


def test_a_data_set_page_shows_schema_and_quality(client: Client, data: DatasetVersion) -> None:
    said = client.get(reverse("dataset", args=["hie@1"])).content.decode()
    for word in ("high_cost", "target", "person", "group", "300 rows", data.digest):
        assert word in said


@pytest.mark.parametrize("reference", ["hie@2", "nothing", "hie@0", "Hie@1", "hie@1@1", "hie@99999999999"])
def test_a_data_set_that_is_not_there_is_404(client: Client, data: DatasetVersion, reference: str) -> None:
    assert client.get(reverse("dataset", args=[reference])).status_code == 404


def test_a_file_is_uploaded_and_a_bad_one_refused_with_its_faults(client: Client) -> None:
    rows = "\n".join(f"{n},{n % 7},{n % 2}" for n in range(120))
    asked = {"name": "small", "target": "y", "pii": " a , ", "team": "claims"}
    good = SimpleUploadedFile("small.csv", f"a,b,y\n{rows}\n".encode())
    assert client.post(reverse("dataset_new"), {**asked, "file": good})["Location"] == "/datasets/small@1"
    assert DatasetVersion.objects.get().pii == ["a"]
    ragged = SimpleUploadedFile("small.csv", b"a,b,y\n1,2\n3,4,5,6\n")
    answer = client.post(reverse("dataset_new"), {**asked, "file": ragged})
    assert answer.status_code == 422
    assert answer.context["form"].errors["file"]
    assert DatasetVersion.objects.count() == 1


def test_an_empty_site_says_what_to_do(client: Client) -> None:
    assert "Upload a data set, then start a run." in client.get(reverse("runs")).content.decode()
    assert "Upload a csv or parquet file" in client.get(reverse("datasets")).content.decode()
