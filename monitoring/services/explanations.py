"""Explains predictions that are kept; each is explained once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from mlops_site.core import events, jobs
from mlops_site.core.choices import JobState
from mlops_site.core.errors import Conflict, Invalid, NotFound
from mlops_site.core.permissions import Action, Actor, require
from monitoring.choices import PredictionStatus
from monitoring.models import Explanation, ExplanationRun, Prediction
from monitoring.selectors.explanations import Explained, explained, told
from registry.artifacts.explainer import Budget, Explainer
from registry.models import Version
from registry.selectors import explainer_of
from training.selectors import personal_columns

MAX_IDS = 50
MAX_QUEUED = 1_000
SECS = 8.0  # that all sampled explanations of one request may take together
CELLS_A_SEC = 40_000  # rows that any model here scores in a second: what is begun ends in time
QUEUED_SECS = 10.0  # for each row of a job
CHUNK = 10  # rows that a job keeps at a time
_FIELD = "prediction_ids"


def explain_predictions(version: Version, *, actor: Actor, prediction_ids: Sequence[object]) -> list[Explained]:
    """Why the version answered up to 50 predictions as it did, in the order in which they are named.

    Raises Forbidden; Invalid for what is no id or too many; NotFound `unknown_prediction`, also for another model's;
    Conflict `other_version`, `failed_prediction`, `features_erased`, `features_differ` or `no_background`, naming the
    prediction. Then nothing is kept of any.
    """
    with events.atomic():
        require(actor, Action.INPUT_VIEW, version.model.team, subject=version.subject)
    rows = [_explainable(row, version) for row in _rows(version, _ids(prediction_ids, MAX_IDS))]
    known = told([row.pk for row in rows])
    fresh = [row for row in rows if row.pk not in known]
    if fresh:
        _keep(version, fresh, secs=SECS / len(fresh))
    known, masked = told([row.pk for row in rows]), personal_columns(version)
    return [explained(row.pk, row.features, known[row.pk], masked=masked) for row in rows]


def request_explanations(version: Version, *, actor: Actor, prediction_ids: Sequence[object]) -> ExplanationRun:
    """A queued job that explains up to 1,000 predictions, to be read afterwards; the caller rings the bell.

    Raises what `explain_predictions` raises, before anything is queued.
    """
    ids = _ids(prediction_ids, MAX_QUEUED)
    with events.atomic():
        team = version.model.team
        require(actor, Action.INPUT_VIEW, team, subject=version.subject)
        for row in _rows(version, ids):
            _explainable(row, version)
        texts = [str(each) for each in ids]
        step = "waiting for a worker"
        run = ExplanationRun.objects.create(version=version, prediction_ids=texts, requested_by=actor.user, step=step)
        data = {"version": version.number, "predictions": len(ids)}
        events.record("explanation.requested", actor=actor, subject=run.subject, team=team.name, data=data)
    return run


def execute(run: ExplanationRun) -> None:
    """One attempt, in its child process: explain what is not, and keep it by tens."""
    version, ids = run.version, [UUID(each) for each in run.prediction_ids]
    known = told(ids)
    rows = [_explainable(row, version) for row in _rows(version, ids) if row.pk not in known]
    for start in range(0, len(rows), CHUNK):
        _keep(version, rows[start : start + CHUNK], secs=QUEUED_SECS)
        done = len(known) + min(start + CHUNK, len(rows))
        jobs.advance(run, step=f"{done} of {len(ids)} explained", progress=0.99 * done / len(ids))
    jobs.finish(run, JobState.SUCCEEDED, step="done", progress=1.0)


def explanation_for(explainer: Explainer, row: Prediction, *, secs: float, cells: int) -> Explanation:
    """The row, not yet kept, of an explanation of a prediction; Invalid if its features are not the version's."""
    columns = explainer.scorer.check_rows([row.features], single=True)
    budget = Budget(secs=secs, cells=cells)
    found = explainer.explain(columns, answer=_answer(row, explainer), budget=budget)
    return Explanation(prediction=row, content=found.to_json())


def _answer(row: Prediction, explainer: Explainer) -> float | None:
    """What was answered, as the explainer takes it. Of more than two classes only the likeliest has a score."""
    signature = explainer.signature
    if signature.classes is None:
        value: Any = row.prediction
        return float(value)
    return row.score if signature.is_binary else None


def _ids(given: Sequence[object], most: int) -> list[UUID]:
    if not 1 <= len(given) <= most:
        message = f"{_FIELD} must be 1 to {most} ids but got {len(given)}; ask in parts"
        raise Invalid.on(_FIELD, message, code="too_many" if given else "required")
    found: dict[UUID, None] = {}
    for each in given:
        try:
            found[UUID(str(each))] = None
        except ValueError:
            message = f"{_FIELD} must be ids of predictions but got {str(each)[:80]!r}"
            raise Invalid.on(_FIELD, message, code="bad_prediction_id") from None
    return list(found)


def _rows(version: Version, ids: Sequence[UUID]) -> list[Prediction]:
    rows = Prediction.objects.filter(pk__in=ids, model=version.model_id).select_related("version")
    found = rows.defer("version__reference", "version__golden", "version__explanation").in_bulk()
    for each in ids:
        if each not in found:
            message = f"{version.model.name} has no prediction {each}"
            raise NotFound.on(_FIELD, message, code="unknown_prediction")
    return [found[each] for each in ids]


def _explainable(row: Prediction, version: Version) -> Prediction:
    if row.version_id != version.pk:
        message = f"prediction {row.pk} was answered by version {row.version.number}, not {version.number}; ask there"
        raise Conflict.on(_FIELD, message, code="other_version")
    if row.status != PredictionStatus.OK:
        message = f"prediction {row.pk} has no answer to explain: the model failed with {row.error_code or 'an error'}"
        raise Conflict.on(_FIELD, message, code="failed_prediction")
    if not row.features:
        raise Conflict.on(_FIELD, f"the features of prediction {row.pk} have been erased", code="features_erased")
    return row


def _keep(version: Version, rows: Sequence[Prediction], *, secs: float) -> None:
    """Explain rows that are not; of two requests at once the first keeps its explanation."""
    explainer = explainer_of(version.pk)
    made = [_explained(explainer, row, secs) for row in rows]
    Explanation.objects.bulk_create(made, ignore_conflicts=True)


def _explained(explainer: Explainer, row: Prediction, secs: float) -> Explanation:
    try:
        return explanation_for(explainer, row, secs=secs, cells=int(secs * CELLS_A_SEC))
    except Invalid as error:
        message = f"the features of prediction {row.pk} are not those that the version takes: {error.detail}"
        raise Conflict.on(_FIELD, message, code="features_differ") from error


def explain_prediction(row: Prediction, *, actor: Actor) -> Explained:
    """Of one prediction by its own version; see `explain_predictions`."""
    asked: list[Any] = [row.pk]
    return explain_predictions(row.version, actor=actor, prediction_ids=asked)[0]
