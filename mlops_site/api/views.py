"""Jobs of every kind and the audit chain: validate, read, serialise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from mlops_site.api import serializers
from mlops_site.core import jobs
from mlops_site.core.api.pagination import Pages
from mlops_site.core.api.views import ApiView
from mlops_site.core.errors import Forbidden, NotFound
from mlops_site.core.models import AuditRecord, Job, Team
from mlops_site.core.permissions import Action, Actor, require

_LOOKUPS = {"since": "at__gte", "until": "at__lt"}


class JobDetail(ApiView):
    @extend_schema(responses=serializers.AnyJobAnswer)
    def get(self, request: Request, job_id: UUID) -> Response:
        """How far a job of any kind is."""
        return Response(serializers.AnyJobAnswer(job_of(self.actor, job_id)).data)


class Audit(ApiView):
    pagination_class = Pages

    @extend_schema(parameters=[serializers.AuditFilter], responses=serializers.AuditAnswer(many=True))
    def get(self, request: Request) -> Response:
        """The audit records of your teams, newest first."""
        asked = serializers.AuditFilter(data=request.query_params.dict())
        asked.is_valid(raise_exception=True)
        filters = {name: asked.validated_data[name] for name in asked.validated_data if not name.startswith("page")}
        pages = self.pagination_class()
        rows: Any = pages.paginate_queryset(audit_records(self.actor, filters), request, view=self)
        return pages.get_paginated_response(serializers.AuditAnswer(rows, many=True).data)


def job_of(actor: Actor, job_id: UUID) -> Job:
    """The job, if the actor may see its team's; NotFound otherwise."""
    job = jobs.find(job_id)
    if job is None or not Team.objects.filter(pk__in=actor.teams(Action.VIEW), name=job.team_name).exists():
        raise NotFound(f"no job {job_id} here, or it belongs to another team", code="unknown_job")
    return job


def audit_records(actor: Actor, filters: Mapping[str, Any]) -> QuerySet[AuditRecord]:
    """The records of the teams whose auditor the actor is; Forbidden to who is nobody's."""
    teams = Team.objects.filter(pk__in=actor.teams(Action.AUDIT_VIEW))
    if not teams:
        for team in Team.objects.filter(pk__in=actor.roles).order_by("pk"):
            require(actor, Action.AUDIT_VIEW, team, subject="audit")
        raise Forbidden(f"{actor.name} is in no team")
    lookups = {_LOOKUPS.get(name, name): value for name, value in filters.items()}
    return AuditRecord.objects.filter(team__in=[team.name for team in teams], **lookups).order_by("-seq")
