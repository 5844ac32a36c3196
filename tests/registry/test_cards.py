"""Model cards: what is stored is said, what is not is named, and no text becomes markup."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pandas as pd
import pytest
from django.urls import reverse

from mlops_site.core.errors import Forbidden, Invalid
from mlops_site.core.models import AuditRecord
from mlops_site.core.permissions import Actor
from mlops_site.stats.profile import profile, reference_bins
from registry import selectors, services
from registry.models import RegisteredModel, Version
from registry.selectors.cards import Card, settled
from tests.registry.parts import candidate, into_production
from tests.registry.test_comparison import STRONG, WEAK, scored
from tests.registry.test_pages import client_of

ROWS = pd.DataFrame({"age": np.linspace(20, 80, 200), "visits": np.arange(200) % 7})
FACTS: dict[str, Any] = {
    "data": {
        "rows": 1000,
        "training_rows": 800,
        "holdout_rows": 200,
        "holdout_groups": None,
        "features": 2,
        "target": "high_cost",
        "period": {"column": "admitted", "from": "2024-01-01", "to": "2024-12-31"},
        "quality": ["3 rows are repeated."],
    },
    "search": {"model_types": ["logistic_regression"], "metric": "roc_auc", "n_trials": 20},
    "slices": {
        "metric": "roc_auc",
        "min_rows": 100,
        "slices": [{"slice": "sex = f", "rows": 120, "value": 0.71, "lower": 0.66, "upper": 0.76}],
        "not_computable": [],
    },
    "calibration": [{"predicted": 0.1, "observed": 0.12, "rows": 100.0, "lowest": 0.0}],
}
LINEAGE = {"run": "r1", "dataset": "hie@2", "code": "abc", "lock": "e" * 64, "seed": 0, "trigger_reason": "manual"}
COMPLETE: dict[str, Any] = {
    "facts": FACTS,
    "lineage": LINEAGE,
    "data_digest": "d" * 64,
    "reference": profile(ROWS, reference_bins(ROWS, {"age": "number", "visits": "number"}, salt="x")).to_bytes(),
    "params": {"model_type": "logistic_regression", "C": 1.0},
}


def card_of(version: Version, actor: Actor) -> Card:
    model = selectors.model_named(actor, version.model.name)
    return selectors.card(selectors.version_numbered(model, version.number))


def test_a_bare_upload_says_what_is_missing(version: Version, author: Actor) -> None:
    found = card_of(version, author)
    assert (found.about.owner, found.about.team, found.about.risk_tier, found.about.stage) == (
        "author", "claims", "medium", "development",
    )  # fmt: skip
    assert (found.data.dataset, found.data.rows, found.slices, found.gate) == (None, None, None, None)
    assert "the model's purpose has not been written" in found.missing
    assert "it was registered without holdout predictions" in found.missing
    assert "nobody has asked to put it into production" in found.missing
    assert not any("without metrics" in sentence for sentence in found.missing)
    assert "- the seed was not stored" in selectors.markdown(found)


def test_a_complete_card_misses_nothing_but_drift(model: RegisteredModel, author: Actor, approver: Actor) -> None:
    services.edit_model(
        model, actor=author, purpose="Find claims to review.", intended_use="Adults.", limitations="No children."
    )
    version = services.register_version(model, actor=author, candidate=candidate(**COMPLETE, **scored(WEAK)))
    services.move_stage(version, actor=author, target_stage="staging", reason="ready")
    gate = {"passed": True, "checks": [{"name": "threshold", "level": "pass", "message": "0.75 is enough."}]}
    request = services.request_promotion(version, actor=author, reason="first", evidence={"gate": gate})
    services.review_request(request, actor=approver, decision="approve", comment="Seen.")
    found = card_of(version, author)
    assert found.missing == ["the drift of its holdout was not stored"]
    assert found.data.period == {"column": "admitted", "from": "2024-01-01", "to": "2024-12-31"}
    assert (found.training.algorithm, found.training.seed, found.training.params) == (
        "logistic_regression", 0, {"C": 1.0},
    )  # fmt: skip
    (approval,), (stay,) = found.approvals, found.served
    (review,) = approval.reviews
    assert (approval.status, approval.requester, review.reviewer, review.role, review.comment) == (
        "approved", "author", "approver", "approver", "Seen.",
    )  # fmt: skip
    assert (stay.cause, stay.by, stay.until) == ("approved", "approver", None)
    text = selectors.markdown(found)
    told = ("> Find claims to review.", "2024-01-01 to 2024-12-31 (admitted)", "| sex = f | 120 | 0.71 |")
    for said in (*told, "- threshold: pass. 0.75 is enough.", "approver (approver)", "| Parameter C | 1 |"):
        assert said in text


def test_a_parameter_is_escaped_once(model: RegisteredModel, author: Actor) -> None:
    made = services.register_version(model, actor=author, candidate=candidate(params={"max_depth": 3}))
    assert r"| Parameter max\_depth | 3 |" in selectors.markdown(card_of(made, author))


def test_changes_are_counted_from_what_served_before(model: RegisteredModel, author: Actor, approver: Actor) -> None:
    first = into_production(model, author=author, approver=approver, seed=0, **scored(WEAK))
    second = into_production(model, author=author, approver=approver, seed=1, **scored(STRONG), params={"C": 2.0})
    third = services.register_version(model, actor=author, candidate=candidate(2, **scored(STRONG)))
    assert (card_of(first, author).since, card_of(second, author).since) == (None, first.number)
    assert card_of(third, author).since == second.number
    found = card_of(second, author)
    assert found.changes is not None
    (change,) = [row for row in found.changes["metrics"] if row["name"] == "roc_auc"]
    assert change["certain"]
    text = selectors.markdown(found)
    assert f"## Changes since {first.number}" in text
    assert "- parameter C: 1 to 2" in text


def test_typed_text_is_no_markup(model: RegisteredModel, version: Version, author: Actor) -> None:
    services.edit_model(model, actor=author, purpose="<script>x</script>\n# A | B `c` [d](http://e)")
    text = selectors.markdown(card_of(version, author))
    assert "\\<script\\>x\\</script\\>" in text
    assert "> \\# A \\| B \\`c\\` \\[d\\](http://e)" in text


def test_the_same_state_is_the_same_card(served: Version, author: Actor) -> None:
    one, two = (card_of(served, author) for _ in range(2))
    assert selectors.markdown(one) == selectors.markdown(two)
    assert selectors.card_json(one) == selectors.card_json(two)
    assert selectors.card_json(one)["about"]["registered_at"].endswith("Z")


def test_the_edit_page_changes_what_was_changed(model: RegisteredModel, author: Actor, approver: Actor) -> None:
    page = reverse("model_edit", args=[model.name])
    form = {"purpose": "Find claims.", "intended_use": "", "limitations": "Adults only.", "description": "",
            "owner": "author", "risk_tier": "medium"}  # fmt: skip
    assert "What is claims for?" in client_of(author).get(page).content.decode()
    assert client_of(author).post(page, form).status_code == 302
    model.refresh_from_db()
    assert (model.purpose, model.limitations) == ("Find claims.", "Adults only.")
    assert AuditRecord.objects.get(action="model.edited").data == {
        "purpose": "Find claims.", "limitations": "Adults only.",
    }  # fmt: skip
    lower = client_of(approver).post(page, {**form, "risk_tier": "low"})  # an approver changes the tier, no words
    model.refresh_from_db()
    assert (lower.status_code, model.risk_tier) == (302, "low")


@pytest.mark.parametrize("field", ["description", "purpose", "intended_use", "limitations"])
def test_what_a_model_is_for_is_edited_and_recorded(
    model: RegisteredModel, author: Actor, approver: Actor, field: str
) -> None:
    services.edit_model(model, actor=author, **{field: "  Find them.  "})
    model.refresh_from_db()
    assert getattr(model, field) == "Find them."
    assert AuditRecord.objects.get(action="model.edited").data == {field: "Find them."}
    for actor, text, refused in ((approver, "x", Forbidden), (author, "x" * 2001, Invalid), (author, "\0", Invalid)):
        with pytest.raises(refused):
            services.edit_model(model, actor=actor, **{field: text})


def test_what_a_run_was_asked_to_tell_is_on_the_card(model: RegisteredModel, author: Actor) -> None:
    group = {"mae": 9.87654, "group": "f", "rows": 120.0}  # in the order in which PostgreSQL has it
    told = {
        "decision": {"threshold": 0.31, "positive_share": 0.04, "capacity_share": 0.05},
        "calibrated": {"asked": "auto", "method": None, "tried": {}},
        "groups": {"sex": {"min_rows": 100, "too_small": 1, "difference": {}, "groups": [group]}},
        "actual_to_expected": [{"rows": 20.0, "predicted": 2.0, "observed": 3.0, "lowest": 1.0, "ratio": 1.5}],
    }
    version = services.register_version(model, actor=author, candidate=candidate(facts={**FACTS, **told}))
    found = card_of(version, author)
    assert found.told == told
    assert settled(found)["told"] == told
    page = client_of(author).get(reverse("version_card", args=[model.name, version.number])).content.decode()
    assert re.search(r'"said">f</td>\s*<td class="r">120</td>\s*<td class="r">9.877</td>', page)
    for text in ("Groups by sex", "Capacity, share of rows", "none: it would not help", "Actual by expected"):
        assert text in page
    plain = services.register_version(model, actor=author, candidate=candidate(2, **COMPLETE))
    assert "told" not in settled(card_of(plain, author))
