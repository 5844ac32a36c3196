"""Validation reports: files that people attach to a version, kept by digest and never shown as a page."""

from __future__ import annotations

import re
from typing import IO

from django.conf import settings

from mlops_site.core import events, store
from mlops_site.core.errors import Conflict, Invalid, TooLarge
from mlops_site.core.permissions import Action, Actor, person, require
from mlops_site.core.texts import unseen
from registry.choices import IN_FAVOUR, RequestStatus
from registry.models import Review, ValidationReport, Version
from registry.services.guards import locked
from registry.services.voiding import void_reviews

MEDIA_TYPES = {".pdf": "application/pdf", ".md": "text/markdown", ".txt": "text/plain"}
MOST = 50  # of one version
_NAME = re.compile(r"[^\x00-\x1f\x7f/\\<>\"'%;:|?*\u202a-\u202e\u2066-\u2069]{1,116}(\.pdf|\.md|\.txt)", re.IGNORECASE)


def attach_report(version: Version, *, actor: Actor, name: str, content: IO[bytes]) -> ValidationReport:
    """Keep a PDF, Markdown or plain text file with the version. Evidence gathered from now on names its digest, and
    an approval that was given without having seen it, of a request that still waits, is void.

    Invalid `bad_name`, `false_type`, `empty`; TooLarge; Conflict `attached_already`, `too_many`; Forbidden.
    """
    with events.atomic():
        require(actor, Action.REPORT_ATTACH, version.model.team, subject=version.subject)
    media_type = _media_type(name)
    data = content.read(settings.REPORT_MAX_BYTES + 1)
    _check(data, media_type)
    stored = store.put(data, max_bytes=settings.REPORT_MAX_BYTES)
    with locked(version.model) as model:
        require(actor, Action.REPORT_ATTACH, model.team, subject=version.subject)
        _check_room(version, stored.digest)
        row = {"version": version, "name": name, "media_type": media_type, "by": person(actor)}
        report = ValidationReport.objects.create(**row, digest=stored.digest, size=stored.size)
        data_ = {"name": name, "digest": stored.digest, "size": stored.size}
        events.record("report.attached", actor=actor, subject=version.subject, team=model.team.name, data=data_)
        given = Review.objects.filter(request__version=version, request__status=RequestStatus.PENDING)
        why = f"{name} was attached after it"
        void_reviews(given.filter(decision__in=IN_FAVOUR), actor=actor, why=why)
    return report


def _media_type(name: str) -> str:
    found = _NAME.fullmatch(name)
    if found is None:
        message = (
            f"the file must have a plain name of at most 120 characters in .pdf, .md or .txt but got {name[:80]!r}"
        )
        raise Invalid.on("file", message, code="bad_name")
    return MEDIA_TYPES[found[1].lower()]


def _check(data: bytes, media_type: str) -> None:
    limit = settings.REPORT_MAX_BYTES
    if len(data) > limit:
        raise TooLarge.on("file", f"the file must be at most {limit:,} bytes but has more", code="too_large")
    if not data.strip():
        raise Invalid.on("file", "the file must say something but is empty", code="empty")
    if (why := _false_type(data, media_type)) is not None:
        raise Invalid.on("file", f"the file must be {media_type} but {why}", code="false_type")


def _false_type(data: bytes, media_type: str) -> str | None:
    if media_type == "application/pdf":
        return None if data.startswith(b"%PDF-") else f"begins with {data[:8]!r}"
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        return f"byte {error.start} is not UTF-8"
    found = unseen(text.removeprefix("\ufeff"))
    return f"holds the control character {found}" if found else None


def _check_room(version: Version, digest: str) -> None:
    known = ValidationReport.objects.filter(version=version)
    if known.filter(digest=digest).exists():
        raise Conflict.on("file", f"{version} has a report with exactly these bytes", code="attached_already")
    if known.count() >= MOST:
        raise Conflict.on("file", f"{version} has {MOST} reports; no more are kept", code="too_many")
