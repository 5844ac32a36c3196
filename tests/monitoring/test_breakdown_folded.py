"""Breakdowns are folded: slices that come and go, codes of failures, lags and decisions, under any schedule."""

from __future__ import annotations

import random
import threading
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mlops_site.core.permissions import Actor
from monitoring.analysis import report_of_window
from monitoring.models import ErrorCode, FoldItem, Prediction, Slice
from monitoring.selectors.slices import slicings
from monitoring.services import (
    compact,
    declare_slice,
    end_slice,
    fold,
    fold_all,
    log_labels,
    log_predictions,
)
from monitoring.services.folding import recall_waiting
from monitoring.services.retention import _erase
from monitoring.stats.breakdown import level_part
from monitoring.stats.layout import ERROR_CODES, TOTALS
from registry.models import RegisteredModel, Version
from tests.kept import kept_fixture
from tests.monitoring.production import folded, is_same, recomputed
from tests.monitoring.test_folding import AGES, assert_sum_holds, label, row, world
from tests.people import actor

pytestmark = pytest.mark.django_db


@kept_fixture
def version(db: None) -> Version:
    return world()[0]


@kept_fixture
def model(version: Version) -> RegisteredModel:
    return version.model


@kept_fixture
def engineer(version: Version) -> Actor:
    return actor("author", "ml_engineer")


@kept_fixture
def machine(version: Version) -> Actor:
    return actor("claims-app", "service")


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Slices count from the moment when they are declared: no folder is at work beside."""
    monkeypatch.setattr("monitoring.services.slices.UNKNOWN_TO_FOLDERS", timedelta(0))


def sent(n: int, *, region: str = "north", **changes: Any) -> dict[str, Any]:
    return row(n, slices={"region": region}, **changes)


def levels(version: Version, name: str = "region") -> dict[str, dict[str, int]]:
    """Totals by level, of the newest slice of the name."""
    newest = Slice.objects.filter(model=version.model, name=name).latest("pk")
    found = folded(version).breakdown
    (by,) = [each for each in slicings([version.model_id])[version.model_id] if each.id == newest.pk]
    counts = found.slices.get(by.id)
    if counts is None:
        return {}
    parts = [level_part(each, found.shape, "totals").tolist() for each in counts]
    return {
        place: dict(zip(TOTALS, part, strict=True)) for place, part in zip(by.places, parts, strict=True) if any(part)
    }


STEPS = st.lists(
    st.one_of(
        *[st.tuples(st.just("log"), st.integers(0, 5), st.sampled_from(AGES), st.sampled_from(["north", "east", ""]))]
        * 3,
        st.tuples(st.just("fail"), st.integers(6, 9), st.sampled_from(["timeout", None, "bad_input"])),
        *[st.tuples(st.just("label"), st.integers(0, 6), st.integers(0, 1), st.sampled_from([None, 0, 1]))] * 3,
        st.tuples(st.just("declare"), st.sampled_from(["region", "age"])),
        st.tuples(st.just("end"), st.sampled_from(["region", "age"])),
        st.tuples(st.just("fold"), st.integers(1, 4)),
        st.tuples(st.just("compact"), st.sampled_from([0, 3, 100])),
        st.tuples(st.just("recall")),
    ),
    min_size=20,
    max_size=40,
)


def take(step: tuple[Any, ...], model: RegisteredModel, engineer: Actor, machine: Actor, seen: set[int]) -> None:
    match step:
        case ("log", n, minutes, region) if n not in seen:
            seen.add(n)
            log_predictions([sent(n, minutes=minutes, region=region)], actor=machine)
        case ("fail", n, code) if n not in seen:
            seen.add(n)
            failed = sent(n, status="error", prediction=None, score=None, error_code=code)
            log_predictions([failed], actor=machine)
        case ("label", n, value, human):
            log_labels([{**label(n, value), "human_decision": human}], actor=machine)
        case ("declare", name) if not Slice.objects.filter(name=name, counts_until=None).exists():
            how: dict[str, Any] = {"source": "slice", "levels": ["north"]}
            if name == "age":
                how = {"source": "feature", "cuts": [50, 60]}
            declare_slice(model, actor=engineer, name=name, **how)
        case ("end", name):
            for found in Slice.objects.filter(name=name, counts_until=None):
                end_slice(model, found.pk, actor=engineer)
        case ("fold", limit):
            fold(limit)
        case ("compact", hours):
            compact(timezone.now() + timedelta(hours=hours))
        case ("recall",):
            recall_waiting()


@given(STEPS)
@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True)
@pytest.mark.usefixtures("at_once")
def test_buckets_and_queue_are_the_rows_whatever_is_declared_and_ended(
    version: Version, engineer: Actor, machine: Actor, steps: list[Any]
) -> None:
    with transaction.atomic():
        seen: set[int] = set()
        for step in steps:
            take(step, version.model, engineer, machine, seen)
            if step[0] in ("fold", "compact", "end"):
                assert_sum_holds(version)
        recall_waiting()
        fold_all()
        compact(timezone.now())
        assert is_same(folded(version), recomputed(version))
        transaction.set_rollback(True)


class TestCounting:
    def test_an_answer_counts_in_the_slices_of_its_time_whenever_its_label_comes(
        self, model: RegisteredModel, version: Version, engineer: Actor, machine: Actor
    ) -> None:
        log_predictions([sent(0)], actor=machine)
        made = declare_slice(model, actor=engineer, name="region", source="slice", levels=["north"])
        assert made.counts_from == made.declared_at + timedelta(minutes=1)
        log_predictions([sent(n) for n in (1, 2)], actor=machine)
        Prediction.objects.filter(request_id="r2").update(received_at=made.counts_from)
        log_labels([label(n, 1) for n in range(3)], actor=machine)
        fold_all()
        assert levels(version) == {
            "north": {"rows": 1, "errors": 0, "labelled": 1, "judged": 1, "hits": 0, "answered": 1, "selected": 0}
        }

    @pytest.mark.usefixtures("at_once")
    def test_a_slice_that_ended_still_takes_labels_of_what_it_counted(
        self, model: RegisteredModel, version: Version, engineer: Actor, machine: Actor
    ) -> None:
        made = declare_slice(model, actor=engineer, name="region", source="slice", levels=["north"])
        log_predictions([sent(0), sent(1, region="west")], actor=machine)
        fold_all()
        end_slice(model, made.pk, actor=engineer)
        log_predictions([sent(2)], actor=machine)
        log_labels([label(n, n % 2) for n in range(3)], actor=machine)
        fold_all()
        assert {name: (part["rows"], part["labelled"]) for name, part in levels(version).items()} == {
            "north": (1, 1),
            "other": (1, 1),
        }

    @pytest.mark.usefixtures("at_once")
    def test_a_label_after_the_features_were_erased_counts_by_what_was_kept_of_them(
        self, model: RegisteredModel, version: Version, engineer: Actor, machine: Actor
    ) -> None:
        declare_slice(model, actor=engineer, name="age", source="feature", cuts=[50])
        log_predictions([row(0)], actor=machine)
        fold_all()
        Prediction.objects.update(features={}, slices={"age": "51.5"})
        log_labels([label(0, 1)], actor=machine)
        fold_all()
        assert {name: part["labelled"] for name, part in levels(version, "age").items()} == {"50 and over": 1}

    def test_codes_beyond_those_that_have_a_place_count_together(self, version: Version, machine: Actor) -> None:
        failed: dict[str, Any] = {"status": "error", "prediction": None, "score": None}
        rows = [row(n, **failed, error_code=f"code {n % 25:02}") for n in range(75)]
        log_predictions(rows, actor=machine)
        fold(40)
        fold_all()
        counts = folded(version).breakdown.part("errors")
        assert ErrorCode.objects.count() == ERROR_CODES
        assert counts.tolist() == [3] * ERROR_CODES + [15]
        assert is_same(folded(version), recomputed(version))
        now = timezone.now()
        told = report_of_window(version, now - timedelta(hours=1), now + timedelta(minutes=5)).body["followup"][
            "failures"
        ]
        assert told[0] == {"code": "other codes", "rows": 15, "share": 0.2}
        assert told[1] == {"code": "code 00", "rows": 3, "share": 0.04}

    def test_lag_is_that_of_the_first_label_and_decisions_those_of_the_last(
        self, version: Version, machine: Actor
    ) -> None:
        log_predictions([row(0, minutes=60 * 24)], actor=machine)
        said = (timezone.now() - timedelta(hours=12)).isoformat()
        log_labels([{**label(0, 1), "human_decision": 1, "observed_at": said}], actor=machine)
        log_labels([{**label(0, 0), "human_decision": 0}], actor=machine)
        fold_all()
        found = folded(version).breakdown
        assert found.part("observed_lag").sum() == found.part("received_lag").sum() == 1
        assert found.part("decisions").tolist() == [1, 0, 0, 0, 0, 0]

    @pytest.mark.usefixtures("at_once")
    def test_slices_take_as_many_statements_for_few_rows_as_for_many(
        self, model: RegisteredModel, engineer: Actor, machine: Actor
    ) -> None:
        declare_slice(model, actor=engineer, name="age", source="feature", cuts=[50])
        log_predictions([row(1000)], actor=machine)
        fold()
        taken = []
        for numbers in (range(5), range(100, 300)):
            log_predictions([row(n) for n in numbers], actor=machine)
            log_labels([label(n, 1) for n in numbers], actor=machine)
            with CaptureQueriesContext(connection) as queries:
                assert fold() == 2 * len(numbers)
            taken.append(len(queries))
        assert taken[0] == taken[1]


def ingest(turn: int, machine: Actor) -> None:
    """Answers, every fourth of them failed, and labels of the others."""
    chance = random.Random(turn)
    failed: dict[str, Any] = {"status": "error", "prediction": None, "score": None}
    for batch in range(8):
        numbers = range(turn * 1000 + batch * 40, turn * 1000 + batch * 40 + 40)
        bad = [sent(n, **failed, error_code=f"code {chance.randrange(30)}") for n in numbers if n % 4 == 0]
        good = [sent(n, region=chance.choice(["north", "west"])) for n in numbers if n % 4]
        log_predictions([*bad, *good], actor=machine)
        log_labels([label(n, chance.randrange(2)) for n in numbers if n % 4], actor=machine)


@pytest.mark.postgres
@pytest.mark.django_db(transaction=True)
def test_four_fold_codes_and_slices_while_one_slice_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """Folders that meet a code for the first time at once give it one place; and each answer is in the slices of its
    time."""
    monkeypatch.setattr("monitoring.services.slices.UNKNOWN_TO_FOLDERS", timedelta(0))  # none is at work yet
    version, machine = world()
    engineer = actor("author", "ml_engineer")
    done, errors = threading.Event(), []

    def run(work: Any, *given: Any) -> None:
        try:
            work(*given)
        except Exception as error:
            errors.append(error)
        finally:
            connection.close()

    def keep(work: Any) -> None:
        while not done.is_set():
            work()

    for name, how in (("region", {"levels": ["north"]}), ("product", {"levels": ["a"]})):
        declare_slice(version.model, actor=engineer, name=name, source="slice", **how)
    monkeypatch.setattr("monitoring.services.slices.UNKNOWN_TO_FOLDERS", timedelta(seconds=10))
    writers = [threading.Thread(target=run, args=[ingest, turn, machine]) for turn in range(4)]
    others = [threading.Thread(target=run, args=[keep, lambda: fold(23)]) for _ in range(4)]
    for thread in [*writers, *others]:
        thread.start()
    product = Slice.objects.get(name="product")
    end_slice(version.model, product.pk, actor=engineer)
    for thread in writers:
        thread.join()
    done.set()
    for thread in others:
        thread.join()
    assert errors == []
    recall_waiting()
    fold_all()
    assert not FoldItem.objects.filter(waiting=False).exists()
    assert ErrorCode.objects.count() == ERROR_CODES
    assert is_same(folded(version), recomputed(version))
    assert all(counts[:, 0].any() for counts in folded(version).breakdown.slices.values())
    assert len(folded(version).breakdown.slices) == 2


def test_a_label_that_comes_after_features_were_erased_counts_in_its_level(
    model: RegisteredModel, version: Version, engineer: Actor, machine: Actor, at_once: None
) -> None:
    declare_slice(model, actor=engineer, name="age", source="feature", cuts=[5])
    log_predictions([row(n, features={"age": n, "code": "x"}) for n in range(10)], actor=machine)
    fold_all()
    _erase(model, timezone.now() + timedelta(minutes=1), timezone.now())
    assert all(found == {} for found in Prediction.objects.values_list("features", flat=True))
    assert sorted(found["age"] for found in Prediction.objects.values_list("slices", flat=True)) == list(range(10))
    before = levels(version, "age")
    log_labels([label(n, 1) for n in range(8)], actor=machine)
    fold_all()
    after = levels(version, "age")
    gained = {name: after[name]["labelled"] - before[name]["labelled"] for name in after}
    assert {name: count for name, count in gained.items() if count} == {"under 5": 5, "5 and over": 3}
