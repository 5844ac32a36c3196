"""Several workers at one study: none goes beyond what is wanted, and a lost trial is tried again once."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import optuna
import pytest
from optuna.storages import RDBStorage
from optuna.trial import TrialState

from training.ml.sharing import Lost, Surplus, check_room, quiet_about, retry_running
from training.ml.studies import open_storage

pytestmark = pytest.mark.filterwarnings("ignore:Heartbeat of storage")


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with Optuna's tables, which take seconds to make."""
    path = tmp_path_factory.mktemp("optuna") / "empty.sqlite3"
    with open_storage(f"sqlite:///{path}"):
        pass
    return path


@pytest.fixture
def storage(tmp_path: Path, empty: Path) -> Iterator[RDBStorage]:
    with open_storage(f"sqlite:///{shutil.copy(empty, tmp_path / 'studies.sqlite3')}") as storage:
        yield storage


@pytest.fixture
def study(storage: RDBStorage) -> optuna.Study:
    return optuna.create_study(study_name="s", storage=storage)


def has_room(study: optuna.Study, trial: optuna.Trial, wanted: int) -> bool:
    try:
        check_room(study, trial, wanted)
    except Surplus:
        return False
    return True


def test_a_trial_beyond_what_is_wanted_gives_way(study: optuna.Study) -> None:
    first, second = study.ask(), study.ask()
    assert (has_room(study, first, 1), has_room(study, second, 1)) == (True, False)
    study.tell(first, 0.0)
    assert (has_room(study, second, 1), has_room(study, second, 2)) == (False, True)


def test_a_trial_that_waits_counts_before_those_that_came_after_it(study: optuna.Study) -> None:
    early = study.ask()
    study.enqueue_trial({"x": 1.0})  # number 1: between a look at what waits and the next number, by another worker
    waits = study.get_trials()[1]
    study._storage.set_trial_state_values(waits._trial_id, TrialState.RUNNING)  # and so number 2 is a new one
    late = study.ask()
    study._storage.set_trial_state_values(waits._trial_id, TrialState.WAITING)
    assert (waits.number, late.number) == (1, 2)
    assert has_room(study, early, 2)
    assert not has_room(study, late, 2), "0 and 1 are the two that are wanted"
    assert has_room(study, study.ask(), 2), "this is number 1, which began last"


@pytest.mark.parametrize("error", [Surplus(), ValueError("a real failure")])
def test_only_what_failed_is_warned_of(study: optuna.Study, error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    def measured(trial: optuna.Trial) -> float:
        raise error

    with pytest.raises(type(error)), quiet_about(Surplus):
        study.optimize(measured, n_trials=1)
    said = [record.getMessage() for record in caplog.records]
    if isinstance(error, Surplus):
        assert said == []
    else:
        assert len(said) == 1
        assert "Trial 0 failed" in said[0]
        assert "a real failure" in said[0]


@pytest.mark.parametrize("queue", ["defaults", "lost"])
def test_what_two_workers_queued_at_once_is_measured_once(study: optuna.Study, storage: RDBStorage, queue: str) -> None:
    if queue == "defaults":
        study.enqueue_trial({"x": 1.0})
        study.enqueue_trial({"x": 1.0})
    else:
        lost = study.ask()
        lost.suggest_float("x", 0, 1)
        retry_running(study, storage, "")
        study.add_trial(study.get_trials()[-1])
    first, second = study.ask(), study.ask()
    assert (has_room(study, first, 5), has_room(study, second, 5)) == (True, False)


def test_a_second_loss_is_tried_again_too(study: optuna.Study, storage: RDBStorage) -> None:
    lost = study.ask()
    value = lost.suggest_float("x", 0, 1)
    for _ in range(2):
        retry_running(study, storage, "")
        again = study.ask()
        assert again.suggest_float("x", 0, 1) == value
        assert has_room(study, again, 1)


def test_a_worker_tries_again_what_was_its_own(study: optuna.Study, storage: RDBStorage) -> None:
    mine, others = study.ask(), study.ask()
    mine.set_user_attr("worker", "a")
    others.set_user_attr("worker", "b")
    retry_running(study, storage, "a")
    states = [trial.state for trial in study.get_trials()]
    assert states == [TrialState.FAIL, TrialState.RUNNING, TrialState.WAITING]


def test_a_trial_that_died_before_its_first_heartbeat_is_lost_after_a_while(
    study: optuna.Study, storage: RDBStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    beats, _never_beat = study.ask(), study.ask()
    storage.record_heartbeat(beats._trial_id)
    clock = iter([0.0, 14.0, 16.0, 30.0])
    monkeypatch.setattr("training.ml.sharing.monotonic", lambda: next(clock))
    lost = Lost(study, storage)
    seen = []
    for _ in range(4):
        lost.retry()
        seen.append([trial.state.name for trial in study.get_trials()])
    assert seen[1] == ["RUNNING", "RUNNING"]
    assert seen[2] == seen[3] == ["RUNNING", "FAIL", "WAITING"]
