"""One's own inbox: validate, call, serialise."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from mlops_site.core import inbox
from mlops_site.core.api.pagination import Pages
from mlops_site.core.api.serializers import StrictSerializer, TextField
from mlops_site.core.api.views import ApiView
from mlops_site.core.models import User
from mlops_site.core.permissions import person

MAX_IDS = 1000


class LineFilter(StrictSerializer):
    unread = serializers.BooleanField(required=False, default=False)
    page = serializers.IntegerField(required=False, min_value=1)
    page_size = serializers.IntegerField(required=False, min_value=1, max_value=200)


class LineAnswer(serializers.Serializer[Any]):
    """One line of an inbox; `url` is a path on this site."""

    id = serializers.IntegerField()
    event = serializers.CharField()
    team = serializers.CharField(source="team.name")
    subject = serializers.CharField()
    severity = serializers.CharField()
    title = serializers.CharField()
    text = serializers.CharField()
    url = serializers.CharField(source="path")
    created_at = serializers.DateTimeField()
    read_at = serializers.DateTimeField(allow_null=True)


class ReadFields(StrictSerializer):
    ids = serializers.ListField(
        child=serializers.IntegerField(min_value=1, max_value=2**63 - 1),
        min_length=1,
        max_length=MAX_IDS,
        required=False,
        help_text="left out: all",
    )


class ReadAnswer(serializers.Serializer[Any]):
    marked = serializers.IntegerField(help_text="those that were unread before")
    unread = serializers.IntegerField(help_text="that are left")


class SettingsFields(StrictSerializer):
    email = TextField(max_length=254, required=False, allow_blank=True)
    takes_mail = serializers.BooleanField(required=False, help_text="what comes to the inbox comes by e-mail too")


class SettingsAnswer(serializers.ModelSerializer[User]):
    class Meta:
        model = User
        fields = ("email", "takes_mail")


class Inbox(ApiView):
    pagination_class = Pages

    @extend_schema(parameters=[LineFilter], responses=LineAnswer(many=True))
    def get(self, request: Request) -> Response:
        """What you were told, newest first; with `?unread=true` what you have not read."""
        asked = LineFilter(data=request.query_params.dict())
        asked.is_valid(raise_exception=True)
        pages, rows = self.pagination_class(), inbox.lines(self.actor, unread=asked.validated_data["unread"])
        shown: Any = pages.paginate_queryset(rows, request, view=self)
        return pages.get_paginated_response(LineAnswer(shown, many=True).data)


class Read(ApiView):
    @extend_schema(request=ReadFields, responses=ReadAnswer)
    def post(self, request: Request) -> Response:
        """Mark lines as read, or all of them."""
        asked = ReadFields(data=request.data)
        asked.is_valid(raise_exception=True)
        marked = inbox.mark_read(self.actor, asked.validated_data.get("ids"))
        return Response({"marked": marked, "unread": inbox.unread_count(self.actor)})


class Settings(ApiView):
    @extend_schema(responses=SettingsAnswer)
    def get(self, request: Request) -> Response:
        return Response(SettingsAnswer(person(self.actor)).data)

    @extend_schema(request=SettingsFields, responses=SettingsAnswer)
    def patch(self, request: Request) -> Response:
        """Where your letters go, and whether any do; what is left out stays."""
        asked, user = SettingsFields(data=request.data), person(self.actor)
        asked.is_valid(raise_exception=True)
        said = {"email": user.email, "takes_mail": user.takes_mail, **asked.validated_data}
        return Response(SettingsAnswer(inbox.set_mail(self.actor, **said)).data)
