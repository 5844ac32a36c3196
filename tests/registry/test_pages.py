"""The registry's pages: what a person reads there, and what a form comes to."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from mlops_site.core.models import AuditRecord, Team
from mlops_site.core.permissions import Actor
from registry import selectors, services
from registry.admin.approval import steps
from registry.models import PromotionRequest, RegisteredModel, Version
from tests.registry.parts import candidate, holdout, into_production, user


def client_of(actor: Actor) -> Client:
    client = Client()
    client.force_login(user(actor))
    return client


def page_of(request: PromotionRequest) -> str:
    return reverse("admin:registry_promotionrequest_change", args=[request.pk])


def test_the_approval_page_asks_the_question_and_says_who_may_decide(
    request_: PromotionRequest, approver: Actor
) -> None:
    said = client_of(approver).get(page_of(request_)).content.decode()
    assert "Put claims 1.0.0 into production?" in said
    assert "It would be the first version of claims in production." in said
    assert "You may decide: you did not author, train or request this version." in said
    assert request_.evidence_digest in said
    assert 'value="approve"' in said


def test_the_requester_is_told_why_not_and_sees_no_button(request_: PromotionRequest, author: Actor) -> None:
    said = client_of(author).get(page_of(request_)).content.decode()
    assert "You may not decide: you requested, registered and trained this version" in said
    assert 'value="approve"' not in said
    assert 'value="withdraw"' in said


def test_approving_puts_the_version_into_production(request_: PromotionRequest, approver: Actor) -> None:
    answer = client_of(approver).post(page_of(request_), {"decision": "approve", "comment": ""}, follow=True)
    assert "You approved claims 1.0.0." in answer.content.decode()
    assert selectors.in_production(request_.model) == request_.version


def test_the_requesters_own_approval_is_refused_on_the_page_and_recorded(
    request_: PromotionRequest, author: Actor
) -> None:
    answer = client_of(author).post(page_of(request_), {"decision": "approve"})
    assert answer.status_code == 403
    assert "another person must decide" in answer.content.decode()
    assert selectors.in_production(request_.model) is None
    refusal = AuditRecord.objects.get(action="promotion.review.refused")
    assert (refusal.actor, refusal.subject) == ("author", request_.subject)


def test_rejecting_without_a_comment_keeps_the_page_and_says_what_is_missing(
    request_: PromotionRequest, approver: Actor
) -> None:
    answer = client_of(approver).post(page_of(request_), {"decision": "reject", "comment": " "})
    assert answer.status_code == 422
    assert answer.context["form"].errors["comment"]
    request_.refresh_from_db()
    assert request_.status == "pending"


@pytest.mark.parametrize(("decision", "status"), [("reject", "rejected"), ("request_changes", "changes_requested")])
def test_the_other_decisions_close_the_request(
    request_: PromotionRequest, approver: Actor, decision: str, status: str
) -> None:
    said = "Look at site 5 first."
    answer = client_of(approver).post(page_of(request_), {"decision": decision, "comment": said}, follow=True)
    assert said in answer.content.decode()
    request_.refresh_from_db()
    assert request_.status == status


def test_a_second_request_begins_before_production(model: RegisteredModel, author: Actor, approver: Actor) -> None:
    first = into_production(model, author=author, approver=approver, seed=1)
    into_production(model, author=author, approver=approver, seed=2)
    services.rollback(model, actor=approver, reason="Back to the first.")
    again = selectors.versions(model).exclude(pk=first.pk).get()
    asked = services.request_promotion(again, actor=author, reason="Forward.")
    assert steps(asked)[-1] == ("Production", "not yet", False)


def test_a_decision_that_does_not_exist_is_refused(request_: PromotionRequest, approver: Actor) -> None:
    assert client_of(approver).post(page_of(request_), {"decision": "<b>yes</b>"}).status_code == 422


def test_the_requester_withdraws(request_: PromotionRequest, author: Actor) -> None:
    client_of(author).post(page_of(request_), {"decision": "withdraw", "comment": "Too early."})
    request_.refresh_from_db()
    assert request_.status == "withdrawn"


def test_the_queue_shows_what_waits_first(model: RegisteredModel, author: Actor, approver: Actor) -> None:
    into_production(model, author=author, approver=approver, seed=1)
    waiting = services.register_version(model, actor=author, candidate=candidate(2))
    services.move_stage(waiting, actor=author, target_stage="staging", reason="ready")
    services.request_promotion(waiting, actor=author, reason="better")
    into_production_later = services.register_version(model, actor=author, candidate=candidate(3))
    services.move_stage(into_production_later, actor=author, target_stage="staging", reason="ready")
    rejected = services.request_promotion(into_production_later, actor=author, reason="newer")
    services.review_request(rejected, actor=approver, decision="reject", comment="no")
    rows = client_of(approver).get(reverse("admin:registry_promotionrequest_changelist")).context["cl"].result_list
    assert [row.status for row in rows] == ["pending", "rejected", "approved"]


def test_words_of_people_are_escaped(staged: Version, author: Actor, approver: Actor) -> None:
    request = services.request_promotion(
        staged, actor=author, reason="<script>alert(1)</script>", evidence={"note": "</script>"}
    )
    said = client_of(approver).get(page_of(request)).content.decode()
    assert "<script>alert" not in said
    assert "&lt;script&gt;alert" in said


def test_a_version_is_requested_from_its_page(staged: Version, author: Actor) -> None:
    client = client_of(author)
    assert "Request promotion…" in client.get(reverse("version", args=["claims", "1.0.0"])).content.decode()
    said = {"reason": "better", "why_material": "site 5 was wrong"}
    answer = client.post(reverse("version_request", args=["claims", "1.0.0"]), said, follow=True)
    assert "waits for an approver" in answer.content.decode()
    made = PromotionRequest.objects.get()
    assert (made.reason, made.why_material) == ("better", "site 5 was wrong")


def test_a_second_request_is_refused_beside_the_form(request_: PromotionRequest, author: Actor) -> None:
    answer = client_of(author).post(
        reverse("version_request", args=["claims", "1.0.0"]), {"reason": "again", "why_material": "it still is"}
    )
    assert answer.status_code == 409
    assert "asks for claims 1.0.0 already" in answer.content.decode()


def test_a_version_moves_where_the_table_allows(version: Version, author: Actor) -> None:
    client, path = client_of(author), reverse("version_move", args=["claims", "1.0.0"])
    assert client.post(path, {"target_stage": "production", "reason": "now"}).status_code == 422
    client.post(path, {"target_stage": "staging", "reason": "ready"})
    assert selectors.version_numbered(version.model, "1.0.0").stage == "staging"


def test_an_archived_version_has_nowhere_to_move(version: Version, author: Actor) -> None:
    services.move_stage(version, actor=author, target_stage="archived", reason="Old.")
    said = client_of(author).get(reverse("version_move", args=["claims", version.number])).content.decode()
    assert "stays where it is" in said
    assert 'name="target_stage"' not in said


@pytest.mark.parametrize("number", ["1.0", "01.0.0", "9.9.9", "1.0.0.0", "a.b.c", "1.0.99999999999"])
def test_a_number_that_is_no_version_is_404(version: Version, author: Actor, number: str) -> None:
    assert client_of(author).get(reverse("version", args=["claims", number])).status_code == 404


def test_rollback_names_what_it_does_and_needs_a_reason(model: RegisteredModel, author: Actor, approver: Actor) -> None:
    client, path = client_of(approver), reverse("rollback", args=["claims"])
    first = into_production(model, author=author, approver=approver, seed=1)
    impossible = client.get(path).content.decode()
    assert "nothing to go back to" in impossible
    assert "<textarea" not in impossible
    into_production(model, author=author, approver=approver, seed=2, params={"C": 2.0})
    assert f"Roll claims back to {first.number}?" in client.get(path).content.decode()
    assert client.post(path, {"reason": ""}).status_code == 422
    client.post(path, {"reason": "It fails on site 5."})
    assert selectors.in_production(model) == first


def test_an_approver_lets_candidates_into_production_and_an_engineer_does_not(
    model: RegisteredModel, author: Actor, approver: Actor
) -> None:
    path, asked = reverse("policy", args=["claims"]), {"reach": "production", "reason": "Low stakes."}
    assert client_of(author).post(path, asked).status_code in (403, 422)
    client_of(approver).post(path, asked)
    policy = selectors.policy(model)
    assert policy is not None
    assert (policy.reach, policy.set_by.username) == ("production", "approver")


def test_a_model_is_made_on_its_form(author: Actor) -> None:
    asked = {
        "name": "severity",
        "task_type": "regression",
        "risk_tier": "low",
        "team": Team.objects.get().name,
        "description": "",
    }
    client = client_of(author)
    assert client.post(reverse("model_new"), {**asked, "name": "Bad Name"}).context["form"].errors["name"]
    assert client.post(reverse("model_new"), asked)["Location"] == reverse("model", args=["severity"])
    assert RegisteredModel.objects.get(name="severity").owner == user(author)


def test_comparison_shows_only_differences_when_asked(model: RegisteredModel, author: Actor) -> None:
    label = [0, 1] * 100
    for seed, score in ((1, 0.4), (2, 0.6)):
        services.register_version(
            model,
            actor=author,
            candidate=candidate(
                seed,
                params={"C": float(seed), "penalty": "l2"},
                holdout_bytes=holdout([score * y for y in label], label=label),
            ),
        )
    client, path = client_of(author), reverse("compare", args=["claims"])
    assert "penalty" in client.get(path).content.decode()
    said = client.get(path, {"v1": "1.0.0", "v2": "1.1.0", "diff_only": "1"}).content.decode()
    assert "How does 1.1.0 differ from 1.0.0?" in said
    assert "penalty" not in said
    assert client.get(path, {"v1": "7.7.7"}).status_code == 404


def test_more_than_two_versions_are_compared_with_figures_and_a_refusal_is_said(
    model: RegisteredModel, author: Actor
) -> None:
    label = [0, 1] * 40
    for seed, score in ((1, 0.4), (2, 0.6), (3, 0.8)):
        held = holdout([min(1.0, score * y + (at % 7) / 10) for at, y in enumerate(label)], label=label)
        services.register_version(model, actor=author, candidate=candidate(seed, holdout_bytes=held))
    client, path = client_of(author), reverse("compare", args=["claims"])
    said = client.get(path, {"versions": ["1.0.0", "1.0.1", "1.0.2"], "base": "1.0.1"}).content.decode()
    assert "How do 2 versions differ from 1.0.1?" in said
    for key in ("roc", "pr", "calibration"):
        assert f'data-figure="overlay-{key}"' in said
    assert "False positive rate" in said  # the table of the figure
    refused = client.get(path, {"versions": "1.0.0,1.0.0"}).content.decode()
    assert "Versions must name each once" in refused
    assert client.get(path, {"versions": "1.0.0,7.7.7"}).status_code == 404


def test_the_trend_page_shows_a_metric_with_its_table(served: Version, author: Actor) -> None:
    said = client_of(author).get(reverse("trend", args=["claims"]), {"metric": "nothing"}).content.decode()
    assert "How has the ROC AUC of claims changed?" in said
    assert 'data-figure="figure-trend"' in said
    assert 'data-figure="figure-served"' in said
    assert "0.700 to 0.800" in said


def test_comparing_takes_two_versions(version: Version, author: Actor) -> None:
    assert "two are needed" in client_of(author).get(reverse("compare", args=["claims"])).content.decode()


def test_lineage_of_another_system_is_shown_without_a_link(model: RegisteredModel, author: Actor) -> None:
    services.register_version(model, actor=author, candidate=candidate(lineage={"run": "not/a run", "dataset": "x"}))
    said = client_of(author).get(reverse("version", args=["claims", "1.0.0"])).content.decode()
    assert "not/a run" in said
    assert 'href="/runs/not' not in said


def test_lineage_leads_to_the_alert_that_a_version_was_trained_for(model: RegisteredModel, author: Actor) -> None:
    alert = "fa95698f-1cf8-4a92-9ca2-a8658d1b417a"
    lineage = {"trigger": {"alert": alert, "trigger": "data_drift_score"}}
    services.register_version(model, actor=author, candidate=candidate(lineage=lineage))
    said = client_of(author).get(reverse("version", args=["claims", "1.0.0"])).content.decode()
    assert f'href="{reverse("alert", args=[alert])}">alert fa95698f</a>' in said


def test_the_deploy_policy_s_form_starts_from_what_is_set(model: RegisteredModel, author: Actor) -> None:
    services.set_deploy_policy(model, actor=author, reach="none", reason="Not now.")
    form = client_of(author).get(reverse("policy", args=["claims"])).context["form"]
    assert form["reach"].initial == "none"
    services.set_deploy_policy(model, actor=author, reach="staging", reason="Now.")
    form = client_of(author).get(reverse("policy", args=["claims"])).context["form"]
    assert form["reach"].initial == "staging"


@pytest.mark.parametrize(
    ("lineage", "said"),
    [({}, "this version was not trained here"), ({"run": "6664552d"}, "the page of the run has it")],
    ids=["an upload", "a run"],
)
def test_a_request_without_a_verdict_of_the_gate_says_why(
    model: RegisteredModel, author: Actor, lineage: dict[str, str], said: str
) -> None:
    version = services.register_version(model, actor=author, candidate=candidate(lineage=lineage))
    services.move_stage(version, actor=author, target_stage="staging", reason="ready")
    request = services.request_promotion(version, actor=author, reason="better")
    assert said in client_of(author).get(page_of(request)).content.decode()
