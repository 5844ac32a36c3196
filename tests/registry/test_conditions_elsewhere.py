"""Conditions and validation reports where a model is looked at as a whole: card, evidence, inventory."""

from __future__ import annotations

import io
import json
import zipfile
from datetime import timedelta

from django.utils import timezone

from mlops_site.core.permissions import Actor
from registry import selectors, services
from registry.models import PromotionRequest, RegisteredModel, Review, Version
from tests.registry.http import Person
from tests.registry.test_cards import card_of

DAY = timezone.now().date() + timedelta(days=30)


def approved(request: PromotionRequest, approver: Actor) -> Review:
    services.review_request(
        request, actor=approver, decision="approve_with_conditions", condition="measure | site 5", revalidate_on=DAY
    )
    return Review.objects.get(request=request)


def test_the_inventory_counts_open_conditions(
    request_: PromotionRequest, model: RegisteredModel, approver: Actor, decider: Person
) -> None:
    review = approved(request_, approver)
    (line,) = selectors.inventory_lines(selectors.inventory(approver))
    assert (line.open_conditions, line.revalidate_on) == (1, DAY)
    assert decider.get("/inventory")[1]["results"][0]["revalidate_on"] == DAY.isoformat()
    (row,) = selectors.inventory_table(selectors.inventory(approver))
    said = dict(zip(selectors.INVENTORY_HEAD, row, strict=True))
    assert (said["open_conditions"], said["revalidate_on"], said["last_validation"]) == (
        1, DAY, "approve_with_conditions",
    )  # fmt: skip
    services.close_condition(review, actor=approver, note="site 5 is fine")
    (line,) = selectors.inventory_lines(selectors.inventory(approver))
    assert (line.open_conditions, line.revalidate_on) == (0, None)


def test_the_card_says_the_condition_and_how_it_ended(
    request_: PromotionRequest, version: Version, author: Actor, approver: Actor
) -> None:
    review = approved(request_, approver)
    (decision,) = card_of(version, author).approvals[0].reviews
    assert (decision.condition, decision.revalidate_on, decision.closed_by) == ("measure | site 5", DAY, None)
    assert f"on condition: measure \\| site 5, by {DAY}, open" in selectors.markdown(card_of(version, author))
    services.close_condition(review, actor=approver, note="site 5 is fine")
    assert "closed by approver: site 5 is fine" in selectors.markdown(card_of(version, author))


def test_evidence_has_conditions_and_the_reports_that_were_seen(
    staged: Version, author: Actor, approver: Actor, validator: Actor
) -> None:
    services.attach_report(staged, actor=validator, name="by hand.txt", content=io.BytesIO(b"It holds."))
    request = services.request_promotion(staged, actor=author, reason="better")
    approved(request, approver)
    with selectors.evidence_of(selectors.version_numbered(staged.model, "1.0.0"), actor=approver) as file:
        assert list(selectors.evidence_faults(file)) == []
        with zipfile.ZipFile(file) as archive:
            (path,) = [name for name in archive.namelist() if name.startswith("reports/")]
            assert archive.read(path) == b"It holds."
            (review,) = json.loads(archive.read(f"approvals/request-{request.pk}.json"))["reviews"]
            assert json.loads(archive.read("card.json"))["reports"][0]["by"] == "validator"
    assert (review["condition"], review["revalidate_on"], review["reports_seen"]) == (
        "measure | site 5", DAY.isoformat(), 1,
    )  # fmt: skip


def test_a_request_is_bound_to_the_card_as_it_was(
    request_: PromotionRequest, model: RegisteredModel, author: Actor
) -> None:
    card = request_.evidence["card"]
    assert (card["about"]["version"], card["about"]["purpose"]) == ("1.0.0", "")
    assert not {"approvals", "served", "missing"} & set(card)
    assert "stage" not in card["about"]
    services.edit_model(model, actor=author, purpose="Something else.")
    request_.refresh_from_db()
    assert request_.evidence["card"]["about"]["purpose"] == ""
