"""Everything that was logged of one model so far, counted before somebody goes on."""

from __future__ import annotations

import time

from django.db import connection
from django.db.models import Exists, Max, OuterRef, QuerySet

from monitoring.models import FoldItem, Label, Prediction
from monitoring.services.folding import LIMIT, fold, recall_waiting
from registry.models import RegisteredModel

_PAUSE_SECS = 0.05


def settle(model: RegisteredModel, *, within_secs: float) -> int:
    """Fold what was committed of the model before, and wait for what other folders hold of it; how many items are left
    when the time is over. What is queued of other models is nobody's business here.

    Each part is folded in a transaction of its own. In a caller's transaction the locks of folding last until its end,
    and a folder that waits for one of them may hold what would be waited for here: so everything is taken at once, in
    the one order of locks, and nobody is waited for.
    """
    deadline, alone = time.monotonic() + within_secs, not connection.in_atomic_block
    last = FoldItem.objects.aggregate(last=Max("pk"))["last"] or 0
    while oldest := [*_ready(model, last)[: LIMIT if alone else None]]:
        taken = fold(len(oldest), among=oldest)
        if time.monotonic() > deadline or not alone:
            break
        if not taken:
            time.sleep(_PAUSE_SECS)
    return _ready(model, last).count()


def _ready(model: RegisteredModel, last: int) -> QuerySet[FoldItem, int]:
    """Ids of the model's items up to `last` that can be folded, oldest first. A label whose prediction was not folded
    when it came is one of them once that is."""
    recall_waiting(model.pk)
    rows = FoldItem.objects.filter(
        Exists(Prediction.objects.filter(pk=OuterRef("prediction_id"), model=model))
        | Exists(Label.objects.filter(pk=OuterRef("label_id"), model=model)),
        waiting=False,
        pk__lte=last,
    )
    return rows.order_by("pk").values_list("pk", flat=True)
