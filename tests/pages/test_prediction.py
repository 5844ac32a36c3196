"""The page of one prediction, how it is found, and what a version looks at in general."""

from __future__ import annotations

import io
from collections.abc import Callable
from uuid import uuid4

import pytest
from django.test import Client
from django.urls import reverse

from abtesting.models import ShadowAnswer
from abtesting.services.shadow import score_queued
from mlops_site.core.permissions import Actor
from mlops_site.core.templatetags.steward import figure
from mlops_site.pages.prediction import waterfall
from mlops_site.serving import Question, predict
from monitoring.models import Explanation, Prediction
from monitoring.selectors.explanations import Contribution, Explained
from monitoring.services import log_labels, log_prediction
from registry.services import register_version
from tests.abtesting.parts import begun, challenger
from tests.factories import Scene
from tests.people import actor
from tests.registry.parts import candidate, explained
from training.services import create_dataset_version

LogIn = Callable[[Actor], Client]


@pytest.fixture
def row(site: Scene) -> Prediction:
    found = Prediction.objects.order_by("-predicted_at")[0]
    Prediction.objects.filter(pk=found.pk).update(unit_id="unit 7")
    return Prediction.objects.get(pk=found.pk)


def read(client: Client, name: str, *args: object, **query: str) -> str:
    answer = client.get(reverse(name, args=args), query)
    assert answer.status_code == 200
    return " ".join(answer.content.decode().split())


def test_it_says_what_was_asked_answered_and_why_and_who_had_allowed_it(
    site: Scene, row: Prediction, as_: LogIn
) -> None:
    said = read(as_(site.auditor), "prediction", row.pk)
    for part in (row.request_id, "unit 7", "1.0.0", "age", "visits", "log odds", "Residual", "100 training rows"):
        assert part in said, part
    assert "<b>ben</b> approved as approver" in said
    assert "Checked against last year." in said
    assert "by ada, evidence" in said
    assert "not known yet" in said
    assert Explanation.objects.get().prediction == row


def test_what_turned_out_to_be_true_is_shown_with_its_corrections(site: Scene, row: Prediction, as_: LogIn) -> None:
    for label in (0, 1):
        log_labels([{"prediction_id": str(row.pk), "label": label}], actor=site.author)
    said = read(as_(site.author), "prediction", row.pk)
    assert "corrected 1 time" in said
    assert "Outcomes as they became known" in said


def test_a_viewer_sees_the_answer_but_not_what_was_asked(site: Scene, row: Prediction, as_: LogIn) -> None:
    said = read(as_(actor("vera", "viewer")), "prediction", row.pk)
    assert "Your role does not see what claims were made of." in said
    assert "<b>ben</b> approved" in said
    assert '<td class="b">age</td>' not in said
    assert not Explanation.objects.exists()


def test_personal_data_is_masked_for_everybody(site: Scene, as_: LogIn) -> None:
    source = io.BytesIO(b"age,visits,high\n" + b"\n".join(b"%d,%d,%d" % (i, i % 7, i % 2) for i in range(200)))
    kept = create_dataset_version(
        actor=site.scientist, name="people", source=source, filename="people.csv", target="high", pii=["age"]
    )
    lineage = {"dataset": str(kept)}
    made = register_version(
        site.model, actor=site.author, candidate=candidate(7, params={"C": 7}, lineage=lineage, **explained(7))
    )
    asked = {"model_name": site.model.name, "model_version": made.number, "request_id": "p"}
    logged = log_prediction(
        {**asked, "features": {"age": 61.25, "visits": 3}, "prediction": 1, "score": 0.5}, actor=site.author
    )
    said = read(as_(site.author), "prediction", logged.prediction_id)
    assert said.count("personal, masked") == 2  # among the inputs and among the contributions
    assert "61.25" not in said
    assert "age = masked" in said
    said = read(as_(site.author), "explanations", site.model.name, made.number, feature="age")
    assert "<option selected>visits</option>" in said
    assert "<option>age</option>" not in said


@pytest.fixture
def asked(site: Scene) -> Callable[..., Prediction]:
    """A claim that was answered under an experiment of that design, all of whose units are in B."""

    def ask(design: str) -> Prediction:
        b = challenger(site.served, author=site.author, seed=5, params={"C": 9.0})
        begun(site.served, b, author=site.author, design=design, share_b=1.0)
        question = Question({"age": 50.0, "visits": 2}, request_id="tested")
        (answer,) = predict(site.model.name, actor=site.author, questions=[question]).predictions
        return Prediction.objects.get(pk=str(answer.prediction_id))

    return ask


def test_what_b_says_silently_is_shown_beside_the_answer(
    site: Scene, asked: Callable[..., Prediction], as_: LogIn
) -> None:
    row = asked("shadow")
    said = read(as_(site.author), "prediction", row.pk)
    assert "it waits for a worker" in said
    score_queued()
    silent = ShadowAnswer.objects.get()
    said = read(as_(site.author), "prediction", row.pk)
    assert "paired shadow test" in said
    for number in (row.score, silent.score):
        assert f'<td class="r">{figure(number)}</td>' in said
    assert "Nobody was told what B said" in said
    ShadowAnswer.objects.update(score=None, prediction=None, error_code="not_scorable")
    assert reverse("experiment", args=[silent.epoch.experiment_id]) in read(as_(site.auditor), "prediction", row.pk)


def test_the_arm_is_shown_and_that_b_failed(site: Scene, asked: Callable[..., Prediction], as_: LogIn) -> None:
    row = asked("ab")
    said = read(as_(site.author), "prediction", row.pk)
    assert "this claim was dealt to arm B" in said
    assert "failed on this claim" not in said
    Prediction.objects.filter(pk=row.pk).update(error_code="arm_failed", version=site.served)
    assert "It counts as an error of B." in read(as_(site.author), "prediction", row.pk)
    Prediction.objects.filter(pk=row.pk).update(error_code="", arm="holdout", epoch=None)
    said = read(as_(site.author), "prediction", row.pk)
    assert "held out of the experiment" in said
    assert "In an experiment" not in said


def test_erased_features_leave_the_rest(site: Scene, row: Prediction, as_: LogIn) -> None:
    Prediction.objects.filter(pk=row.pk).update(features={})
    said = read(as_(site.author), "prediction", row.pk)
    assert "have been erased" in said
    assert "<b>ben</b> approved" in said


def test_another_teams_prediction_does_not_exist(site: Scene, row: Prediction, as_: LogIn) -> None:
    outsider = as_(site.outsider)
    assert outsider.get(reverse("prediction", args=[row.pk])).status_code == 404
    assert outsider.get(reverse("prediction", args=[uuid4()])).status_code == 404
    for query in (row.request_id, "unit 7", str(row.pk)):
        assert "No prediction of" in read(outsider, "predictions", q=query)


def test_it_is_found_by_each_of_its_ids(site: Scene, row: Prediction, as_: LogIn) -> None:
    client = as_(site.author)
    for query in (row.request_id, "unit 7", f" {row.pk} "):
        said = read(client, "predictions", q=query)
        assert reverse("prediction", args=[row.pk]) in said, query
        assert "1 prediction of" in said
    assert "No prediction of “UNIT 7”" in read(client, "predictions", q="UNIT 7")
    assert "&lt;script&gt;" in read(client, "predictions", q="<script>")
    assert 'aria-label="Find a prediction by its request or claim id"' in read(client, "home")


def test_the_admins_list_leads_to_the_page(site: Scene, row: Prediction, as_: LogIn) -> None:
    answer = as_(site.author).get(reverse("admin:monitoring_prediction_change", args=[row.pk]))
    assert (answer.status_code, answer["Location"]) == (302, reverse("prediction", args=[row.pk]))
    assert as_(site.author).get(reverse("admin:monitoring_prediction_change", args=["x"])).status_code == 404


def test_what_a_version_looks_at(site: Scene, as_: LogIn) -> None:
    said = read(as_(site.author), "explanations", site.model.name, "1.0.0")
    assert "What does high_cost_claim 1.0.0 look at?" in said
    assert "<option selected>age</option>" in said
    assert "100 training rows" in said
    assert "70.0 %" in said  # the share of the loss
    said = read(as_(actor("vera", "viewer")), "explanations", site.model.name, "1.0.0")
    assert "Your role does not see what claims were made of." in said
    assert as_(site.outsider).get(reverse("explanations", args=[site.model.name, "1.0.0"])).status_code == 404
    assert as_(site.author).get(reverse("explanations", args=[site.model.name, "9.9.9"])).status_code == 404


def test_a_waterfall_steps_from_the_base_value_to_the_output() -> None:
    parts = [Contribution(f"f{i}", i, 1.0 / (i + 1), None, i == 1) for i in range(15)]
    total = sum(part.contribution for part in parts)
    said = Explained("x", "trees", "probability", 1, 0.25, 0.25 + total + 0.5, parts, 0.5, 0, {"digest": "", "rows": 9})
    found = waterfall(said)
    assert [name for name, _, _ in found.parts[-2:]] == ["3 others", "residual"]
    assert found.parts[1][1] == "masked"
    assert found.base + sum(size for _, _, size in found.parts) == pytest.approx(found.output)
