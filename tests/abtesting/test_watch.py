"""The tick: a ratio that is off, guardrails, the steps of ramps, and their alerts."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pytest
from django.utils import timezone

from abtesting import services, tasks
from abtesting.models import Epoch, Experiment
from abtesting.selectors import results
from abtesting.services import watch
from mlops_site.core.models import AuditRecord
from monitoring.models import Alert
from monitoring.services import resolve_alert
from tests.abtesting.lab import Lab, later

pytestmark = pytest.mark.django_db


def tick(now: datetime | None = None) -> Experiment:
    """One look at everything that runs; the last experiment as it is then."""
    services.check_running(now or timezone.now())
    return Experiment.objects.latest("pk")


def alerts() -> dict[str, tuple[str, str, str]]:
    return {a.subject_key.split(": ")[1]: (a.status, a.severity, a.evidence["level"]) for a in Alert.objects.all()}


def audited(action: str) -> list[dict[str, Any]]:
    return [row.data for row in AuditRecord.objects.filter(action=action).order_by("seq")]


class TestRatio:
    def test_a_proven_mismatch_is_noted_once_with_an_alert_and_blocks_for_good(self, lab: Lab) -> None:
        experiment = lab.start(guardrails={"alert_volume": None})
        lab.answer(experiment, 800, share_of_arm={"b": 0.6}, labelled=False)
        row = tick()
        assert row.is_running
        assert row.mismatch_at is not None
        assert tick().mismatch_at == row.mismatch_at
        assert alerts() == {"sample ratio": ("open", "high", "blocked")}
        (said,) = audited("experiment.mismatch_found")
        assert (said["epoch"], said["share_b"], said["a"] > said["b"]) == (1, 0.5, True)
        assert Alert.objects.get().version == lab.b
        assert "sample ratio mismatch" in Alert.objects.get().summary

    def test_a_sound_one_is_left_alone(self, lab: Lab) -> None:
        lab.answer(lab.start(), 800)
        assert (tick().mismatch_at, alerts()) == (None, {})


class TestGuardrails:
    LIMITS = {"warn": 0.01, "hold": 0.1, "roll_back": 0.3}

    def failing(self, lab: Lab, rate: float, **changes: Any) -> Experiment:
        experiment = lab.start(guardrails={"error_rate": self.LIMITS}, **changes)
        lab.answer(experiment, 800, failing_b=rate)
        return experiment

    def test_warn_and_hold_alert_once_a_level_and_whoever_resolves_one_is_not_asked_again(self, lab: Lab) -> None:
        experiment = self.failing(lab, 0.08)
        assert tick().is_running
        assert alerts() == {"error_rate": ("open", "high", "warn")}
        tick()
        assert Alert.objects.get().count == 1
        resolve_alert(Alert.objects.get(), actor=lab.engineer, comment="it can wait")
        tick()
        assert alerts() == {"error_rate": ("resolved", "high", "warn")}
        lab.answer(experiment, 800, failing_b=0.5)
        assert tick().is_running
        assert Alert.objects.get(status="open").evidence["level"] == "hold"
        assert "B's share does not grow" in Alert.objects.get(status="open").summary

    def test_all_units_go_back_to_a_at_once(self, lab: Lab) -> None:
        experiment = self.failing(lab, 0.7)
        row = tick()
        assert (row.status, row.ending, row.verdict, row.ended_by) == ("stopped", "guardrail", "", None)
        assert row.end_reason.startswith("guardrail error_rate: ")
        assert Epoch.objects.get().ended_at == row.ended_at
        (said,) = audited("experiment.stopped")
        assert (said["ending"], said["reason"]) == ("guardrail", row.end_reason)
        assert AuditRecord.objects.get(action="experiment.stopped").actor == "system:experiments"
        assert alerts() == {"error_rate": ("open", "high", "roll_back")}  # until somebody has read it
        assert Alert.objects.get().summary.startswith("high_cost 1.1.0 was taken back from all claims")
        tick()
        assert Alert.objects.get().count == 1
        assert not experiment.epochs.filter(ended_at=None).exists()

    def test_earlier_alerts_of_it_are_resolved_by_the_end(self, lab: Lab) -> None:
        experiment = self.failing(lab, 0.2)
        tick()
        lab.answer(experiment, 3_000, failing_b=0.9)
        tick()
        assert Alert.objects.get(status="open").evidence["level"] == "roll_back"
        assert {a.evidence["level"] for a in Alert.objects.filter(status="resolved")} <= {"warn", "hold"}
        assert Alert.objects.filter(status="resolved").exists()

    @pytest.mark.django_db(transaction=True)
    def test_what_goes_wrong_with_one_stops_none_of_the_others(
        self, lab: Lab, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        broken = lab.start()
        other = Lab(name="readmission")
        self.failing(other, 0.7)

        def fail(experiment: Experiment, **given: Any) -> Any:
            if experiment.pk == broken.pk:
                raise RuntimeError("its sums cannot be read")
            return results(experiment, **given)

        monkeypatch.setattr(watch, "results", fail)
        tasks.watch()
        assert Experiment.objects.get(model=other.model).ending == "guardrail"
        assert Experiment.objects.get(pk=broken.pk).is_running
        assert f"experiment {broken.pk} could not be looked at" in caplog.text


class TestRamp:
    def ramp(self, lab: Lab, **changes: Any) -> Experiment:
        return lab.start(design="ramp", steps=[0.3, 0.6, 1.0], step_hours=2, min_samples=50, **changes)

    def shares(self) -> list[float]:
        return list(Epoch.objects.order_by("number").values_list("share_b", flat=True))

    def test_it_steps_once_a_step_has_lasted_and_was_seen_by_enough(self, lab: Lab) -> None:
        experiment = self.ramp(lab)
        lab.answer(experiment, 40)
        tick(later(3))
        assert self.shares() == [0.3]  # too few units yet
        lab.answer(experiment, 200)
        tick(later(1))
        assert self.shares() == [0.3]  # not two hours yet
        tick(later(3))
        assert self.shares() == [0.3, 0.6]
        (said,) = audited("experiment.split_changed")
        assert (said["share_b"], said["before"], said["drawn"]) == (0.6, 0.3, False)
        assert said["reason"] == "no guardrail held 30% for 2 hours"
        tick(later(6))
        assert self.shares() == [0.3, 0.6]  # nobody has been seen in this step
        lab.answer(experiment, 200)
        tick(later(6))
        assert self.shares() == [0.3, 0.6, 1.0]
        lab.answer(experiment, 200)
        assert tick(later(12)).is_running
        assert self.shares() == [0.3, 0.6, 1.0]
        assert {epoch.draw for epoch in Epoch.objects.all()} == {1}

    def test_a_guardrail_that_holds_and_a_ratio_that_is_off_keep_the_step(self, lab: Lab) -> None:
        lab.answer(self.ramp(lab, guardrails={"error_rate": {"hold": 0.01}}), 600, failing_b=0.4)
        tick(later(3))
        assert self.shares() == [0.3]
        other = Lab(name="readmission")
        lost = self.ramp(other)
        other.answer(lost, 800, share_of_arm={"b": 0.4})
        tick(later(3))
        assert [epoch.share_b for epoch in lost.epochs.all()] == [0.3]

    def test_a_person_may_step_by_hand(self, lab: Lab) -> None:
        experiment = self.ramp(lab)
        services.change_split(experiment, actor=lab.engineer, traffic_split=0.45, reason="carefully")
        lab.answer(experiment, 300)
        tick(later(3))
        assert self.shares() == [0.3, 0.45, 0.6]
