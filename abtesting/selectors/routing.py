"""What a claim meets on its way: the split that is open, and who answers under it."""

from __future__ import annotations

import functools
from typing import NamedTuple

from django.db.models import OuterRef, Q, Subquery

from abtesting.models import Epoch
from abtesting.stats.assignment import Split
from registry.selectors.served import Served, served


class Routing(NamedTuple):
    """An epoch with its experiment. Both stay as they are but for their ends, which are no part of it."""

    epoch: int
    experiment: int
    name: str
    design: str
    split: Split
    version_a: int
    b: Served


@functools.lru_cache(maxsize=1_000)
def routing(epoch_pk: int) -> Routing:
    """From this process's memory, for good. Not for an epoch that is not committed yet: its key might be given to
    another one."""
    epoch = Epoch.objects.select_related("experiment").get(pk=epoch_pk)
    test = epoch.experiment
    b = served(test.version_b_id)
    return Routing(epoch.pk, test.pk, test.name, test.design, epoch.split(test), test.version_a_id, b)


def open_epoch(stage_of_b: str) -> Subquery:
    """Of a stage interval: the epoch under which its version is A and B is in `stage_of_b`. Null says that the claim
    meets no experiment, also where one of the versions has left its place a moment ago."""
    of_model = Q(experiment__model=OuterRef("model")) & Q(experiment__version_a=OuterRef("version"))
    is_open = Q(ended_at=None) & Q(experiment__ended_at=None)
    b_is_there = Q(experiment__version_b__intervals__ended_at=None) & Q(
        experiment__version_b__intervals__stage=stage_of_b
    )
    return Subquery(Epoch.objects.filter(of_model & is_open & b_is_there).order_by().values("pk")[:1])
