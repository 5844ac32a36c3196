"""The pages of experiments: what they say first, what they refuse, and that nothing starts before it was shown."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from abtesting.choices import Ending, Status
from abtesting.models import Experiment, Unit
from abtesting.services import check_running, conclude_experiment, stop_experiment
from mlops_site.core.permissions import Actor
from monitoring.models import Alert
from tests.abtesting.lab import Lab
from tests.people import actor
from tests.registry.parts import user

pytestmark = pytest.mark.django_db


def browser(person: Actor) -> Client:
    client = Client()
    client.force_login(user(person))
    return client


def page(client: Client, name: str, *args: Any, **query: Any) -> str:
    answer = client.get(reverse(name, args=args), query)
    assert answer.status_code == 200, answer.content[:500]
    return answer.content.decode()


def words(html: str) -> str:
    """What a person reads."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", re.sub(r"<script.*?</script>", " ", html, flags=re.DOTALL)))


def asked(lab: Lab, **changes: Any) -> dict[str, Any]:
    return {"version_b": lab.b.number, "mode": "shadow", "success_metrics": ["recall"], "step": "preview", **changes}


def previewed(html: str) -> str:
    found = re.search(r'name="previewed" value="([0-9a-f]{64})"', html)
    assert found is not None
    return found[1]


def new(lab: Lab) -> str:
    return reverse("experiment_new", args=[lab.model.name])


def test_the_list_says_what_is_tested_and_what_came_of_it(lab: Lab) -> None:
    assert "Nothing was tested yet." in page(browser(lab.engineer), "experiments")
    stop_experiment(lab.start(name="a rehearsal of ours"), actor=lab.engineer, reason="a rehearsal")
    running = lab.start(name="second")
    said = words(page(browser(lab.scientist), "experiments"))
    assert "1 experiment runs. Of 1 that ended, 1 was stopped without a verdict." in said
    assert "second" in said
    assert "stopped by a person" in said
    assert "a rehearsal of ours" not in words(page(browser(lab.scientist), "experiments", status="running"))
    assert running.get_design_display() in said


def test_another_teams_experiment_does_not_exist(lab: Lab) -> None:
    experiment, outsider = lab.start(), browser(actor("zoe", "ml_engineer", team="others"))
    for name in ("experiment", "experiment_live", "experiment_split", "experiment_stop", "experiment_conclude"):
        assert outsider.get(reverse(name, args=[experiment.pk])).status_code == 404
    assert outsider.get(new(lab)).status_code == 404
    assert experiment.name not in page(outsider, "experiments")


def test_nothing_starts_before_it_was_shown(lab: Lab) -> None:
    client = browser(lab.scientist)
    answer = client.post(new(lab), asked(lab, step="start"))
    assert answer.status_code == 200
    assert not Experiment.objects.exists()
    said = words(answer.content.decode())
    assert "A answers every claim as before. B scores the same claims seconds later" in said
    assert "Nothing is promoted by itself" in said
    seen = previewed(answer.content.decode())
    changed = client.post(new(lab), asked(lab, step="start", previewed=seen, min_samples="7"))
    assert "Something was changed after it was shown" in changed.content.decode()
    assert not Experiment.objects.exists()
    done = client.post(new(lab), asked(lab, step="start", previewed=seen), follow=True)
    experiment = Experiment.objects.get()
    assert done.redirect_chain[0][0] == reverse("experiment", args=[experiment.pk])
    assert (experiment.design, experiment.metrics, experiment.status) == ("shadow", ["recall"], Status.RUNNING)


def test_the_calculator_stands_beside_the_form(lab_with_metrics: Lab) -> None:
    lab = lab_with_metrics
    html = browser(lab.scientist).post(new(lab), asked(lab, gain="-0.05")).content.decode()
    said = words(html)
    assert "Take a paired shadow test: it needs" in said
    assert "No traffic yet" in said
    seen = previewed(html)
    browser(lab.scientist).post(new(lab), asked(lab, gain="-0.05", step="start", previewed=seen))
    planned = Experiment.objects.get().planned_labels
    assert planned is not None
    assert f"{planned:,}" in said


def test_only_who_may_offers_the_designs_that_answer_claims(lab: Lab) -> None:
    scientist, engineer = (
        page(browser(who), "experiment_new", lab.model.name) for who in (lab.scientist, lab.engineer)
    )
    assert 'value="ab"' not in scientist
    assert 'value="ab"' in engineer
    refused = browser(lab.scientist).post(new(lab), asked(lab, mode="ab", traffic_split="0.1"))
    assert refused.status_code == 422
    assert browser(lab.approver).get(new(lab)).status_code == 403


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"success_metrics": ["recall"], "gain": "0.9"}, "gain must leave recall between 0 and 1"),
        ({"false_positive": "1"}, "must be given together"),
        ({"guardrails": '{"speed": null}'}, "guardrails.speed is unknown"),
        ({"margin": "-1"}, "margin must be a number above 0"),
        ({"steps": "a, b"}, "must be percents such as"),
    ],
)
def test_a_refusal_comes_back_on_the_form(lab_with_metrics: Lab, changes: dict[str, str], said: str) -> None:
    lab, client = lab_with_metrics, browser(lab_with_metrics.engineer)
    answer = client.post(new(lab), asked(lab, **changes))
    assert answer.status_code == 422
    assert said in words(answer.content.decode())
    assert not Experiment.objects.exists()


def test_the_verdict_and_what_to_do_come_first(lab: Lab) -> None:
    experiment = lab.start(min_samples=50)
    few = words(page(browser(lab.scientist), "experiment", experiment.pk))
    assert "No verdict yet." in few
    assert "an arm has none yet, so nobody can say how long that takes" in few
    lab.answer(experiment, 1_500, right_a=0.6, right_b=0.9)
    said = words(page(browser(lab.engineer), "experiment", experiment.pk))
    assert "B is better: it can ship." in said
    assert "Conclude it: the result is frozen and a promotion request filed" in said
    assert said.index("B is better: it can ship.") < said.index("B against A") < said.index("Guardrails")
    for heading in ("Always-valid 95 %", "Fixed 95 %", "Chance that B is better", "Roll back from", "Allocation"):
        assert heading in said


def test_buttons_are_for_who_may_press_them(lab: Lab) -> None:
    experiment = lab.start()
    assert "Conclude…" in page(browser(lab.engineer), "experiment", experiment.pk)
    for person in (lab.scientist, lab.approver):
        assert "Conclude…" not in page(browser(person), "experiment", experiment.pk)
        refused = browser(person).post(reverse("experiment_stop", args=[experiment.pk]), {"reason": "mine"})
        assert refused.status_code == 403


def test_the_split_is_changed_on_a_page(lab: Lab) -> None:
    experiment, client = lab.start(traffic_split=0.1), browser(lab.engineer)
    path = reverse("experiment_split", args=[experiment.pk])
    assert "10 % now" in client.get(path).content.decode()
    client.post(path, {"traffic_split": "0.3", "reason": "it does well"})
    assert [epoch.share_b for epoch in experiment.epochs.order_by("number")] == [0.1, 0.3]
    assert "it does well" in page(client, "experiment", experiment.pk)
    again = client.post(path, {"traffic_split": "0.3", "reason": "again"})
    assert again.status_code == 409
    assert "give redraw" in again.content.decode()


def test_a_conclusion_is_frozen_with_its_request(lab: Lab) -> None:
    experiment, client = lab.start(min_samples=50), browser(lab.engineer)
    lab.answer(experiment, 1_500, right_a=0.6, right_b=0.9)
    path = reverse("experiment_conclude", args=[experiment.pk])
    assert "A promotion request of 1.1.0 is filed" in client.get(path).content.decode()
    client.post(path, {"reason": "it is better"})
    experiment.refresh_from_db()
    html = page(client, "experiment", experiment.pk)
    said = words(html)
    assert "it is better" in said
    assert experiment.result_digest[:10] in said
    assert reverse("admin:registry_promotionrequest_change", args=[experiment.request_id]) in html
    assert '<div id="live">' in html  # and does not ask again
    live = client.get(reverse("experiment_live", args=[experiment.pk]))
    assert live["HX-Refresh"] == "true"


def test_a_stopped_one_says_so(lab: Lab) -> None:
    experiment = lab.start()
    browser(lab.engineer).post(reverse("experiment_stop", args=[experiment.pk]), {"reason": "B is broken"})
    experiment.refresh_from_db()
    assert experiment.ending == Ending.STOPPED
    said = words(page(browser(lab.scientist), "experiment", experiment.pk))
    assert "Stopped: it has no verdict." in said
    assert "B is broken" in said


def test_a_shadow_test_shows_its_coverage(lab: Lab) -> None:
    experiment = lab.start(design="shadow", traffic_split=None)
    lab.answer(experiment, 200)
    said = words(page(browser(lab.scientist), "experiment", experiment.pk))
    assert "B has scored 0.0 % of the claims" in said
    assert "Wait for B to score what A has answered" in said
    assert "Are the arms alike?" not in said


def test_the_model_page_and_home_show_what_runs(lab: Lab) -> None:
    client = browser(lab.scientist)
    assert reverse("experiment_new", args=[lab.model.name]) in page(client, "model", lab.model.name)
    link = reverse("experiment", args=[lab.start().pk])
    assert link in page(client, "model", lab.model.name)
    assert link in page(client, "home")


def test_which_models_can_be_tried_is_listed(lab: Lab) -> None:
    said = words(page(browser(lab.scientist), "experiment_choose"))
    assert "1.0.0 in production · 1.1.0 in staging" in said
    assert browser(lab.approver).get(reverse("experiment_choose")).status_code == 403


@pytest.mark.parametrize("name", ["experiment", "experiment_live"])
def test_what_a_page_asks_does_not_grow_with_the_claims(
    lab: Lab, name: str, django_assert_max_num_queries: Any
) -> None:
    experiment, client = lab.start(min_samples=10), browser(lab.engineer)
    for claims in (60, 300):
        lab.answer(experiment, claims)
        with django_assert_max_num_queries(40 if name == "experiment" else 25):
            page(client, name, experiment.pk)


def test_an_alert_and_a_request_lead_to_the_experiment(lab: Lab) -> None:
    experiment = lab.start(min_samples=50, guardrails={"error_rate": {"warn": 0.001}})
    lab.answer(experiment, 1_500, right_a=0.6, right_b=0.9, failing_b=0.1)
    check_running(timezone.now())
    link, client = reverse("experiment", args=[experiment.pk]), browser(lab.engineer)
    assert link in page(client, "alert", Alert.objects.get().pk)
    said = words(page(client, "experiment", experiment.pk))
    assert re.search(r"Error rate points warn \+\d+\.\d\d", said), said
    concluded = conclude_experiment(experiment, actor=lab.engineer, reason="it is better")
    assert link in page(client, "admin:registry_promotionrequest_change", concluded.request_id)


def test_units_that_met_both_versions_are_told(lab: Lab) -> None:
    experiment = lab.start()
    (row, *_) = lab.answer(experiment, 60)
    client = browser(lab.scientist)
    assert "met both versions" not in page(client, "experiment", experiment.pk)
    Unit.objects.filter(epoch__experiment=experiment, unit_id=row.unit_id).update(in_both=True)
    assert "In split 1, 1 unit met both versions." in words(page(client, "experiment", experiment.pk))
