"""predict(): choose the version, load, score, log, answer. What was answered has been committed."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.utils import timezone

from mlops_site.core.permissions import Actor
from mlops_site.serving.answers import Answers, Question, answers_of, check_ids
from mlops_site.serving.arms import answer, deal
from mlops_site.serving.choosing import Chosen, choose
from mlops_site.serving.completing import recall
from mlops_site.serving.reasons import check_reasons, with_reasons
from mlops_site.serving.scoring import draft_of
from monitoring.services import answers_kept, log_answers
from registry.services import note_use


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
    is the production version, where `arrival` has just read it. With `reasons`, each answer has so many. Under a
    running experiment each row goes to the arm of its unit, see `arms`; who names a version takes no part in it.
    Features that a row of a unit lacks are read from the feature sets of its version, see `completing`.

    Raises NotFound, Forbidden, Conflict `no_production_version`, `not_served` or `request_id_conflict`, and Invalid
    with every feature at fault.
    """
    started = time.perf_counter()
    check_ids(questions)
    check_reasons(reasons, len(questions))
    chosen = choose(model_name, actor, version, chosen)
    asked: list[Any] = [version] if not reasons else [version, reasons]
    drafts = [draft_of(chosen, q, i, is_batch, asked, now or timezone.now()) for i, q in enumerate(questions)]
    can_repeat = not dry_run and any(question.request_id for question in questions)
    kept = answers_kept(drafts) if can_repeat else {}
    recall(kept.values())
    fresh = [i for i, draft in enumerate(drafts) if draft.row.request_id not in kept]
    new = [drafts[i] for i in fresh]
    route = deal([draft.row for draft in new], chosen) if new else None
    if new:
        spared = answer(new, chosen, route, fresh, is_batch=is_batch, reasons=reasons)
        spent = time.perf_counter() - started
        for row, _ in new:
            row.latency_ms = (spent - spared.get(row.request_id, 0.0)) * 1000
        if not dry_run:
            kept |= {row.request_id: row for row in log_answers(new)}
    note_use(actor, (chosen.model_id,))
    answers = answers_of(model_name, chosen, route, drafts, kept, dry_run=dry_run)
    return with_reasons(answers, drafts, kept, reasons) if reasons else answers
