"""POST /models/{name}/predict: a plain view, because every millisecond of it is somebody's claim waiting."""

from __future__ import annotations

from typing import Any, NamedTuple

from django.http import HttpRequest, JsonResponse
from django.views.decorators.csrf import csrf_exempt
from rest_framework.exceptions import MethodNotAllowed, UnsupportedMediaType

from mlops_site import serving
from mlops_site.core.api import problem
from mlops_site.core.api.auth import actor_of_plain, bearer_of
from mlops_site.core.api.parsers import load_json
from mlops_site.core.errors import Invalid, TooLarge
from mlops_site.core.permissions import Actor
from mlops_site.serving import Answer, Chosen, Question

MAX_ROWS = 1_000
MAX_ID = 128
_ROW = {"features", "request_id", "unit_id"}
_SHARED = {"dry_run", "version", "reasons"}


class Asked(NamedTuple):
    """A body, read."""

    questions: list[Question]
    is_batch: bool
    version: str | None
    dry_run: bool
    reasons: int


@csrf_exempt  # a token needs no CSRF check; a session gets it in actor_of_plain
def predict(request: HttpRequest, name: str) -> JsonResponse:
    """Score one row or up to 1,000 and log the answers before giving them."""
    try:
        answer = _answer(request, name)
        return JsonResponse(answer, headers=_deprecation(answer.get("deprecated")))
    except Exception as exc:
        error = problem.translate(exc)
        if error is None:
            raise
        return problem.json_response(error)


def _answer(request: HttpRequest, name: str) -> dict[str, Any]:
    actor, chosen = _arrival(request, name)
    if request.method != "POST":
        raise MethodNotAllowed(str(request.method))
    if request.content_type != "application/json":
        raise UnsupportedMediaType(request.content_type or "")
    asked = read(load_json(request.body))
    answers = serving.predict(
        name,
        actor=actor,
        questions=asked.questions,
        version=asked.version,
        dry_run=asked.dry_run,
        is_batch=asked.is_batch,
        reasons=asked.reasons,
        chosen=chosen,
    )
    said = {**answers._asdict(), "predictions": [_said(answer) for answer in answers.predictions]}
    deprecated = said.pop("deprecated")
    return said if deprecated is None else {**said, "deprecated": deprecated._asdict()}


def _deprecation(deprecated: dict[str, Any] | None) -> dict[str, str]:
    """Of a version that was named and should not be: RFC 9745, and a Warning that proxies and clients log."""
    if deprecated is None:
        return {}
    note = "".join(c if c.isascii() and c.isprintable() and c not in '"\\' else " " for c in deprecated["note"])
    return {"Deprecation": f"@{int(deprecated['at'].timestamp())}", "Warning": f'299 - "{note[:500]}"'}


def _said(answer: Answer) -> dict[str, Any]:
    """An answer; its reasons only where they were asked for, what was completed only where something was."""
    said = answer._asdict()
    if said["completed"] is None:
        del said["completed"]
    reasons, explanation = said.pop("reasons"), said.pop("explanation")
    if reasons is not None:
        said |= {"reasons": [reason._asdict() for reason in reasons], "explanation": explanation}
    return said


def _arrival(request: HttpRequest, name: str) -> tuple[Actor, Chosen | None]:
    """Who asks; and the production version of the model where both were found at once."""
    text = bearer_of(request)
    found = None if text is None else serving.arrival(name, text)
    return found or (actor_of_plain(request), None)


def read(body: Any) -> Asked:
    """The request that a JSON value is; Invalid names the field at fault and its value."""
    _check_object(body, "", {"rows", *_SHARED} if isinstance(body, dict) and "rows" in body else _ROW | _SHARED)
    is_batch = "rows" in body
    questions = _rows(body["rows"]) if is_batch else [_question(body, "")]
    dry_run, version = body.get("dry_run", False), body.get("version")
    if not isinstance(dry_run, bool):
        raise _wrong("dry_run", "true or false", dry_run)
    if version is not None and not isinstance(version, str):
        raise _wrong("version", "a text such as 1.2.0", version)
    reasons = body.get("reasons")
    if reasons is not None and (type(reasons) is not int or reasons < 1):
        raise _wrong("reasons", f"a whole number from 1 to {serving.MAX_REASONS}", reasons)
    return Asked(questions, is_batch, version, dry_run, reasons or 0)


def _rows(rows: Any) -> list[Question]:
    if not isinstance(rows, list) or not rows:
        raise _wrong("rows", f"a list of 1 to {MAX_ROWS} rows", rows)
    if len(rows) > MAX_ROWS:
        message = f"rows must be at most {MAX_ROWS} but got {len(rows)}; send them in parts"
        raise TooLarge.on("rows", message, code="too_many_rows")
    for index, row in enumerate(rows):
        _check_object(row, f"rows[{index}]", _ROW)
    return [_question(row, f"rows[{index}].") for index, row in enumerate(rows)]


def _question(row: dict[str, Any], place: str) -> Question:
    unit_id = _id(row, "unit_id", place)
    if "features" not in row and not unit_id:
        message = f"{place}features must be given: an object; or unit_id, to read them from feature sets"
        raise Invalid.on(f"{place}features", message, code="required")
    features = row.get("features", {})
    if not isinstance(features, dict):
        raise _wrong(f"{place}features", "an object", features)
    return Question(features, _id(row, "request_id", place), unit_id)


def _id(row: dict[str, Any], name: str, place: str) -> str:
    value = row.get(name)
    if value is None:
        return ""
    if not isinstance(value, str) or not 1 <= len(value) <= MAX_ID or not value.isprintable():
        raise _wrong(f"{place}{name}", f"a printable text of 1 to {MAX_ID} characters", value)
    return value


def _check_object(value: Any, field: str, known: set[str]) -> None:
    if not isinstance(value, dict):
        raise _wrong(field, "an object", value)
    for name in value.keys() - known:
        place = f"{field}.{name[:80]}" if field else name[:80]
        message = f"{place} is not a field here; known: {', '.join(sorted(known))}"
        raise Invalid.on(place, message, code="unknown_field")


def _wrong(field: str, wanted: str, value: Any) -> Invalid:
    shown = f"{type(value).__name__} of {len(value)}" if isinstance(value, dict | list) else repr(value)[:80]
    message = f"{field or 'the body'} must be {wanted} but got {shown}"
    return Invalid.on(field, message, code="wrong_type")
