"""The endpoints of sources and their looks: validate, call one service or selector, serialise."""

from __future__ import annotations

from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from mlops_site.core.api.pagination import Pages
from mlops_site.core.api.serializers import JobAnswer
from mlops_site.core.api.views import ApiView
from registry.api.views import listed, valid
from training import services
from training.api import data_answers as answers
from training.api.views import accepted
from training.selectors import sources
from training.tasks import ring


class Sources(ApiView):
    pagination_class = Pages

    @extend_schema(responses=answers.SourceAnswer(many=True))
    def get(self, request: Request) -> Response:
        """Where data comes from by itself, by name, each with how its last look ended."""
        return listed(self, sources.sources(self.actor), answers.SourceAnswer)

    @extend_schema(request=answers.SourceNew, responses={201: answers.SourceAnswer})
    def post(self, request: Request) -> Response:
        """Look for data in a folder, a bucket or a database that the operator lets the team read. What is new becomes
        a version in the owner's name and, with `run_config`, a run."""
        asked = valid(answers.SourceNew(data=request.data))
        made = services.create_source(actor=self.actor, **asked)
        return Response(answers.SourceAnswer(made).data, status=status.HTTP_201_CREATED)


class SourceDetail(ApiView):
    @extend_schema(responses=answers.SourceAnswer)
    def get(self, request: Request, name: str) -> Response:
        return Response(answers.SourceAnswer(sources.source_named(self.actor, name)).data)

    @extend_schema(request=answers.SourceFields, responses=answers.SourceAnswer)
    def patch(self, request: Request, name: str) -> Response:
        """Change it; `enabled` false switches it off."""
        source, asked = sources.source_named(self.actor, name), valid(answers.SourceFields(data=request.data))
        services.set_source(source, actor=self.actor, fields=asked)
        return Response(answers.SourceAnswer(sources.source_named(self.actor, name)).data)


class Fetches(ApiView):
    pagination_class = Pages

    @extend_schema(responses=answers.FetchAnswer(many=True))
    def get(self, request: Request, name: str) -> Response:
        """The looks at a source, newest first."""
        source = sources.source_named(self.actor, name)
        return listed(self, sources.fetches(self.actor, source), answers.FetchAnswer)

    @extend_schema(request=None, responses={202: JobAnswer})
    def post(self, request: Request, name: str) -> Response:
        """Look now. One that is under way is answered, not doubled. 409 `source_off`."""
        fetch = services.request_fetch(sources.source_named(self.actor, name), actor=self.actor)
        ring(fetch)
        return accepted(fetch, "fetch")


class FetchDetail(ApiView):
    @extend_schema(responses=answers.WayAnswer)
    def get(self, request: Request, job_id: UUID) -> Response:
        """How far a look is, and the way of what it brought, each step with its state."""
        fetch = sources.fetch_of(self.actor, job_id)
        return Response(answers.WayAnswer({"fetch": fetch, "steps": sources.way_of(fetch)}).data)


class FetchCancel(ApiView):
    @extend_schema(request=None, responses={202: JobAnswer})
    def post(self, request: Request, job_id: UUID) -> Response:
        """Ask a look to stop. Asking again changes nothing."""
        return accepted(services.cancel_fetch(sources.fetch_of(self.actor, job_id), actor=self.actor), "fetch")
