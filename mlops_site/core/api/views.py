"""The base of every endpoint: the actor, and Idempotency-Key for unsafe POSTs."""

from __future__ import annotations

import hashlib
from typing import Any, ClassVar

from django.core.files.uploadedfile import UploadedFile
from django.db import IntegrityError, transaction
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from rest_framework.response import Response
from rest_framework.views import APIView

from mlops_site.core import events
from mlops_site.core.api import problem
from mlops_site.core.api.auth import actor_of
from mlops_site.core.errors import Conflict, Forbidden, Malformed
from mlops_site.core.models import IdempotencyKey
from mlops_site.core.permissions import Actor

HEADER = "Idempotency-Key"


class ApiView(APIView):
    """Views validate, call one service or selector, serialise."""

    file_field: ClassVar[str] = ""  # of an upload: see core.intake
    # whether a second call changes nothing and answers the same, and a call may wait for what others do
    repeats_itself: ClassVar[bool] = False
    answers_secrets: ClassVar[bool] = False  # then no answer is kept, and Idempotency-Key is passed over

    @property
    def actor(self) -> Actor:
        return actor_of(self.request)

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        key = request.headers.get(HEADER)
        if request.method != "POST" or key is None or self.answers_secrets:
            return super().dispatch(request, *args, **kwargs)
        try:
            return self._once(request, key, *args, **kwargs)
        except Exception as exc:
            if (error := problem.translate(exc)) is None:
                raise
            return problem.json_response(error)

    def _once(self, request: HttpRequest, key: str, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """The effect and its answer are committed together; a repeated key gets the first answer. A concurrent
        request with the same key waits in the INSERT until the first one has committed."""
        if not 1 <= len(key) <= 128 or not key.isprintable():
            raise Malformed(f"{HEADER} must be 1 to 128 printable characters but got {len(key)}")
        drf_request = self.initialize_request(request, *args, **kwargs)
        if drf_request.user is None:
            return super().dispatch(request, *args, **kwargs)
        own = {"user": drf_request.user, "key": key}
        digest = _request_digest(request, actor_of(drf_request))
        if self.repeats_itself:
            return self._apart(request, own, digest, *args, **kwargs)
        try:
            with transaction.atomic():
                row = IdempotencyKey.objects.create(**own, request_digest=digest)
                response = super().dispatch(request, *args, **kwargs)
                self._keep(row, response)
        except IntegrityError:
            first = IdempotencyKey.objects.filter(**own).first()
            if first is None:
                raise
            return _replay(first, digest)
        refused = getattr(request, "refused_with", None)
        if isinstance(refused, Forbidden):
            events.record_refusal(refused)  # what was recorded inside has been rolled back with the key
        return response

    def _apart(
        self, request: HttpRequest, own: dict[str, Any], digest: str, *args: Any, **kwargs: Any
    ) -> HttpResponseBase:
        """The key first, then the effect in transactions of its own, then its answer: who waits for others must hold
        nothing that they wait for. Whoever died in between is repeated, because that changes nothing."""
        row, _ = IdempotencyKey.objects.get_or_create(**own, defaults={"request_digest": digest})
        if row.status or row.request_digest != digest:
            return _replay(row, digest)
        response = None
        try:
            response = super().dispatch(request, *args, **kwargs)
        finally:
            if response is None or response.status_code >= 400:
                IdempotencyKey.objects.filter(pk=row.pk, status=0).delete()
        if response.status_code < 400:
            self._fill(row, response)
        return response

    def _keep(self, row: IdempotencyKey, response: HttpResponseBase) -> None:
        if response.status_code >= 400:
            transaction.set_rollback(True)
            return
        self._fill(row, response)

    def _fill(self, row: IdempotencyKey, response: HttpResponseBase) -> None:
        if not isinstance(response, Response):
            raise TypeError(f"{type(self).__name__} must answer a Response to be repeatable but got {type(response)}")
        response.render()
        said = {"status": response.status_code, "body": response.content.decode()}
        IdempotencyKey.objects.filter(pk=row.pk, status=0).update(**said)


def _request_digest(request: HttpRequest, actor: Actor) -> str:
    """Of who asks (a token's scopes included), method, path and what was sent; of an upload its fields and files,
    because its boundary changes with each try."""
    scopes = sorted(actor.scopes) if actor.scopes is not None else None
    about = [sorted(actor.roles.items()), scopes, request.method, request.get_full_path()]
    if not (request.content_type or "").startswith("multipart/"):
        return hashlib.sha256(events.canonical(about).encode() + b"\n" + request.body).hexdigest()
    fields = sorted(request.POST.lists())
    files = [(name, f.name, _file_digest(f)) for name, each in sorted(request.FILES.lists()) for f in each]
    return events.digest_of([*about, fields, files])


def _file_digest(file: UploadedFile[Any]) -> str:
    sha = hashlib.sha256()
    for chunk in file.chunks():
        sha.update(chunk)
    file.seek(0)
    return sha.hexdigest()


def _replay(first: IdempotencyKey, digest: str) -> HttpResponseBase:
    """The first answer's own bytes."""
    if first.request_digest != digest:
        raise Conflict(f"{HEADER} {first.key[:80]!r} was used for another request", code="idempotency_key_reused")
    headers = {"Idempotent-Replay": "true"}
    return HttpResponse(first.body, status=first.status, content_type="application/json", headers=headers)
