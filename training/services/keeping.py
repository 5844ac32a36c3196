"""Who answers for a data set, how long its bytes are kept, and their end."""

from __future__ import annotations

import logging
from typing import Any

from django.utils import timezone

from mlops_site.core import events, holdings, store
from mlops_site.core.errors import Conflict, Invalid, StewardError
from mlops_site.core.models import User
from mlops_site.core.permissions import Action, Actor, person, require
from registry.models import RegisteredModel
from training.models import Dataset, DatasetVersion, Erasure, Run
from training.selectors import keeping

log = logging.getLogger(__name__)
LONGEST_DAYS = 36_600
RETENTION = Actor.system("retention")


def set_keeping(dataset: Dataset, *, actor: Actor, fields: dict[str, Any]) -> Dataset:
    """Change some of `owner` (a user name, or ""), `retention_days` (None: for good) and `hold` (why no bytes may go,
    or ""). The hold takes another right than the rest. Raises Forbidden, Invalid."""
    with events.atomic():
        row = Dataset.objects.select_for_update(no_key=True, of=("self",)).select_related("team").get(pk=dataset.pk)
        rights = {Action.DATASET_HOLD if name == "hold" else Action.DATASET_KEEP for name in fields}
        for right in rights or {Action.DATASET_KEEP}:
            require(actor, right, row.team, subject=row.subject)
        changes = {name: _CHECKS[name](row, value) for name, value in fields.items()}
        for name, value in changes.items():
            setattr(row, name, value)
        row.save(update_fields=list(changes))
        data = {name: str(value) if isinstance(value, User) else value for name, value in changes.items()}
        events.record("dataset.keeping_set", actor=actor, subject=row.subject, team=row.team.name, data=data)
    return row


def _owner(dataset: Dataset, name: object) -> User | None:
    if name in ("", None):
        return None
    found = User.objects.filter(username=name, is_active=True, memberships__team=dataset.team).first()
    if found is None:
        message = f"owner must be a member of {dataset.team} but got {str(name)[:80]!r}"
        raise Invalid.on("owner", message, code="unknown_member")
    return found


def _days(dataset: Dataset, days: object) -> int | None:
    if days is None or (isinstance(days, int) and not isinstance(days, bool) and 1 <= days <= LONGEST_DAYS):
        return days
    message = f"retention_days must be a whole number from 1 to {LONGEST_DAYS:,}, or null, but got {days!r:.80}"
    raise Invalid.on("retention_days", message, code="invalid")


def _hold(dataset: Dataset, reason: object) -> str:
    return _sentence("hold", reason, low=0)


def _sentence(field: str, text: object, *, low: int) -> str:
    if not isinstance(text, str) or not low <= len(text.strip()) <= 200 or not (text.isprintable() or not text):
        message = f"{field} must be {low} to 200 printable characters but got {text!r:.80}"
        raise Invalid.on(field, message, code="invalid")
    return text.strip()


_CHECKS = {"owner": _owner, "retention_days": _days, "hold": _hold}


def erase_dataset_version(version: DatasetVersion, *, actor: Actor, reason: str) -> Erasure:
    """Delete a version's bytes for good; its row, digest, profile and lineage stay, with who and why. Doing it again
    changes nothing. Runs that wait for the bytes will fail and say so.

    Raises Forbidden; Conflict `on_hold` under a legal hold, `in_production` while a model trained on it serves.
    """
    with events.atomic():
        require(actor, Action.DATASET_KEEP, version.dataset.team, subject=version.dataset.subject)
        made = _erased(version, actor, _sentence("reason", reason, low=1))
    _forget(made)
    return made


def erase_expired() -> list[DatasetVersion]:
    """What retention asks for, one version at a time, and files that an earlier sweep had to leave. Beat rings."""
    ended = []
    for version in keeping.expired(timezone.now()):
        try:
            with events.atomic():
                days = version.dataset.retention_days
                ended.append(_erased(version, RETENTION, f"kept for the {days} days that its data set says").version)
        except Conflict as refusal:  # held, or in production, since it was found
            log.info("%s stays: %s", version, refusal.detail)
    for row in Erasure.objects.filter(is_done=False).select_related("version"):
        _forget(row)
    return ended


def _erased(version: DatasetVersion, actor: Actor, reason: str) -> Erasure:
    # Under the locks of the models that learned from it, before its own: no version of them goes into production
    # between the look and the end.
    learned = RegisteredModel.objects.filter(pk__in=Run.objects.filter(dataset=version).values("model"))
    list(learned.select_for_update(no_key=True).order_by("pk").values_list("pk"))
    dataset = (
        Dataset.objects.select_for_update(no_key=True, of=("self",)).select_related("team").get(pk=version.dataset_id)
    )
    if dataset.hold:
        raise Conflict(f"no bytes of {dataset} may be deleted: {dataset.hold}", code="on_hold")
    if DatasetVersion.objects.filter(keeping.in_production(), pk=version.pk).exists():
        raise Conflict(f"{version} stays: a version in production was trained on it", code="in_production")
    by = None if actor.user is None else person(actor)
    made, is_new = Erasure.objects.get_or_create(version=version, defaults={"by": by, "reason": reason})
    if is_new:
        data = {"version": version.version, "digest": version.digest, "reason": reason}
        events.record("dataset.erased", actor=actor, subject=dataset.subject, team=dataset.team.name, data=data)
    return made


def _forget(row: Erasure) -> None:
    """Delete the file unless another row names it, or somebody may be about to: then it is left to a later sweep."""
    digest = row.version.digest
    try:
        if store.exists(digest) and digest not in holdings.named():
            again = store.stored_at(digest)
            if again > row.version.created_at and again > timezone.now() - holdings.GRACE:
                return  # the same bytes were stored again a short while ago: their row may be about to come
            store.delete(digest)
    except (StewardError, FileNotFoundError):
        log.warning("the file of %s could not be deleted; the next sweep tries again", row.version, exc_info=True)
        return
    Erasure.objects.filter(pk=row.pk).update(is_done=True)
