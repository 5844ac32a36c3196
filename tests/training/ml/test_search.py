"""The search: seeds, resume after SIGKILL, stops, shared studies. Studies live in real SQLite files."""

import contextlib
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pandas as pd
import pytest
from optuna.trial import TrialState

from training.ml import search as searching
from training.ml.estimators import Recipe, default_params
from training.ml.search import Objective, Stopped, search
from training.ml.sharing import FINISHED
from training.ml.splits import folds
from training.ml.studies import open_storage

ROOT = Path(__file__).parents[3]


def made(metric: str = "roc_auc", n: int = 150) -> Objective:
    random = np.random.default_rng(0)
    frame = pd.DataFrame(random.normal(size=(n, 3)), columns=["a", "b", "c"])
    y = (frame["a"] + random.normal(size=n) > 0).astype(int).to_numpy()
    recipe = Recipe("logistic_regression", "classification", dict.fromkeys("abc", "number"), {}, seed=0)
    splits = folds("stratified", y, task_type="classification", n_folds=3, seed=0)
    return Objective(recipe, frame, y, splits, metric, (0, 1))


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file with Optuna's tables, which take seconds to make."""
    path = tmp_path_factory.mktemp("optuna") / "empty.sqlite3"
    with open_storage(f"sqlite:///{path}"):
        pass
    return path


@pytest.fixture
def url(tmp_path: Path, empty: Path) -> str:
    return f"sqlite:///{shutil.copy(empty, tmp_path / 'studies.sqlite3')}"


def trials(url: str, name: str = "s") -> list[optuna.trial.FrozenTrial]:
    with open_storage(url) as storage:
        return optuna.load_study(study_name=name, storage=storage).get_trials()


def run(url: str, n: int = 4, **changes: Any) -> searching.Best:
    return search(made(), storage_url=url, study_name="s", n_trials=n, **{"seed": 1, **changes})


def test_tries_the_defaults_first_and_keeps_the_best(url: str) -> None:
    heard: list[searching.Trial] = []
    best = run(url, on_trial=heard.append)
    assert [trial.done for trial in heard] == [1, 2, 3, 4]
    assert heard[0].params == default_params("logistic_regression", "classification")
    values = [trial.value for trial in heard if trial.value is not None]
    assert best.mean == pytest.approx(max(values)) == pytest.approx(float(np.mean(best.values)))
    assert heard[-1].best == best.mean
    assert best.threshold is not None
    assert 0 < best.threshold < 1
    assert best.se == pytest.approx(np.std(best.values, ddof=1) / 3**0.5)


def test_without_tuning_runs_the_defaults_once(url: str) -> None:
    best = run(url, n=9, tune=False)
    assert best.trials == len(trials(url)) == 1
    assert best.recipe.params == default_params("logistic_regression", "classification")


def test_same_seed_proposes_the_same_trials(url: str) -> None:
    found = []
    for name in "ab":
        search(made(), storage_url=url, study_name=name, n_trials=4, seed=1)
        found.append([trial.params for trial in trials(url, name)])
    assert found[0] == found[1]


def test_minimises_a_loss(url: str) -> None:
    heard: list[searching.Trial] = []
    best = search(made("log_loss"), storage_url=url, study_name="s", n_trials=4, seed=1, on_trial=heard.append)
    assert best.mean == min(trial.value for trial in heard if trial.value is not None)


def test_a_finished_study_gains_no_trial(url: str) -> None:
    first, again = run(url), run(url)
    assert first == again
    assert len(trials(url)) == 4


def test_a_longer_resume_proposes_new_trials(url: str) -> None:
    run(url, n=3)
    run(url, n=7)
    found = [tuple(sorted(trial.params.items(), key=str)) for trial in trials(url)]
    assert len(set(found)) == len(found) == 7


def test_stop_keeps_what_is_finished(url: str) -> None:
    heard: list[searching.Trial] = []
    with pytest.raises(Stopped):
        run(url, n=6, on_trial=heard.append, should_stop=lambda: len(heard) >= 1)
    assert sum(trial.state in FINISHED for trial in trials(url)) == 1
    run(url, n=3)
    assert sum(trial.state in FINISHED for trial in trials(url)) == 3


def test_pruned_trials_count_and_never_win(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(optuna.pruners.MedianPruner, "prune", lambda *of: of[-1].number % 2 == 1)
    heard: list[searching.Trial] = []
    best = run(url, n=5, on_trial=heard.append)
    assert [trial.state for trial in heard].count("pruned") == 2
    assert best.trials == 5
    assert best.number % 2 == 0


def test_an_error_in_a_fold_ends_the_search_with_its_reason(url: str) -> None:
    broken = made()
    frame: Any = broken.frame
    frame.iloc[0, 0] = np.inf
    with pytest.raises(ValueError, match="infinity"):
        search(broken, storage_url=url, study_name="s", n_trials=3, seed=1)


def test_bad_arguments_start_nothing(url: str) -> None:
    with pytest.raises(ValueError, match="n_trials must be at least 1 but got 0"):
        run(url, n=0)
    with pytest.raises(ValueError, match=r"C, class_weight but got gamma"):
        run(url, overrides={"gamma": 1})


def test_who_tells_a_finished_trial_goes_on(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another worker took the first trial as well, and ended first."""
    whole = optuna.Study.optimize
    told: list[str] = []

    def beaten(study: optuna.Study, *args: Any, **kwargs: Any) -> None:
        if not told:
            told.append(study.study_name)
            raise ValueError("Cannot tell a COMPLETE trial.")
        whole(study, *args, **kwargs)

    monkeypatch.setattr(optuna.Study, "optimize", beaten)
    assert run(url, n=3).trials == 3
    assert told


def test_two_workers_share_a_study_and_end_with_exactly_n(url: str) -> None:
    failures: list[BaseException] = []

    def work(name: str) -> None:
        try:
            run(url, n=6, worker=name, seed=ord(name))
        except BaseException as problem:
            failures.append(problem)

    workers = [threading.Thread(target=work, args=(name,)) for name in "ab"]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not failures
    assert sum(trial.state in FINISHED for trial in trials(url)) == 6


@pytest.mark.filterwarnings("ignore:Heartbeat of storage")
def test_gives_way_to_a_trial_that_another_worker_has_under_way(url: str) -> None:
    run(url, n=2)
    worker = threading.Thread(target=run, args=(url, 3), kwargs={"worker": "a"})
    with open_storage(url) as storage:
        study = optuna.load_study(study_name="s", storage=storage)
        other = study.ask()
        worker.start()
        worker.join(2)
        assert worker.is_alive()
        study.tell(other, 0.0)
        worker.join(30)
    assert sum(trial.state in FINISHED for trial in trials(url)) == 3


CHILD = """
    import importlib.util, sys, time
    spec = importlib.util.spec_from_file_location("made", {file!r})
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    fold = module.Objective.scores
    def slow(self, params, on_fold):
        def later(number, value):
            time.sleep(0.05)
            on_fold(number, value)
        return fold(self, params, later)
    module.Objective.scores = slow
    print("ready", flush=True)
    module.run({url!r}, n=6)
"""


def killed_when(url: str, ready: Callable[[], bool]) -> None:
    """Start the search in a process of its own and SIGKILL it as soon as `ready`."""
    code = textwrap.dedent(CHILD.format(file=__file__, url=url))
    env = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    with subprocess.Popen([sys.executable, "-c", code], env=env, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        until = time.monotonic() + 30
        while not ready() and time.monotonic() < until:
            assert child.poll() is None
            time.sleep(0.01)
        child.send_signal(signal.SIGKILL)


def is_in_third_trial(url: str) -> bool:
    """Tell whether the third trial has drawn its parameters and reported a fold."""
    with contextlib.closing(sqlite3.connect(url.removeprefix("sqlite:///"), timeout=20)) as connection:
        rows = connection.execute(
            "select 1 from trials join trial_intermediate_values using (trial_id) "
            "where number = 2 and state = 'RUNNING'"
        )
        return rows.fetchone() is not None


def test_resumes_after_sigkill_with_exactly_n_and_retries_the_killed_trial(url: str) -> None:
    killed_when(url, lambda: is_in_third_trial(url))
    left = [trial for trial in trials(url) if trial.state == TrialState.RUNNING]
    assert [trial.number for trial in left] == [2]
    best = run(url, n=6)
    found = trials(url)
    assert best.trials == sum(trial.state in FINISHED for trial in found) == 6
    assert not [trial for trial in found if trial.state in (TrialState.RUNNING, TrialState.WAITING)]
    again = [trial for trial in found if trial.system_attrs.get("retry_history") == [2]]
    assert [trial.params for trial in again] == [left[0].params]
    assert again[0].state in FINISHED
    assert len({tuple(sorted(trial.params.items(), key=str)) for trial in found}) == 6
