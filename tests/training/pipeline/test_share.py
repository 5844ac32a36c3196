"""Several workers at the trials of one run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import optuna
import pytest
from django.conf import settings

from mlops_site.core import jobs
from mlops_site.core.errors import Invalid
from mlops_site.core.permissions import Actor
from registry.models import Version
from tests.training.pipeline.conftest import executed
from tests.training.pipeline.test_resume import crashed
from training.ml.preparation import Preparations
from training.ml.sharing import FINISHED
from training.ml.studies import open_storage
from training.models import DatasetVersion, Run, Share
from training.pipeline import data, selection, share
from training.pipeline.selection import study_name
from training.services import cancel_run

pytestmark = pytest.mark.django_db
Create = Callable[..., Run]


def helped(part: Share) -> Share:
    """One attempt at the share, in this process."""
    claimed = jobs.claim(part, worker="helper")
    assert claimed is not None
    share.execute(claimed)
    return Share.objects.get(pk=part.pk)


def finished(run: Run, model_type: str = "logistic_regression") -> list[optuna.trial.FrozenTrial]:
    with open_storage(settings.OPTUNA_STORAGE) as storage:
        return optuna.load_study(study_name=study_name(run, model_type), storage=storage).get_trials(states=FINISHED)


def test_a_run_has_a_share_for_each_other_worker_that_finds_a_trial(
    request_small: Create, dataset: DatasetVersion
) -> None:
    assert [part.number for part in request_small(dataset, workers=2).shares.all()] == [2]
    run = request_small(dataset, workers=9, seed=1)
    assert [part.number for part in run.shares.all()] == [2, 3]
    assert request_small(dataset, seed=2).parts() == []


def test_a_run_that_finds_its_trials_done_only_evaluates_them(request_small: Create, dataset: DatasetVersion) -> None:
    run = request_small(dataset, workers=2)
    part = helped(run.shares.get())
    assert (part.state, part.trials_done, part.progress) == ("succeeded", 3, 1.0)
    run.refresh_from_db()
    assert (run.state, run.trials_done) == ("queued", 3)
    assert run.progress == pytest.approx(selection.SEARCH_TO)
    run = executed(run)
    assert (run.state, run.trials_done, len(finished(run))) == ("succeeded", 3, 3)
    told = run.lines.filter(text__endswith="by worker 2 on helper").values_list("text", flat=True)
    assert [text.split(":")[0] for text in told] == [f"logistic_regression trial {n} of 3" for n in (1, 2, 3)]


def test_a_share_goes_on_where_the_run_died_and_the_run_goes_on_where_a_share_did(
    request_small: Create, dataset: DatasetVersion
) -> None:
    run = crashed(request_small(dataset, workers=2), "trial 1 of 3")
    kept = {trial.number: trial.value for trial in finished(run)}
    part = helped(run.shares.get())
    assert part.trials_done == 2
    run = executed(run)
    assert (run.state, run.attempt, run.trials_done) == ("succeeded", 2, 3)
    assert kept.items() <= {trial.number: trial.value for trial in finished(run)}.items()
    assert Version.objects.get() == run.version


def test_every_process_has_the_same_rows_folds_and_seeds(request_small: Create, dataset: DatasetVersion) -> None:
    run = jobs.claim(request_small(dataset, workers=2), worker="test")
    assert run is not None
    one, other = (data.rows_of(job) for job in (run, run.shares.get()))
    frames: list[Any] = [one.training.frame, other.training.frame]
    assert frames[0].equals(frames[1])
    assert [[part.tolist() for part in fold] for fold in one.folds] == [
        [part.tolist() for part in fold] for fold in other.folds
    ]
    prepared = Preparations(one.training.frame)
    recipes = [
        selection.objective_of(job, one, "logistic_regression", prepared).recipe for job in (run, run.shares.get())
    ]
    assert recipes[0] == recipes[1]


def test_a_share_of_a_run_that_is_over_ends_without_work(
    request_small: Create, dataset: DatasetVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = executed(request_small(dataset, workers=2))
    monkeypatch.setattr(share, "_search", lambda *_: pytest.fail("it works"))
    assert helped(run.shares.get()).state == "succeeded"
    assert run.parts() == []


def test_a_share_stops_when_the_run_ends_under_it(
    request_small: Create, dataset: DatasetVersion, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.pipeline.steps.LOOK_SECS", 0)
    run = request_small(dataset, workers=2)

    @contextmanager
    def opened(part: Share) -> Iterator[data.Rows]:
        Run.objects.filter(pk=run.pk).update(state="failed")
        yield data.rows_of(part)

    monkeypatch.setattr(share, "opened", opened)
    assert helped(run.shares.get()).state == "succeeded"
    assert finished(run) == []


def test_cancelling_reaches_every_worker(
    request_small: Create, dataset: DatasetVersion, scientist: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.pipeline.steps.LOOK_SECS", 0)
    run = request_small(dataset, workers=3)
    first, second = run.shares.all()
    claimed = jobs.claim(first, worker="helper")
    assert claimed is not None
    cancel_run(run, actor=scientist)
    cancel_run(run, actor=scientist)
    share.execute(claimed)
    assert jobs.claim(second, worker="helper") is None
    assert [part.state for part in run.shares.all()] == ["cancelled", "cancelled"]
    with pytest.raises(KeyError):  # no study was made
        finished(run)


def test_a_share_that_is_at_work_stops_when_the_run_is_cancelled(
    request_small: Create, dataset: DatasetVersion, scientist: Actor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("training.pipeline.steps.LOOK_SECS", 0)
    run = jobs.claim(request_small(dataset, workers=2), worker="leader")
    assert run is not None
    claimed = jobs.claim(run.shares.get(), worker="helper")
    assert claimed is not None
    cancel_run(run, actor=scientist)
    with pytest.raises(jobs.LeaseLost):  # both watchers end their rows as cancelled
        share.execute(claimed)
    claimed.refresh_from_db()
    assert claimed.cancel_requested_at is not None
    assert finished(run) == []


def test_where_a_run_is_done_is_no_part_of_the_version(request_small: Create, dataset: DatasetVersion) -> None:
    spread = executed(request_small(dataset, workers=2, gpu=True))
    alone = executed(request_small(dataset))
    assert {"workers": 2, "gpu": True}.items() <= spread.spec.items()
    assert not {"workers", "gpu"} & alone.spec.keys()
    assert spread.version == alone.version


def test_a_run_that_wants_a_graphics_card_waits_for_a_worker_that_has_one(
    request_small: Create, dataset: DatasetVersion
) -> None:
    run = request_small(dataset, workers=2, gpu=True)
    assert (run.queue, run.step, run.shares.get().queue) == ("gpu", "waiting for a worker of the queue gpu", "gpu")
    assert jobs.claim(run, worker="w", queues=["cpu", "default"]) is None
    assert jobs.claim(run, worker="w", queues=["gpu"]) is not None


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [("workers", 0, "out_of_range"), ("workers", 65, "out_of_range"), ("workers", True, "out_of_range"),
     ("workers", "2", "out_of_range"), ("gpu", "yes", "invalid"), ("gpu", 1, "invalid")],
)  # fmt: skip
def test_a_bad_wish_is_refused(
    request_small: Create, dataset: DatasetVersion, field: str, value: object, code: str
) -> None:
    with pytest.raises(Invalid) as refused:
        request_small(dataset, **{field: value})
    assert [(error.field, error.code) for error in refused.value.errors] == [(field, code)]
    assert not Share.objects.exists()
