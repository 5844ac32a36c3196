"""A plain HTTP client of the API, as a claims system would write one."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import requests

ENDED = ("succeeded", "failed", "cancelled")


class StepFailed(Exception):
    """A step of the story did not give what it should; the message says which and what came instead."""


class Client:
    """One caller with its token. Connections are kept alive."""

    def __init__(self, address: str, token: str) -> None:
        self._base = f"{address}/api/v1"
        self._session = requests.Session()
        self._session.trust_env = False  # a proxy of the machine has no part in this
        self._session.headers["Authorization"] = f"Bearer {token}"

    def call(self, method: str, path: str, *, expect: int, **kwargs: Any) -> dict[str, Any]:
        """The answer's JSON; StepFailed when its status is not `expect`."""
        response = self._session.request(method, self._base + path, timeout=60, **kwargs)
        if response.status_code != expect:
            raise StepFailed(f"{method} {path} answered {response.status_code}, not {expect}: {response.text[:500]}")
        answer: dict[str, Any] = response.json()
        return answer

    def get(self, path: str, **params: Any) -> dict[str, Any]:
        return self.call("GET", path, expect=200, params=params)

    def post(self, path: str, body: Any, *, expect: int = 200) -> dict[str, Any]:
        return self.call("POST", path, expect=expect, json=body)

    def wait_for_run(
        self, job_id: str, *, secs: float, on_progress: Callable[[dict[str, Any]], None]
    ) -> dict[str, Any]:
        """Poll a training run until it ends; StepFailed when it fails or takes longer than `secs`."""
        deadline = time.monotonic() + secs
        while time.monotonic() < deadline:
            status = self.get(f"/training/status/{job_id}")
            on_progress(status)
            if status["state"] == "succeeded":
                return status
            if status["state"] in ENDED:
                raise StepFailed(f"run {job_id} {status['state']}: {status['error']}")
            time.sleep(0.5)
        raise StepFailed(f"run {job_id} took longer than {secs:.0f} s")
