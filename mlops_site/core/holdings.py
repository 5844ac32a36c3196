"""What the store holds against what rows say: damaged and missing files, and files that no row names."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from django.apps import apps
from django.utils import timezone

from mlops_site.core import store
from mlops_site.core.errors import Conflict, StewardError, Unavailable

GRACE = timedelta(days=1)
"""A file younger than this may wait for its row: it is stored before the transaction that names it."""


def named() -> dict[str, str]:
    """Digest -> a row that names it, of every model that declares `STORED_UNDER`, the columns with its digests, and
    perhaps `STORED_WHILE`: by column, the rows whose files are still wanted."""
    found: dict[str, str] = {}
    for model in apps.get_models():
        for column in getattr(model, "STORED_UNDER", ()):
            wanted = getattr(model, "STORED_WHILE", {}).get(column, {})
            rows = model._default_manager.filter(**wanted).order_by().values_list("pk", column)
            found |= {digest: f"{model._meta.verbose_name} {pk}" for pk, digest in rows.iterator() if digest}
    return found


def faults() -> Iterator[str]:
    """A sentence for each file that a row names and that is missing or damaged; every byte is read. Unavailable if the
    store is: that says nothing of a file.
    """
    for digest, row in sorted(named().items()):
        try:
            with store.open_verified(digest):
                pass
        except Unavailable:
            raise
        except StewardError as error:
            yield f"{row}: {error.detail}"


def orphans() -> list[str]:
    """Digests of files that no row names and that are older than a day."""
    before = timezone.now() - GRACE
    old = [digest for digest in store.digests() if _is_older(digest, before)]
    known = named() if old else {}  # read after the files: a row that came meanwhile keeps its file
    return [digest for digest in old if digest not in known]


def sweep() -> list[str]:
    """Delete the orphans that nobody has stored again since they were found, and what was never finished; the digests
    of the orphans. Conflict `age_unknown` on a store that does not say so: an upload under way might lose its file.
    """
    if not store.knows_age():
        message = "this storage does not say how old a file is; delete what verify_artifacts counts by hand"
        raise Conflict(message, code="age_unknown")
    before = timezone.now() - GRACE
    store.delete_unfinished(before=before)
    swept = []
    for digest in orphans():
        if _is_older(digest, before):
            store.delete(digest)
            swept.append(digest)
    return swept


def _is_older(digest: str, moment: datetime) -> bool:
    try:
        return store.stored_at(digest) < moment
    except FileNotFoundError:  # swept by somebody else
        return False
