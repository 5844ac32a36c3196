"""Endpoints for tests of what every endpoint shares. Mounted by `pytest.mark.urls`, never by the site."""

from __future__ import annotations

import hashlib
from typing import Any

from django.core.exceptions import PermissionDenied, SuspiciousOperation
from django.db import connection
from django.http import Http404, HttpResponse
from django.urls import path
from rest_framework import exceptions, parsers, serializers
from rest_framework.request import Request
from rest_framework.response import Response

from mlops_site.core import errors, events
from mlops_site.core.api.parsers import StrictJSONParser
from mlops_site.core.api.serializers import FiniteField, StrictSerializer, TextField
from mlops_site.core.api.views import ApiView
from mlops_site.core.models import Team
from mlops_site.core.permissions import Action, require
from tests.jobsapp.models import Errand

WRONG: dict[str, Exception] = {
    "malformed": errors.Malformed("bad"),
    "unauthenticated": errors.Unauthenticated("who"),
    "forbidden": errors.Forbidden("no"),
    "not-found": errors.NotFound("where"),
    "conflict": errors.Conflict("late", code="already_ended"),
    "too-large": errors.TooLarge("big"),
    "invalid": errors.Invalid.on("age", "age must be at least 0 but got -1", code="out_of_range"),
    "too-many": errors.TooManyRequests("fast", retry_after_secs=7),
    "unavailable": errors.Unavailable("down"),
    "django-404": Http404("x"),
    "django-403": PermissionDenied("x"),
    "django-400": SuspiciousOperation("x"),
    "drf-405": exceptions.MethodNotAllowed("PUT"),
    "drf-415": exceptions.UnsupportedMediaType("text/csv"),
    "drf-400": exceptions.ParseError("x"),
}


class Row(StrictSerializer):
    age = FiniteField(min_value=0)
    site = TextField(max_length=10)


class Body(StrictSerializer):
    name = TextField()
    count = serializers.IntegerField(required=False, max_value=10)
    rows = Row(many=True, required=False)


def _name(request: Request) -> str:
    data: Any = request.data
    return str(data["name"])


class Teams(ApiView):
    """Makes a team, once per Idempotency-Key."""

    def post(self, request: Request) -> Response:
        with events.atomic():
            team = Team.objects.create(name=_name(request))
            events.record("team.created", actor=self.actor, subject=f"team:{team.name}", team=team.name)
            if team.name == "wrong":
                raise errors.Conflict("wrong is wrong")
        return Response({"name": team.name, "id": team.pk}, status=201)


class Errands(ApiView):
    """Makes an errand; nothing but the key keeps it from making two."""

    def post(self, request: Request) -> Response:
        return Response({"id": str(Errand.objects.create().pk)}, status=201)


class Again(ApiView):
    """Makes a team unless there is one; a name that begins with "un" is refused after that."""

    repeats_itself = True

    def post(self, request: Request) -> Response:
        team, made = Team.objects.get_or_create(name=_name(request))
        if team.name == "broken":
            raise RuntimeError(team.name)
        if team.name.startswith("un"):
            raise errors.Conflict("not yet", code="not_yet")
        return Response({"id": team.pk, "made": made, "alone": not connection.in_atomic_block})


class Refusing(ApiView):
    def post(self, request: Request, where: str) -> Response:
        team = Team.objects.get(name="claims")
        if where == "view":
            require(self.actor, Action.ROLLBACK, team)
        with events.atomic():
            Team.objects.create(name="gone")
            require(self.actor, Action.ROLLBACK, team)
        return Response()


class RefusingAgain(Refusing):
    repeats_itself = True


class Wrong(ApiView):
    def get(self, request: Request, kind: str) -> Response:
        raise WRONG[kind]


class Echo(ApiView):
    def get(self, request: Request, text: str) -> Response:
        return Response({"text": text})

    def post(self, request: Request) -> Response:
        body = Body(data=request.data)
        body.is_valid(raise_exception=True)
        return Response(body.validated_data)


class Upload(ApiView):
    parser_classes = [parsers.MultiPartParser, StrictJSONParser]

    def post(self, request: Request) -> Response:
        Team.objects.create(name=_name(request))
        return Response({"sha256": hashlib.sha256(request.FILES["file"].read()).hexdigest()})


class Plain(ApiView):
    def post(self, request: Request) -> Any:
        Team.objects.create(name="plain")
        return HttpResponse("not repeatable")


urlpatterns = [
    path("teams", Teams.as_view()),
    path("errands", Errands.as_view()),
    path("again", Again.as_view()),
    path("again/refusing/<str:where>", RefusingAgain.as_view()),
    path("refusing/<str:where>", Refusing.as_view()),
    path("wrong/<str:kind>", Wrong.as_view()),
    path("echo", Echo.as_view()),
    path("echo/<str:text>", Echo.as_view()),
    path("upload", Upload.as_view()),
    path("plain", Plain.as_view()),
]
