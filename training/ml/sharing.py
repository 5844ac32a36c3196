"""Several workers at one study: who gives way, and whose trials are tried again."""

import contextlib
import logging
import warnings
from collections.abc import Iterator
from time import monotonic
from typing import Any

import optuna
from optuna.exceptions import ExperimentalWarning, UpdateFinishedTrialError
from optuna.storages import RDBStorage, fail_stale_trials
from optuna.trial import FrozenTrial, TrialState
from sqlalchemy import column, select, table

from training.ml.studies import GRACE_SECS

FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)


_OPTUNA = logging.getLogger("optuna.study._optimize")


class Surplus(Exception):
    """Enough trials are finished or under way in other workers."""


@contextlib.contextmanager
def quiet_about(*expected: type[Exception]) -> Iterator[None]:
    """Optuna warns of every trial that ended by an exception; not of those that ended by one of these, for nothing is
    wrong with them. It warns twice, and the second time, without the exception, only that there is no value."""

    def is_news(record: logging.LogRecord) -> bool:
        raised = record.exc_info[1] if record.exc_info else None
        return not isinstance(raised, expected) and not record.getMessage().endswith(" failed with value None.")

    _OPTUNA.addFilter(is_news)
    try:
        yield
    finally:
        _OPTUNA.removeFilter(is_news)


def retry_running(study: optuna.Study, storage: RDBStorage, worker: str) -> None:
    """Fail what a dead process left running and queue it again; a late answer from it is then refused."""
    running = study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
    for trial in running if not worker else [each for each in running if each.user_attrs.get("worker") == worker]:
        _try_again(study, storage, trial)


def _try_again(study: optuna.Study, storage: RDBStorage, trial: FrozenTrial) -> None:
    retry = storage.get_heartbeat_stale_trial_callback()
    with contextlib.suppress(UpdateFinishedTrialError):
        storage.set_trial_state_values(trial._trial_id, state=TrialState.FAIL)
        if retry is not None:
            retry(study, storage.get_trial(trial._trial_id))


class Lost:
    """Trials of other processes that died. Optuna tells those whose heartbeat has stopped; one whose process was killed
    before its first heartbeat has none that could stop, and is lost when it is seen without one for as long."""

    def __init__(self, study: optuna.Study, storage: RDBStorage) -> None:
        self._study, self._storage = study, storage
        self._silent_since: dict[int, float] = {}  # by this process's clock: machines' clocks differ

    def retry(self) -> None:
        """Queue again those that are lost by now."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ExperimentalWarning)
            fail_stale_trials(self._study)
        running = self._study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
        silent = {each._trial_id: each for each in running if each._trial_id not in self._heard(running)}
        now = monotonic()
        self._silent_since = {number: self._silent_since.get(number, now) for number in silent}
        for number, since in self._silent_since.items():
            if now - since > GRACE_SECS:
                _try_again(self._study, self._storage, silent[number])

    def _heard(self, running: list[FrozenTrial]) -> set[int]:
        beats = table("trial_heartbeats", column("trial_id"))
        asked = select(beats.c.trial_id).where(beats.c.trial_id.in_([each._trial_id for each in running]))
        with self._storage.engine.connect() as connection:
            return set(connection.scalars(asked))


def check_room(study: optuna.Study, trial: optuna.Trial, wanted: int) -> None:
    """Give way when enough other trials are finished or come before this one, or one of them is the same.

    Numbers are given in order and never again, so of the trials that pass, the one with the highest number has counted
    all the others: more than `wanted` are never finished. One that waits counts, for another worker may begin it now.
    """
    states = (*FINISHED, TrialState.RUNNING, TrialState.WAITING)
    others = {other.number: other for other in study.get_trials(deepcopy=False, states=states)}
    own = _origin(others.pop(trial.number, None))
    ahead = [other for other in others.values() if other.state in FINISHED or other.number < trial.number]
    if len(ahead) >= wanted or (own and own in map(_origin, ahead)):
        raise Surplus


def _origin(trial: FrozenTrial | None) -> list[Any]:
    """What a trial was queued for: the defaults, or another try of a lost one; two workers may queue both at once."""
    found = trial.system_attrs if trial else {}
    return [found[key] for key in ("fixed_params", "retry_history") if found.get(key)]


@contextlib.contextmanager
def told_already() -> Iterator[None]:
    """On SQLite two workers can both take the trial that waits first: who ends second finds it finished, goes on."""
    try:
        yield
    except ValueError as error:
        if not str(error).startswith("Cannot tell a "):
            raise
