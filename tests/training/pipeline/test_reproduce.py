"""A run done again: the same comes out, or what is not the same is named; nothing is registered."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from mlops_site.core import jobs, store, tokens
from mlops_site.core.errors import Conflict, Forbidden, NotFound
from mlops_site.core.models import AuditRecord
from mlops_site.core.permissions import Actor
from registry.models import Version
from tests.people import actor
from tests.training.claims import claims
from training import selectors
from training.models import DatasetVersion, Reproduction, Run
from training.pipeline import reproduce
from training.services import cancel_reproduction, origin, request_reproduction
from training.services.reproductions import surroundings

Train = Callable[..., Run]


def again(run: Run, who: Actor) -> dict[str, Any]:
    """The outcome of one attempt in this process."""
    claimed = jobs.claim(request_reproduction(run, actor=who), worker="test")
    assert claimed is not None
    reproduce.execute(claimed)
    claimed.refresh_from_db()
    assert claimed.state == "succeeded"
    assert isinstance(claimed.outcome, dict)
    return claimed.outcome


def test_the_same_run_gives_the_same_metrics_and_predictions(
    train: Train, dataset: DatasetVersion, scientist: Actor
) -> None:
    run = train(dataset, model_types=["logistic_regression", "random_forest"], calibration="auto")
    versions, lines = Version.objects.count(), run.lines.count()
    outcome = again(run, scientist)
    assert outcome["equal"], selectors.told(outcome)
    assert outcome["differences"] == []
    assert [row["was"] == row["now"] for row in outcome["folds"]] == [True, True]
    assert run.version is not None
    assert {row["metric"] for row in outcome["holdout"]} == run.version.metrics.keys()
    assert outcome["predictions"]["rows"] == run.version.facts["data"]["holdout_rows"]
    assert outcome["predictions"]["difference"] == 0.0
    assert (Version.objects.count(), run.lines.count()) == (versions, lines)
    before, run = run, Run.objects.get(pk=run.pk)
    assert (run.leaderboard, run.mlflow, run.state) == (before.leaderboard, before.mlflow, "succeeded")
    assert AuditRecord.objects.filter(action="reproduction.requested").count() == 1


def test_a_regression_is_compared_by_its_predictions(
    train: Train, upload: Callable[..., DatasetVersion], engineer: Actor, scientist: Actor
) -> None:
    from registry.services import create_model

    create_model(actor=engineer, name="cost", task_type="regression")
    data = upload(claims(), name="costs", target="dollars")
    outcome = again(train(data, model_name="cost", model_types=["random_forest"]), scientist)
    assert outcome["equal"]
    assert outcome["predictions"]["what"] == "prediction"


def test_another_seed_is_found_by_what_it_changes(train: Train, dataset: DatasetVersion, scientist: Actor) -> None:
    run = train(dataset)
    Run.objects.filter(pk=run.pk).update(seed=run.seed + 1)
    outcome = again(Run.objects.get(pk=run.pk), scientist)
    assert not outcome["equal"]
    folds = outcome["folds"][0]
    assert folds["was"] != folds["now"]
    assert folds["difference"] == max(abs(a - b) for a, b in zip(folds["was"], folds["now"], strict=True))
    assert selectors.told(outcome)[0] == "Not the same came out."
    assert any("over the folds differs, by at most" in line for line in selectors.told(outcome))


def test_other_code_lock_and_libraries_are_named(
    train: Train, dataset: DatasetVersion, scientist: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = train(dataset)
    made = origin.made_with()
    now = {**made, "code": "f" * 40, "lock_digest": "0" * 64, "packages": {**made["packages"], "numpy": "0.1"}}
    monkeypatch.setattr(origin, "made_with", lambda: now)
    outcome = again(run, scientist)
    assert outcome["equal"]
    found = {row["what"]: (row["was"], row["now"]) for row in outcome["differences"]}
    assert found["lock"] == (run.lock_digest, "0" * 64)
    assert found["code"] == (run.code, "f" * 40)
    assert found["numpy"] == (run.packages["numpy"], "0.1")


def test_another_diff_of_the_same_commit_is_named(
    train: Train, dataset: DatasetVersion, scientist: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    dirty = {**origin.made_with(), "code": "a" * 40 + "+dirty", "diff": "-1\n+2\n", "diff_digest": "1" * 64}
    monkeypatch.setattr(origin, "made_with", lambda: dirty)
    run = train(dataset)
    assert (run.diff, run.diff_digest) == ("-1\n+2\n", "1" * 64)
    monkeypatch.setattr(origin, "made_with", lambda: {**dirty, "diff": "+3\n", "diff_digest": "2" * 64})
    assert [row["what"] for row in again(run, scientist)["differences"]] == ["diff"]
    run.spec["workers"] = 3  # as of a run whose trials were shared
    assert [row["message"] for row in surroundings(run)][1:] == [
        "3 workers shared the trials: what was tried next hung on who ended first"
    ]


def test_what_cannot_be_reproduced_is_refused(
    train: Train, request_small: Train, dataset: DatasetVersion, scientist: Actor, outsider: Actor
) -> None:
    with pytest.raises(Conflict, match="must have succeeded") as refused:
        request_reproduction(request_small(dataset), actor=scientist)
    assert refused.value.code == "run_not_succeeded"
    run = train(dataset)
    for stranger in (outsider, actor("vera", "viewer")):
        with pytest.raises(Forbidden):
            request_reproduction(run, actor=stranger)
    with pytest.raises(NotFound):
        selectors.run_of(outsider, run.pk)
    store.delete(dataset.digest)
    with pytest.raises(Conflict, match="is not in the store, though nobody deleted it") as gone:
        request_reproduction(run, actor=scientist)
    assert gone.value.code == "data_gone"
    assert not Reproduction.objects.exists()


def test_data_that_goes_while_it_waits_ends_it_with_the_reason(
    train: Train, dataset: DatasetVersion, scientist: Actor
) -> None:
    made = jobs.claim(request_reproduction(train(dataset), actor=scientist), worker="test")
    assert made is not None
    store.delete(dataset.digest)
    jobs.run_here(made)
    made.refresh_from_db()
    assert made.state == "failed"
    assert dataset.digest in made.error


def test_one_at_a_time_and_it_can_be_stopped(train: Train, dataset: DatasetVersion, scientist: Actor) -> None:
    run = train(dataset)
    first = request_reproduction(run, actor=scientist)
    assert request_reproduction(run, actor=scientist).pk == first.pk
    assert cancel_reproduction(first, actor=scientist).state == "cancelled"
    assert request_reproduction(run, actor=scientist).pk != first.pk


def test_the_command_says_no_with_the_reason(
    train: Train, dataset: DatasetVersion, scientist: Actor, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    run = train(dataset)
    assert scientist.user is not None
    monkeypatch.setenv("STEWARD_TOKEN", tokens.create_token(scientist.user)[1])
    monkeypatch.setattr("mlops_site.core.child.watch", jobs.run_here)  # the database of a test is of one process
    call_command("reproduce", str(run.pk))
    assert "Metrics and predictions are equal." in capsys.readouterr().out
    Run.objects.filter(pk=run.pk).update(seed=run.seed + 1)
    with pytest.raises(CommandError, match="not the same"):
        call_command("reproduce", str(run.pk))
    assert "by at most" in capsys.readouterr().out
    with pytest.raises(CommandError, match="there is no run"):
        call_command("reproduce", str(dataset.pk).zfill(32))
