"""The inbox and the page of an alert, as people of different roles see and use them."""

from __future__ import annotations

import re
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from mlops_site.core.choices import DeliveryState
from mlops_site.core.models import Delivery
from mlops_site.core.permissions import Actor
from monitoring.choices import Outcome, Rule, Trigger
from monitoring.dashboards.alerts import inbox_sentence
from monitoring.dashboards.evidence import MAX_ROWS, evidence_of, table
from monitoring.models import Alert, AlertRule, RetrainDecision, RetrainPolicy, Silence
from monitoring.selectors.outlook import policy_sentence
from monitoring.services import acknowledge_alert, resolve_alert, silence_alert
from registry.models import Version
from tests.monitoring.parts import finding, raised, scheduled
from tests.people import actor
from tests.registry.parts import user


def text(answer: Any) -> str:
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", "", answer.content.decode()))


def of(who: Actor) -> Client:
    client = Client()
    client.force_login(user(who), backend="django.contrib.auth.backends.ModelBackend")
    return client


@pytest.fixture
def engineer(author: Actor) -> Client:
    return of(author)


def page(alert: Alert) -> str:
    return reverse("alert", args=[alert.pk])


@pytest.mark.django_db
class TestInbox:
    def test_it_says_first_what_nobody_looks_at(self, engineer: Client, watched: Version, author: Actor) -> None:
        alerts = raised(watched, finding("drift", "age"), finding("performance", "recall"), finding("volume"))
        acknowledge_alert(next(a for a in alerts if a.rule == "volume"), actor=author)
        said = text(engineer.get(reverse("alerts")))
        assert "Nobody looks at 2 alerts yet: 1 critical, 1 high. 1 more is being looked at." in said
        assert said.index("performance of recall") < said.index("drift of age") < said.index("volume of the model")
        assert "nobody yet" in said
        assert "author" in said

    def test_it_is_narrowed_and_ignores_what_it_does_not_offer(
        self, engineer: Client, watched: Version, author: Actor
    ) -> None:
        (first, second) = raised(watched, finding("drift", "age"), finding("volume"))
        resolve_alert(first, actor=author)
        silence_alert(second, actor=author, hours=1)

        def shown(query: str) -> set[str]:
            found = text(engineer.get(reverse("alerts") + query))
            return {name for name in ("drift of age", "volume of the model") if name in found}

        assert shown("") == shown("?status=x&model=nobody&severity=x") == {"volume of the model"}
        assert shown("?status=resolved") == {"drift of age"}
        assert shown("?status=all&model=high_cost") == {"drift of age", "volume of the model"}
        assert shown("?status=all&severity=high") == {"drift of age"}
        assert "silenced" in text(engineer.get(reverse("alerts")))

    def test_an_empty_one_says_so(self, engineer: Client, watched: Version) -> None:
        assert "Nothing is open." in text(engineer.get(reverse("alerts")))
        assert "No such alert." in text(engineer.get(reverse("alerts") + "?severity=low"))

    def test_the_menu_counts_what_nobody_looks_at(self, engineer: Client, watched: Version, author: Actor) -> None:
        first, _ = raised(watched, finding("drift"), finding("volume"))
        assert re.search(r"Alerts\s+2\s", text(engineer.get("/runs")))
        acknowledge_alert(first, actor=author)
        assert re.search(r"Alerts\s+1\s", text(engineer.get("/runs")))
        outsider = of(actor("zoe", "ml_engineer", team="others"))
        assert not re.search(r"Alerts\s+[0-9]", text(outsider.get("/runs")))
        assert "drift of" not in text(outsider.get(reverse("alerts")))


@pytest.mark.django_db
class TestPage:
    def test_it_shows_evidence_largest_effect_first_and_what_comes_of_it(
        self, engineer: Client, watched: Version, author: Actor
    ) -> None:
        (alert,) = raised(watched)
        RetrainPolicy.objects.create(model=watched.model, set_by=user(author))
        RetrainDecision.objects.create(
            model=watched.model,
            trigger=Trigger.DATA_DRIFT_SCORE,
            outcome=Outcome.NOT_ENOUGH_LABELS,
            reason="data_drift_score: 0.22",
            detail="12 labels of 200",
            alert=alert,
        )
        said = text(engineer.get(page(alert)))
        for words in ("drift of the model", "0.220", "q value", "1e-12", "0.310", "Nobody: MONITORING_WEBHOOK_URL"):
            assert words in said, words
        assert said.index("0.310") < said.index("0.120")
        assert "trained again when the drift score is 0.2 or more, at most once in 1 d, with at least 200" in said
        assert re.search(r"data_drift_score: 0.22.*12 labels of 200.*not enough labels", said)

    def test_it_shows_deliveries_as_they_are(self, engineer: Client, watched: Version, settings: Any) -> None:
        settings.MONITORING_WEBHOOK_URL = "http://ops:s3cret@127.0.0.1:9/"
        (alert,) = raised(watched)
        Delivery.objects.update(attempts=3, error="127.0.0.1 answered 500: no good", status_code=500)
        answer = engineer.get(page(alert))
        said = text(answer)
        assert "3 of 8 tries" in said
        assert "127.0.0.1 answered 500: no good" in said
        assert "s3cret" not in answer.content.decode()
        Delivery.objects.update(state=DeliveryState.FAILED)
        assert "given up" in text(engineer.get(page(alert)))

    def test_it_is_handled_by_its_buttons(self, engineer: Client, watched: Version, author: Actor) -> None:
        (alert,) = raised(watched)

        def press(deed: str, **said: Any) -> Any:
            return engineer.post(page(alert), {"deed": deed, "comment": "", "hours": "", **said}, follow=True)

        seen = press("acknowledge", comment="<b>Mine</b>")
        assert "&lt;b&gt;Mine&lt;/b&gt;" in seen.content.decode()
        assert "Silent for 5 hours." in text(press("silence", hours="5"))
        assert "nothing new about it is delivered" in text(engineer.get(page(alert)))
        assert "author resolved it" in text(press("resolve", comment="Known."))
        alert.refresh_from_db()
        assert (alert.status, alert.acknowledged_by, alert.comment) == ("resolved", author.user, "Known.")

    @pytest.mark.parametrize(
        ("sent", "status", "words"),
        [
            ({"deed": "silence", "hours": ""}, 422, "hours must be a whole number from 1 to 720"),
            ({"deed": "silence", "hours": "721"}, 422, "less than or equal to 720"),
            ({"deed": "delete", "hours": ""}, 422, "deed must be acknowledge, resolve, silence, assign or comment"),
        ],
    )
    def test_what_is_wrong_is_said_on_the_page(
        self, engineer: Client, watched: Version, sent: dict[str, str], status: int, words: str
    ) -> None:
        (alert,) = raised(watched)
        answer = engineer.post(page(alert), {"comment": "kept", **sent})
        assert answer.status_code == status
        assert words in text(answer)
        assert "kept" in text(answer)

    def test_what_somebody_else_resolved_meanwhile_is_said(
        self, engineer: Client, watched: Version, author: Actor
    ) -> None:
        (alert,) = raised(watched)
        resolve_alert(alert, actor=author)
        answer = engineer.post(page(alert), {"deed": "resolve", "comment": "", "hours": "24"})
        assert answer.status_code == 409
        assert "the alert is resolved" in text(answer)

    def test_a_reader_reads_and_another_team_finds_nothing(self, watched: Version) -> None:
        (alert,) = raised(watched)
        reader, stranger = of(actor("vera", "viewer")), of(actor("zoe", "ml_engineer", team="others"))
        answer = reader.get(page(alert))
        assert "Your role reads alerts" in text(answer)
        assert b'name="deed"' not in answer.content
        assert reader.post(page(alert), {"deed": "resolve", "comment": "", "hours": ""}).status_code == 403
        assert stranger.get(page(alert)).status_code == stranger.post(page(alert), {"deed": "x"}).status_code == 404
        assert Alert.objects.get().status == "open"

    @pytest.mark.parametrize(
        ("table", "column"), [("monitoring_alert", "drift of the model"), ("core_delivery", "alert.raised")]
    )
    def test_the_admins_tables_show_and_change_nothing(
        self, engineer: Client, watched: Version, settings: Any, table: str, column: str
    ) -> None:
        settings.MONITORING_WEBHOOK_URL = "http://127.0.0.1:9/"
        (alert,) = raised(watched)
        pk = alert.pk if table == "monitoring_alert" else Delivery.objects.get().pk
        assert column in text(engineer.get(reverse(f"admin:{table}_changelist")))
        assert engineer.get(reverse(f"admin:{table}_change", args=[pk])).status_code == 200
        assert engineer.post(reverse(f"admin:{table}_change", args=[pk]), {}).status_code == 403
        assert engineer.post(reverse(f"admin:{table}_delete", args=[pk])).status_code == 403
        stranger = of(actor("zoe", "ml_engineer", team="others"))
        assert column not in text(stranger.get(reverse(f"admin:{table}_changelist")))


@pytest.mark.django_db
class TestDeeds:
    def test_several_are_ticked_and_done(self, engineer: Client, watched: Version, author: Actor) -> None:
        first, second = raised(watched, finding("drift", "age"), finding("volume"))
        at = reverse("alerts")
        ids = [str(first.pk), str(second.pk)]
        answer = engineer.post(at, {"ids": ids, "deed": "acknowledge", "comment": "On it."}, follow=True)
        assert "2 alerts are acknowledged." in text(answer)
        again = engineer.post(at, {"ids": ids, "deed": "acknowledge", "comment": ""}, follow=True)
        assert "0 alerts are acknowledged. 2 are not: the alert is acknowledged" in text(again)
        for sent, words in (
            ({"deed": "acknowledge"}, "tick the alerts"),
            ({"deed": "x", "ids": ids}, "deed must be acknowledge or resolve"),
            ({"deed": "resolve", "ids": ["x"]}, "ids must be of alerts"),
        ):
            answer = engineer.post(at, {"comment": "", **sent})
            assert answer.status_code == 422
            assert words in text(answer)
        reader = of(actor("vera", "viewer"))
        assert b'name="ids"' not in reader.get(at).content
        reader.post(at, {"ids": ids, "deed": "resolve", "comment": ""})
        assert set(Alert.objects.values_list("status", flat=True)) == {"acknowledged"}

    def test_it_is_given_to_somebody_and_its_group_is_shown(self, engineer: Client, watched: Version) -> None:
        first, _ = raised(watched, finding("drift", "age"), finding("volume"))
        actor("dana", "data_scientist")
        sent = {"deed": "assign", "assignee": "dana", "comment": "", "hours": ""}
        said = text(engineer.post(page(first), sent, follow=True))
        for words in ("It is given to dana.", "It was given to dana.", "Assigned to dana", "Began together with it"):
            assert words in said, words
        assert "volume of the model" in said
        assert "It resolves by itself when 3 scheduled reports in a row do not find it: 0 so far." in said
        answer = engineer.post(page(first), {**sent, "assignee": "zoe"})
        assert answer.status_code == 422
        assert "Select a valid choice" in text(answer)

    def test_how_one_ended_by_itself_is_said(self, engineer: Client, watched: Version) -> None:
        (alert,) = raised(watched)
        for hour in (1, 2, 3):
            scheduled(watched, hour)
        said = text(engineer.get(page(alert)))
        assert "by itself: the last clean report" in said
        assert "None" not in said
        assert "resolved by itself" in text(engineer.get(reverse("alerts") + "?status=resolved"))

    def test_rules_are_set_on_their_page(self, engineer: Client, watched: Version) -> None:
        at, back = "/models/high_cost/alert-rules/drift", "/models/high_cost/alert-rules"
        form = engineer.get(at).context["form"]
        sent = {name: field.value() for name in form.fields if (field := form[name]).value() is not None}
        engineer.post(at, sent)
        assert not AlertRule.objects.exists()  # nothing was changed
        changed = {**sent, "severity": "critical", "after_1": "30m", "role_1": "approver", "comment": "It matters."}
        changed |= {"runbook": "https://wiki.example.org/drift?a=1&b=2", "subjects": "age", "k": "2", "m": "3"}
        said = text(engineer.post(at, changed, follow=True))
        assert AlertRule.objects.get().overrides["escalation"] == [{"after": "30m", "severity": "", "role": "approver"}]
        for words in ("30m: approver", "in 2 of the last 3 reports", "severity: default → critical", "It matters."):
            assert words in said, words
        answer = engineer.post(at, {**changed, "runbook": "javascript:alert(1)"})
        assert answer.status_code == 422
        assert "must be an https address" in text(answer)
        (alert,) = raised(watched)
        link = '<a class="btn" href="https://wiki.example.org/drift?a=1&amp;b=2" rel="noopener noreferrer"'
        assert link in engineer.get(page(alert)).content.decode()
        reader = of(actor("vera", "viewer"))
        assert "sets it" in text(reader.get(at))
        assert reader.post(at, changed).status_code == 403
        assert engineer.get(f"{back}/rain").status_code == 404
        assert of(actor("zoe", "ml_engineer", team="others")).get(back).status_code == 404

    def test_a_silence_is_set_and_ended_on_its_page(self, engineer: Client, watched: Version) -> None:
        sent = {"model": "high_cost", "rule": "", "subject": "", "starts_at": "", "hours": "3", "reason": "Reload."}
        said = text(engineer.post("/alerts/silences", sent, follow=True))
        for words in ("Reload.", "every kind", "every subject", "holds"):
            assert words in said, words
        row = Silence.objects.get()
        assert "End the silence of high_cost?" in text(engineer.get(f"/alerts/silences/{row.pk}/end"))
        ended = engineer.post(f"/alerts/silences/{row.pk}/end", {"comment": ""}, follow=True)
        assert "None. One is set here" in text(ended)
        assert "ended early" in text(engineer.get("/alerts/silences?status=past"))
        late = engineer.post("/alerts/silences", {**sent, "starts_at": "2020-01-01T00:00"})
        assert late.status_code == 422
        assert "starts_at must be from now" in text(late)
        reader = of(actor("vera", "viewer"))
        assert b"Silence in advance" not in reader.get("/alerts/silences").content


class TestWords:
    @pytest.mark.parametrize(
        ("pairs", "said"),
        [
            ([("low", "open")], "Nobody looks at 1 alert yet: 1 low."),
            ([("low", "acknowledged")] * 2, "2 are being looked at."),
        ],
    )
    def test_the_inbox_in_a_sentence(self, pairs: list[tuple[str, str]], said: str) -> None:
        assert inbox_sentence(pairs) == said

    def test_a_policy_in_a_sentence(self) -> None:
        policy = RetrainPolicy(prediction_volume_drop=None)
        assert "the metric has fallen by 0.05 or more" in policy_sentence(policy, Rule.PERFORMANCE)
        for rule, said in ((Rule.VOLUME, "prediction volume"), (Rule.QUALITY, "data quality")):
            assert policy_sentence(policy, rule) == f"The retrain policy does not react to {said}."
        policy.enabled = False
        assert "nothing is trained again by itself" in policy_sentence(policy, Rule.DRIFT)

    def test_evidence_of_any_shape_becomes_tables(self) -> None:
        found = evidence_of(
            {"metric": "recall", "value": 0.4, "ci95": [0.35, 0.45], "none": None, "deep": {"from": 1, "is": True}}
            | {"features": [{"kind": "x", "effect": 0.1, "name": "a", "bins": [[1]]}, {"note": "few", "name": "b"}]}
        )
        assert found.facts == [
            ("Metric", "recall"),
            ("Value", "0.400"),
            ("95 % interval", "0.350 to 0.450"),
            ("Deep: from", "1"),
            ("Deep: is", "yes"),
        ]
        (features,) = found.tables
        assert features.columns == ["Name", "Effect", "Kind", "Note"]
        assert features.rows[1] == [("b", False), ("–", False), ("–", False), ("few", False)]

    def test_a_long_table_is_cut_and_says_by_how_much(self) -> None:
        found = table("features", [{"effect": n} for n in range(MAX_ROWS + 7)])
        assert (len(found.rows), found.left_out, found.rows[0][0]) == (MAX_ROWS, 7, (str(MAX_ROWS + 6), True))
