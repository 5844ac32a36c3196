"""Asking for two versions of a data set to be compared by a worker, and stopping it."""

from __future__ import annotations

from collections.abc import Sequence

from mlops_site.core import events, jobs
from mlops_site.core.errors import Invalid
from mlops_site.core.permissions import Action, Actor, person, require
from training.models import Comparison, Dataset, DatasetVersion
from training.selectors import differences

MAX_KEYS = 50


def request_comparison(
    before: DatasetVersion, after: DatasetVersion, *, actor: Actor, keys: Sequence[str] = ()
) -> Comparison:
    """A queued comparison of `after` with `before`; the caller rings the bell. The one of the same pair and keys that
    is under way, or is done, is answered and not doubled.

    Raises Forbidden; Invalid for a pair that is none and for keys that are no columns, Conflict `data_gone`.
    """
    names, digest = differences.keys_of(keys)
    with events.atomic():
        require(actor, Action.DATASET_CHECK, after.dataset.team, subject=after.dataset.subject)
        differences.check_pair(before, after)
        Dataset.objects.select_for_update(no_key=True).get(pk=after.dataset_id)  # two who ask at once get the same one
        if kept := differences.comparison_kept(before, after, names):
            return kept
        differences.check_bytes(before, after)
        _check_keys(before, after, names)
        made = Comparison.objects.create(
            before=before,
            after=after,
            keys=names,
            keys_digest=digest,
            requested_by=person(actor),
            step="waiting for a worker",
        )
        data = {"before": str(before), "after": str(after), "keys": names}
        team = after.dataset.team.name
        events.record("comparison.requested", actor=actor, subject=made.subject, team=team, data=data)
    return made


def cancel_comparison(comparison: Comparison, *, actor: Actor) -> Comparison:
    """Ask it to stop; asking again changes nothing. Conflict `already_ended` when it has ended otherwise."""
    dataset = comparison.after.dataset
    with events.atomic():
        require(actor, Action.DATASET_CHECK, dataset.team, subject=dataset.subject)
        jobs.cancel(comparison, actor=actor, team=comparison.team_name)
    return comparison


def _check_keys(before: DatasetVersion, after: DatasetVersion, keys: Sequence[str]) -> None:
    if len(keys) > MAX_KEYS:
        raise Invalid.on("keys", f"keys must be at most {MAX_KEYS} columns but are {len(keys)}", code="too_many")
    shared = set.intersection(*({each["name"] for each in side.schema["columns"]} for side in (before, after)))
    for name in keys:
        if name not in shared:
            message = f"keys must be columns of both versions but got {name!r:.80}"
            raise Invalid.on("keys", message, code="unknown_column")
