"""An ended run as MLflow has it: an experiment per model, a run per training run, in it one per model type, in that one
per trial. Everything can be done again without a second record.

MLflow is a mirror, and is told after the run has ended: what is wrong with it keeps no run waiting.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from django.conf import settings

from mlops_site.core import mlflow
from mlops_site.core.choices import JobState
from mlops_site.core.mirror import keep, tell_all
from mlops_site.core.mlflow import RUN_TAG, TYPE_TAG
from training.ml import studies
from training.models import Run, UnrecordedRun
from training.pipeline import pictures
from training.pipeline.selection import study_name
from training.services.records import next_unrecorded, postpone_record, recorded
from training.services.schema import columns_of

if TYPE_CHECKING:
    import optuna
    from mlflow import MlflowClient

TRIAL_TAG = "steward.trial"
STATUS = {JobState.SUCCEEDED: "FINISHED", JobState.FAILED: "FAILED", JobState.CANCELLED: "KILLED"}
PARAM_CHARS, LABEL_CHARS, DIGEST_CHARS = 500, 500, 36  # MLflow refuses longer digests
SCHEMA_CHARS = 1_000_000
KEEP_EVERY = 20  # trials between two renewals of the lease
COLUMN_TYPES = {"number": "double", "boolean": "boolean", "datetime": "datetime"}


class Place(NamedTuple):
    """Where the parts of a run go: its experiment, its record, and the parts that are there already, by their tags."""

    client: MlflowClient
    experiment: str
    parent: str
    known: dict[tuple[str, str], Any]


def catch_up() -> int:
    """Tell MLflow of every ended run that is due; how many it took (see `mirror.tell_all`)."""
    return tell_all(next_unrecorded, _tell, postpone_record)


def _tell(client: MlflowClient, waiting: UnrecordedRun) -> None:
    recorded(waiting, record(client, waiting.run))


def record(client: MlflowClient, run: Run) -> dict[str, str]:
    """The identifiers of the MLflow run. What an earlier try began is continued."""
    experiment = mlflow.experiment(client, run.model.name)
    began = _millis(run.started_at or run.created_at)
    parent = mlflow.run(client, experiment, mlflow.key_of_run(run.pk), {}, began=began).info
    if parent.status not in STATUS.values():
        place = Place(client, experiment, parent.run_id, _known(client, experiment, run))
        with _studies(run) as found:
            for model_type, study in found.items():
                _tell_type(place, run, model_type, study)
            _tell_run(place, run, found)
        ended = max(_millis(run.finished_at) or 0, parent.start_time)  # where a version was there first, it began it
        client.set_terminated(parent.run_id, STATUS[JobState(run.state)], ended)
    return {"run_id": parent.run_id, "url": mlflow.run_page(experiment, parent.run_id)}


@contextmanager
def _studies(run: Run) -> Iterator[dict[str, optuna.Study]]:
    """The run's Optuna studies by model type, those that were begun."""
    import optuna

    with studies.open_storage(settings.OPTUNA_STORAGE) as storage:
        found = {}
        for model_type in run.spec["model_types"]:
            with suppress(KeyError):  # not begun
                found[model_type] = optuna.load_study(study_name=study_name(run, model_type), storage=storage)
        yield found


def _known(client: MlflowClient, experiment: str, run: Run) -> dict[tuple[str, str], Any]:
    """What MLflow has of the run's parts: {(model type, trial's number or ""): info}."""
    found: dict[tuple[str, str], Any] = {}
    token: str | None = None
    while True:
        page = client.search_runs(
            [experiment], filter_string=f"tags.`{RUN_TAG}` = '{run.pk}'", max_results=1_000, page_token=token
        )
        for row in page:
            tags = row.data.tags
            found[tags.get(TYPE_TAG, ""), tags.get(TRIAL_TAG, "")] = row.info
        token = page.token
        if not token:
            return found


def _tell_run(place: Place, run: Run, found: dict[str, optuna.Study]) -> None:
    client, parent = place.client, place.parent
    client.log_batch(parent, params=_params(_spec(run)), metrics=_metrics(run), tags=_tags(_about(run)))
    client.log_inputs(parent, datasets=[_data_set(run)])
    with tempfile.TemporaryDirectory() as folder:
        place_at = Path(folder)
        for name, content in (("spec", run.spec), ("leaderboard", run.leaderboard), ("gate", run.gate)):
            if content:
                (place_at / f"{name}.json").write_text(json.dumps(content, indent=1))
        pictures.draw(run, found, place_at / "figures")
        _keep()
        client.log_artifacts(parent, folder)


def _tell_type(place: Place, run: Run, model_type: str, study: optuna.Study) -> None:
    """A model type with its best trial's numbers, and a run in it for each of its finished trials."""
    from optuna.trial import TrialState

    trials = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))
    tags = {RUN_TAG: str(run.pk), TYPE_TAG: model_type, "mlflow.parentRunId": place.parent}
    started = min((trial.datetime_start for trial in trials if trial.datetime_start), default=run.started_at)
    nested = place.known.get((model_type, "")) or _begun(place, model_type, tags, started)
    for count, trial in enumerate(trials):
        if count % KEEP_EVERY == 0:
            _keep()
        _tell_trial(place, run, trial, {**tags, "mlflow.parentRunId": nested.run_id, TRIAL_TAG: str(trial.number)})
    if nested.status in STATUS.values():
        return
    entry: dict[str, Any] = next((row for row in run.leaderboard if row["model_type"] == model_type), {})
    if entry:
        metrics = _by_fold(entry["metric"], entry["mean"], entry["se"], entry["folds"])
        place.client.log_batch(nested.run_id, params=_params(entry["params"]), metrics=metrics)
    ended = max((trial.datetime_complete for trial in trials if trial.datetime_complete), default=run.finished_at)
    place.client.set_terminated(nested.run_id, "FINISHED" if entry else STATUS[JobState(run.state)], _millis(ended))


def _tell_trial(place: Place, run: Run, trial: optuna.trial.FrozenTrial, tags: dict[str, str]) -> None:
    """Three calls, whatever a trial has: MLflow makes no runs in bulk."""
    info = place.known.get((tags[TYPE_TAG], tags[TRIAL_TAG]))
    if info is not None and info.status in STATUS.values():
        return
    pruned = trial.state.name == "PRUNED"
    state = {**tags, "steward.trial_state": trial.state.name.lower()}
    info = info or _begun(place, f"{tags[TYPE_TAG]} {trial.number}", state, trial.datetime_start)
    metric = run.spec["metric"]
    if pruned:  # means over the folds until it was given up
        metrics = [_metric(f"{metric}_so_far", value, step + 1) for step, value in trial.intermediate_values.items()]
    else:
        told = trial.user_attrs
        metrics = _by_fold(metric, trial.value, told.get("se"), told.get("folds", []))
        metrics += [_metric("threshold", told["threshold"], 0)] if told.get("threshold") is not None else []
    place.client.log_batch(info.run_id, params=_params(trial.params), metrics=metrics)
    place.client.set_terminated(info.run_id, "KILLED" if pruned else "FINISHED", _millis(trial.datetime_complete))


def _begun(place: Place, name: str, tags: dict[str, str], at: Any) -> Any:
    return place.client.create_run(place.experiment, start_time=_millis(at), tags=tags, run_name=name).info


def _keep() -> None:
    if not keep():
        raise RuntimeError("another process has begun to tell MLflow, because this one took too long")


def _about(run: Run) -> dict[str, str]:
    """What leads back to the run here, and what MLflow shows by itself."""
    said = {
        "mlflow.runName": str(run.pk)[:8],
        "mlflow.user": run.requested_by.username,
        "mlflow.source.name": f"/runs/{run.pk}",
        "mlflow.source.git.commit": run.code.partition("+")[0],
        "mlflow.note.content": f"Run {run.pk} of Steward, at /runs/{run.pk}: {run.trigger_reason}",
        "steward.dataset": str(run.dataset),
        "steward.code": run.code,
        "steward.state": run.state,
        "steward.trigger_reason": run.trigger_reason,
        "steward.error": run.error[:1_000],
        "steward.version": run.version.number if run.version else "",
        "steward.digest": run.version.artifact_id if run.version else "",
        "steward.gate": "" if run.gate is None else "passed" if run.gate["passed"] else "not passed",
    }
    return {name: value for name, value in said.items() if value}


def _data_set(run: Run) -> Any:
    """MLflow's data set input: its digest is the start of ours, which stands in full in the source."""
    from mlflow.entities import Dataset, DatasetInput, InputTag

    version = run.dataset
    columns = [
        {"name": name, "type": COLUMN_TYPES.get(about["kind"], "string"), "required": False}
        for name, about in columns_of(version).items()
    ]
    schema = json.dumps({"mlflow_colspec": columns})
    told = Dataset(
        name=str(version),
        digest=version.digest[:DIGEST_CHARS],
        source_type="steward",
        source=json.dumps({"data_set": str(version), "sha256": version.digest}),
        schema=schema if len(schema) <= SCHEMA_CHARS else None,
        profile=json.dumps({"num_rows": version.rows, "num_elements": version.rows * len(columns)}),
    )
    return DatasetInput(dataset=told, tags=[InputTag("mlflow.data.context", "training")])


def _spec(run: Run) -> dict[str, Any]:
    winner = run.leaderboard[0] if run.leaderboard else {}
    best = {"best_model_type": winner["model_type"], **winner["params"]} if winner else {}
    return {**run.spec, "seed": run.seed, "data_digest": run.dataset.digest, **best}


def _metrics(run: Run) -> list[Any]:
    """On the holdout, with their intervals, and over the folds."""
    found = []
    for name, metric in (run.version.metrics if run.version else {}).items():
        low, high = metric["ci95"] or (None, None)
        parts = {name: metric["value"], f"{name}_ci95_low": low, f"{name}_ci95_high": high}
        found += [_metric(part, value, 0) for part, value in parts.items() if value is not None]
    if run.leaderboard:
        best = run.leaderboard[0]
        found += [_metric(f"cv_{best['metric']}_{part}", best[part], 0) for part in ("mean", "se")]
    if run.nested:
        found += [_metric(f"nested_{run.nested['metric']}_{part}", run.nested[part], 0) for part in ("mean", "se")]
    return found


def _by_fold(metric: str, mean: float | None, se: float | None, folds: list[float]) -> list[Any]:
    parts = {f"{metric}_mean": mean, f"{metric}_se": se}
    by_fold = [_metric(metric, value, step) for step, value in enumerate(folds, start=1)]
    return [*by_fold, *(_metric(name, value, 0) for name, value in parts.items() if value is not None)]


def _metric(name: str, value: float, step: int) -> Any:
    from mlflow.entities import Metric

    return Metric(name, value, 0, step)


def _params(values: dict[str, Any]) -> list[Any]:
    from mlflow.entities import Param

    return [Param(name, f"{value!s:.{PARAM_CHARS}}") for name, value in list(values.items())[:90]]


def _tags(values: dict[str, str]) -> list[Any]:
    from mlflow.entities import RunTag

    return [RunTag(name, value) for name, value in values.items()]


def _millis(at: Any) -> int | None:
    return None if at is None else int(at.timestamp() * 1_000)
