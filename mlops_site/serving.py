"""predict(): choose the version, load, score, log, answer. What was answered has been committed."""

from __future__ import annotations

import functools
import re
import time
import uuid
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import Any, NamedTuple, cast

from django.db.models import Q, QuerySet
from django.utils import timezone
from django.utils.functional import SimpleLazyObject

from mlops_site.core import events, tokens
from mlops_site.core.errors import Conflict, FieldError, Invalid, NotFound, StewardError
from mlops_site.core.permissions import Action, Actor, require
from mlops_site.core.prepared import Prepared
from monitoring.models import Prediction
from monitoring.selectors.explanations import explained, told
from monitoring.services import Draft, answers_kept, log_answers
from monitoring.services.explanations import explanation_for
from registry.artifacts.scorer import Scorer, using
from registry.choices import SERVED, Stage
from registry.models import Artifact, RegisteredModel, StageInterval, Version
from registry.models.version import parts_of
from registry.selectors import explainer_of
from registry.services import note_use

ARM = "production"
MAX_REASONS = 50
MAX_EXPLAINED = 20  # rows of one request
EXPLAIN_CELLS = 40_000  # rows that it is asked about before the time is looked at
EXPLAIN_SECS = 1.0  # that a version which is asked for its reasons, not read, may take in one request
_WHOLE = ("method", "output_space", "explained", "base_value", "residual", "background")


class Question(NamedTuple):
    """One row to score. Without a request id it cannot be repeated."""

    features: Mapping[str, Any]
    request_id: str = ""
    unit_id: str = ""


class Reason(NamedTuple):
    """What one input contributed to an answer, towards it or, below nought, away from it."""

    feature: str
    value: Any
    contribution: float


class Answer(NamedTuple):
    """The answer to one row. `decision` is 1 from `threshold` on; both are None unless there are two classes.
    `probabilities` are those of each class, where there are more. Where they were asked for, `reasons` are the largest
    contributions, and `explanation` is what they are parts of."""

    prediction_id: str | None  # None of a dry run
    request_id: str
    version: str
    prediction: Any
    score: float | None
    probabilities: dict[str, float] | None
    decision: int | None
    threshold: float | None
    duplicate: bool
    reasons: list[Reason] | None = None
    explanation: dict[str, Any] | None = None


class Deprecation(NamedTuple):
    """That the version which was named should not be used any more, since when and why."""

    at: datetime
    note: str


class Answers(NamedTuple):
    model: str
    version: str
    arm: str
    predictions: list[Answer]
    deprecated: Deprecation | None = None  # of a version that was named


_TOKENS = "model__team__tokens__"  # from an interval to the tokens of the team that its model belongs to
_COLUMNS = (  # of Chosen
    "model_id",
    "model__team_id",
    "stage",
    "version_id",
    "version__major",
    "version__minor",
    "version__patch",
    "version__threshold",
    "version__artifact_id",
    "version__serving_id",
)


_PINNED = (*_COLUMNS, "version__remark__deprecated_at", "version__remark__deprecation")  # for who names a version


class Chosen(NamedTuple):
    """The version that answers; columns of one query."""

    model_id: int
    team_id: int
    stage: str
    version_id: int
    major: int
    minor: int
    patch: int
    threshold: float
    digest: str
    serving_digest: str | None
    deprecated_at: datetime | None = None  # read of a version that is named
    deprecation: str | None = None

    @property
    def number(self) -> str:
        return f"{self.major}.{self.minor}.{self.patch}"

    def scorer(self) -> AbstractContextManager[Scorer]:
        """From this process's memory by digest and version; the signature is read only when it is not there."""
        signature = SimpleLazyObject(
            lambda: Version.objects.values_list("signature", flat=True).get(pk=self.version_id)
        )
        digest = self.serving_digest or self.digest
        return using(digest, _format(digest), cast(Mapping[str, Any], signature), key=self.version_id)


@functools.lru_cache(maxsize=10_000)
def _format(digest: str) -> str:
    """Of an artifact, for good: a digest names one content."""
    return Artifact.objects.values_list("format", flat=True).get(pk=digest)


def predict(
    model_name: str,
    *,
    actor: Actor,
    questions: Sequence[Question],
    version: str | None = None,
    dry_run: bool = False,
    is_batch: bool = False,
    reasons: int = 0,
    chosen: Chosen | None = None,
    now: datetime | None = None,
) -> Answers:
    """Score the rows with the production version (or a pinned one in staging or production) and log the answers in
    one transaction. A repeated request id gets its first answer; a dry run is neither logged nor compared. `chosen`
    is the production version, where `arrival` has just read it. With `reasons`, each answer has so many.

    Raises NotFound, Forbidden, Conflict `no_production_version`, `not_served` or `request_id_conflict`, and Invalid
    with every feature at fault.
    """
    started = time.perf_counter()
    _check_ids(questions)
    _check_reasons(reasons, len(questions))
    chosen = _choose(model_name, actor, version, chosen)
    asked: list[Any] = [version] if not reasons else [version, reasons]
    drafts = [_draft(chosen, q, i, is_batch, asked, now or timezone.now()) for i, q in enumerate(questions)]
    can_repeat = not dry_run and any(question.request_id for question in questions)
    kept = answers_kept(drafts) if can_repeat else {}
    fresh = [i for i, draft in enumerate(drafts) if draft.row.request_id not in kept]
    if fresh:
        _score([drafts[i] for i in fresh], chosen, fresh, is_batch=is_batch)
        if reasons:
            _explain([drafts[i].row for i in fresh], chosen)
        for i in fresh:
            drafts[i].row.latency_ms = (time.perf_counter() - started) * 1000
        if not dry_run:
            logged = log_answers([drafts[i] for i in fresh])
            kept |= {row.request_id: row for row in logged}
    note_use(actor, (chosen.model_id,))
    answers = _answers(model_name, chosen, drafts, kept, dry_run=dry_run)
    return _with_reasons(answers, drafts, kept, reasons) if reasons else answers


def _check_reasons(reasons: int, rows: int) -> None:
    if not 0 <= reasons <= MAX_REASONS:
        message = f"reasons must be a whole number from 1 to {MAX_REASONS} but got {reasons}"
        raise Invalid.on("reasons", message, code="out_of_range")
    if reasons and rows > MAX_EXPLAINED:
        message = f"reasons are given for up to {MAX_EXPLAINED} rows at a time but there are {rows}; send them in parts"
        raise Invalid.on("reasons", message, code="too_many_rows")


def _explain(rows: Sequence[Prediction], chosen: Chosen) -> None:
    """Give each row its explanation, which is kept with it."""
    try:
        explainer = explainer_of(chosen.version_id)
    except Conflict as error:
        raise Conflict.on("reasons", error.detail, code=error.code) from error
    for row in rows:
        explanation_for(explainer, row, secs=EXPLAIN_SECS / len(rows), cells=EXPLAIN_CELLS // len(rows))


def _with_reasons(answers: Answers, drafts: Sequence[Draft], kept: Mapping[str, Prediction], count: int) -> Answers:
    """The answers with the `count` largest contributions of each; a repeated request was asked for as many before."""
    rows = [kept.get(draft.row.request_id, draft.row) for draft in drafts]
    contents = told([row.pk for row in rows if not Prediction.explanation.is_cached(row)])
    contents |= {row.pk: row.explanation.content for row in rows if Prediction.explanation.is_cached(row)}
    return answers._replace(
        predictions=[
            answer._replace(**_reasons(row.pk, draft.row.features, contents[row.pk], count))
            for answer, draft, row in zip(answers.predictions, drafts, rows, strict=True)
        ]
    )


def _reasons(prediction_id: uuid.UUID, features: Mapping[str, Any], content: Mapping[str, Any], count: int) -> Any:
    largest = explained(prediction_id, features, content).contributions[:count]
    parts = [Reason(each.feature, each.value, each.contribution) for each in largest]
    return {"reasons": parts, "explanation": {name: content[name] for name in _WHOLE}}


def _check_ids(questions: Sequence[Question]) -> None:
    seen: set[str] = set()
    for index, question in enumerate(questions):
        if question.request_id and question.request_id in seen:
            message = f"request_id must differ from row to row but {question.request_id!r} stands twice"
            raise Invalid.on(f"rows[{index}].request_id", message, code="duplicate_request_id")
        seen.add(question.request_id)


def arrival(model_name: str, token: str) -> tuple[Actor, Chosen] | None:
    """Who bears the token, and the production version of the model, by one query: on the way of every claim a second
    one would take as long as scoring. None where there is no such version in the token's team or the token is not
    usable: ask one after the other, and find out which.
    """
    now = timezone.now()
    prefix = tokens.prefix_of(token)
    for row in _at_once(now - tokens.NOTED_EVERY, model_name, Stage.PRODUCTION, prefix, now):
        of_version = len(_COLUMNS)
        return tokens.bearer(token, row[of_version:]), Chosen(*row[:of_version])
    return None


@Prepared
def _at_once(
    an_hour_ago: datetime, model_name: str, stage: str, prefix: str, now: datetime
) -> QuerySet[StageInterval, tuple[Any, ...]]:
    # One filter: each of several would look at another token of the team.
    wanted = Q(model__name=model_name) & Q(stage=stage) & tokens.usable(prefix, now, _TOKENS)
    rows = StageInterval.objects.open().filter(wanted).annotate(is_noted=tokens.is_noted(an_hour_ago, _TOKENS))
    return rows.values_list(*_COLUMNS, *tokens.columns(_TOKENS), "is_noted")


def _choose(model_name: str, actor: Actor, version: str | None, chosen: Chosen | None) -> Chosen:
    """Read at each request, so that no process answers with a version that has been replaced."""
    found = chosen if version is None else None
    if found is None:
        rows = _in_stage(model_name, Stage.PRODUCTION) if version is None else _pinned(model_name, version)
        found = next((Chosen(*row) for row in rows), None)
    if found is None or not actor.may(Action.PREDICT, found.team_id):
        raise _absence(model_name, actor, version)
    if found.stage not in SERVED:
        message = (
            f"version {version} of {model_name} must be in staging or production but is in {found.stage}; "
            "leave version out to ask the one in production"
        )
        raise Conflict.on("version", message, code="not_served")
    return found


def _pinned(model_name: str, version: str) -> list[tuple[Any, ...]]:
    """By number, or as @alias; @production and @staging are what is there now, of several the newest."""
    if parts := parts_of(version):
        return _numbered(model_name, *parts)
    if not version.startswith("@"):
        return []
    name = version[1:]
    return _newest_in(model_name, name) if name in SERVED else _aliased(model_name, name)


@Prepared
def _in_stage(model_name: str, stage: str) -> QuerySet[StageInterval, tuple[Any, ...]]:
    return StageInterval.objects.open().filter(model__name=model_name).filter(stage=stage).values_list(*_COLUMNS)


@Prepared
def _numbered(model_name: str, major: int, minor: int, patch: int) -> QuerySet[StageInterval, tuple[Any, ...]]:
    rows = StageInterval.objects.open().filter(model__name=model_name).filter(version__major=major)
    return rows.filter(version__minor=minor).filter(version__patch=patch).values_list(*_PINNED)


@Prepared
def _aliased(model_name: str, alias: str) -> QuerySet[StageInterval, tuple[Any, ...]]:
    rows = StageInterval.objects.open().filter(model__name=model_name).filter(version__aliases__name=alias)
    return rows.values_list(*_PINNED)


@Prepared
def _newest_in(model_name: str, stage: str) -> QuerySet[StageInterval, tuple[Any, ...]]:
    rows = StageInterval.objects.open().filter(model__name=model_name).filter(stage=stage)
    return rows.order_by("-version__major", "-version__minor", "-version__patch").values_list(*_PINNED)


def _absence(model_name: str, actor: Actor, version: str | None) -> StewardError:
    """Why there is no version to answer with, as far as the actor may know."""
    model = RegisteredModel.objects.filter(name=model_name, team__in=actor.roles).select_related("team").first()
    if model is None:
        return NotFound(f"no model {model_name[:80]!r} here, or it belongs to another team", code="unknown_model")
    with events.atomic():
        require(actor, Action.PREDICT, model.team, subject=model.subject)
    if version is not None:
        return NotFound.on("version", f"{model_name} has no version {version[:40]!r}", code="unknown_version")
    return Conflict(f"{model_name} has no version in production; promote one first", code="no_production_version")


def _draft(chosen: Chosen, question: Question, index: int, is_batch: bool, asked: list[Any], now: datetime) -> Draft:
    row = Prediction(
        model_id=chosen.model_id,
        version_id=chosen.version_id,
        request_id=question.request_id or str(uuid.uuid4()),
        payload_digest=events.digest_of([question.features, question.unit_id, *asked]),
        unit_id=question.unit_id,
        arm=ARM,
        features=question.features,
        predicted_at=now,
    )
    return Draft(row, f"rows[{index}]." if is_batch else "")


def _score(drafts: Sequence[Draft], chosen: Chosen, positions: Sequence[int], *, is_batch: bool) -> None:
    """Fill in what the version answers. Invalid names each field by its position in the whole request."""
    with chosen.scorer() as scorer:
        try:
            columns = scorer.check_rows([draft.row.features for draft in drafts], single=not is_batch)
        except Invalid as error:
            raise _placed(error, positions) from None
        scores = scorer.score(columns)
    is_binary, probabilities = scorer.signature.is_binary, scores.by_class(scorer.signature)
    for i, (row, _) in enumerate(drafts):
        row.prediction = scores.prediction[i].item()
        row.probabilities = None if probabilities is None else probabilities[i]
        row.score = None if scores.score is None else float(scores.score[i])
        if is_binary and row.score is not None:
            row.threshold, row.decision = chosen.threshold, int(row.score >= chosen.threshold)


def _placed(error: Invalid, positions: Sequence[int]) -> Invalid:
    """The same, when rows that were answered before are left out of the ones checked."""

    def place(text: str) -> str:
        return re.sub(r"^rows\[(\d+)\]", lambda found: f"rows[{positions[int(found[1])]}]", text)

    errors = [FieldError(place(e.field), e.code, e.message) for e in error.errors]
    return Invalid(place(error.detail), code=error.code, errors=errors)


def _answers(
    model_name: str, chosen: Chosen, drafts: Sequence[Draft], kept: Mapping[str, Prediction], *, dry_run: bool
) -> Answers:
    answers = []
    for draft in drafts:
        row = kept.get(draft.row.request_id, draft.row)
        is_first = row is draft.row
        answers.append(
            Answer(
                prediction_id=None if dry_run else str(row.pk),
                request_id=row.request_id,
                version=chosen.number if is_first else row.version.number,
                prediction=row.prediction,
                score=row.score,
                probabilities=row.probabilities,
                decision=row.decision,
                threshold=row.threshold,
                duplicate=not is_first,
            )
        )
    numbers = {answer.version for answer in answers}
    number = numbers.pop() if len(numbers) == 1 else chosen.number
    deprecated = Deprecation(_moment(chosen.deprecated_at), chosen.deprecation or "") if chosen.deprecated_at else None
    return Answers(model_name, number, ARM, answers, deprecated)


def _moment(at: datetime | str) -> datetime:
    """SQLite's driver gives times as text."""
    found = at if isinstance(at, datetime) else datetime.fromisoformat(at)
    return found if found.tzinfo else found.replace(tzinfo=UTC)
