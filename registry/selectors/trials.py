"""A reviewer's own sample claims, scored by the candidate beside what serves. Nothing of it is logged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from mlops_site.core.errors import Conflict, Invalid, StewardError
from mlops_site.core.permissions import Action, Actor, require
from registry.artifacts.scorer import cached
from registry.models import PromotionRequest, Version
from registry.selectors.stages import in_production

MAX_ROWS = 100


class Side(NamedTuple):
    """What one version answers to each row; `note` says why there is nothing."""

    version: str
    answers: list[dict[str, Any]]
    note: str = ""


class Trial(NamedTuple):
    candidate: Side
    production: Side | None


def trial(request: PromotionRequest, *, actor: Actor, rows: Sequence[Mapping[str, Any]]) -> Trial:
    """Both versions on up to 100 rows of features, each {"prediction", "score", "decision"}.

    Invalid names the field of the row that the candidate does not take; what production does not take is a note.
    Forbidden unless the actor reviews promotions; Conflict `artifact_unusable`.
    """
    require(actor, Action.PROMOTION_REVIEW, request.model.team, subject=request.subject)
    if not 1 <= len(rows) <= MAX_ROWS:
        raise Invalid.on("rows", f"rows must hold 1 to {MAX_ROWS} claims but holds {len(rows)}", code="out_of_range")
    try:
        candidate = Side(request.version.number, _answers(request.version, rows))
    except Invalid:
        raise
    except StewardError as error:
        raise Conflict(f"{request.version} cannot score: {error.detail}", code="artifact_unusable") from error
    serving = in_production(request.model)
    return Trial(candidate, None if serving is None else _side(serving, rows))


def _side(version: Version, rows: Sequence[Mapping[str, Any]]) -> Side:
    try:
        return Side(version.number, _answers(version, rows))
    except StewardError as error:
        return Side(version.number, [], error.detail)


def _answers(version: Version, rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    artifact = version.serving or version.artifact
    scorer = cached(artifact.digest, artifact.format, version.signature, key=version.pk)
    scores = scorer.score(scorer.check_rows([dict(row) for row in rows], single=False))
    answers = []
    for i, value in enumerate(scores.prediction.tolist()):
        score = None if scores.score is None else float(scores.score[i])
        decides = scorer.signature.is_binary and score is not None
        decision = int(score >= version.threshold) if decides and score is not None else None
        answers.append({"prediction": value, "score": score, "decision": decision})
    return answers
