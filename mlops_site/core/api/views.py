"""The base of every endpoint: the actor, and Idempotency-Key for unsafe POSTs."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from django.db import IntegrityError, transaction
from django.http import HttpRequest
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

    @property
    def actor(self) -> Actor:
        return actor_of(self.request)

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        key = request.headers.get(HEADER)
        if request.method != "POST" or key is None:
            return super().dispatch(request, *args, **kwargs)
        if not 1 <= len(key) <= 128 or not key.isprintable():
            return problem.json_response(Malformed(f"{HEADER} must be 1 to 128 printable characters but got {len(key)}"))
        return self._once(request, key, *args, **kwargs)

    def _once(self, request: HttpRequest, key: str, *args: Any, **kwargs: Any) -> HttpResponseBase:
        """The effect and its answer are committed together; a repeated key gets the first answer. A concurrent
        request with the same key waits in the INSERT until the first one has committed."""
        drf_request = self.initialize_request(request, *args, **kwargs)
        user = getattr(drf_request, "user", None)
        if user is None or user.pk is None:
            return super().dispatch(request, *args, **kwargs)
        digest = _request_digest(request)
        try:
            with transaction.atomic():
                row = IdempotencyKey.objects.create(user=user, key=key, request_digest=digest)
                response = super().dispatch(request, *args, **kwargs)
                self._keep(row, response)
        except IntegrityError:
            first = IdempotencyKey.objects.filter(user=user, key=key).first()
            if first is None:
                raise
            return _replay(first, digest)
        refused = getattr(request, "refused_with", None)
        if isinstance(refused, Forbidden):
            events.record_refusal(refused)
        return response

    def _keep(self, row: IdempotencyKey, response: HttpResponseBase) -> None:
        if response.status_code >= 400 or not isinstance(response, Response):
            transaction.set_rollback(True)
            return
        response.render()
        row.status, row.body = response.status_code, response.content.decode()
        row.save(update_fields=["status", "body"])


def _request_digest(request: HttpRequest) -> str:
    """Method, path and body; of an upload only the path, because its boundary changes with each try."""
    parts = [request.method or "", request.get_full_path()]
    body = b"" if (request.content_type or "").startswith("multipart/") else request.body
    return hashlib.sha256("\n".join(parts).encode() + b"\n" + body).hexdigest()


def _replay(first: IdempotencyKey, digest: str) -> HttpResponseBase:
    if first.request_digest != digest:
        return problem.json_response(
            Conflict(f"{HEADER} {first.key[:80]!r} was used for another request", code="idempotency_key_reused")
        )
    response = Response(json.loads(first.body) if first.body else None, status=first.status, headers={"Idempotent-Replay": "true"})
    view = APIView()
    response.accepted_renderer = view.get_renderers()[0]
    response.accepted_media_type, response.renderer_context = "application/json", {}
    response.render()
    return response
