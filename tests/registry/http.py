"""People who speak to the site over HTTP."""

from __future__ import annotations

import json
from typing import Any

from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client

from mlops_site.core.permissions import Actor
from tests.people import bearer
from tests.registry.parts import user

API = "/api/v1"
Answer = tuple[int, Any]


class Person:
    """Somebody with a token, who sends and gets JSON."""

    def __init__(self, actor: Actor) -> None:
        self._client = Client(headers=bearer(user(actor)))

    def get(self, path: str, **query: Any) -> Answer:
        return self._said(self._client.get(API + path, query))

    def post(self, path: str, body: Any = None, **headers: str) -> Answer:
        sent = json.dumps({} if body is None else body)
        return self._said(self._client.post(API + path, sent, content_type="application/json", headers=headers))

    def patch(self, path: str, body: Any) -> Answer:
        return self._said(self._client.patch(API + path, json.dumps(body), content_type="application/json"))

    def put(self, path: str, body: Any) -> Answer:
        return self._said(self._client.put(API + path, json.dumps(body), content_type="application/json"))

    def delete(self, path: str) -> int:
        return self._client.delete(API + path).status_code

    def upload(self, content: bytes, *, name: str = "claims", **form: Any) -> Answer:
        file = SimpleUploadedFile("model.skops", content)
        texts = {key: value if isinstance(value, str) else json.dumps(value) for key, value in form.items()}
        return self._said(self._client.post(f"{API}/models/{name}/versions", {"artifact": file, **texts}))

    def _said(self, response: Any) -> Answer:
        is_problem = response.status_code >= 400
        assert response["Content-Type"] == ("application/problem+json" if is_problem else "application/json")
        return response.status_code, response.json()
