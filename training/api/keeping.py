"""The endpoints of data set versions beside their upload: validate, call one service or selector, serialise."""

from __future__ import annotations

from uuid import UUID

from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from mlops_site.core.api.serializers import JobAnswer
from mlops_site.core.api.views import ApiView
from registry.api.views import valid
from registry.selectors import model_named, version_numbered
from training import selectors, services
from training.api import data_answers as answers
from training.api.serializers import DatasetAnswer
from training.api.views import accepted
from training.models import DatasetVersion
from training.selectors import keeping, lineage
from training.selectors.differences import comparison_of, difference
from training.tasks import ring


class Register(ApiView):
    @extend_schema(request=answers.Registration, responses={201: DatasetAnswer})
    def post(self, request: Request) -> Response:
        """Keep a file from a folder or bucket that the operator lets the team read. It is copied: what becomes of the
        file later changes nothing. The same bytes declared the same way are the same version."""
        asked = valid(answers.Registration(data=request.data))
        version = services.register_dataset_version(actor=self.actor, **asked)
        return Response(DatasetAnswer(version, context={"actor": self.actor}).data, status=status.HTTP_201_CREATED)


class Keeping(ApiView):
    @extend_schema(responses=answers.KeepingAnswer)
    def get(self, request: Request, name: str) -> Response:
        """Who answers for a data set, and how long the bytes of its versions are kept."""
        return Response(answers.KeepingAnswer(selectors.dataset_of(self.actor, name)).data)

    @extend_schema(request=answers.Keeping, responses=answers.KeepingAnswer)
    def patch(self, request: Request, name: str) -> Response:
        """Change it. A hold, which no deletion passes, is an approver's to set and to lift."""
        dataset, asked = selectors.dataset_of(self.actor, name), valid(answers.Keeping(data=request.data))
        return Response(answers.KeepingAnswer(services.set_keeping(dataset, actor=self.actor, fields=asked)).data)


class Erase(ApiView):
    @extend_schema(request=answers.ErasureReason, responses=answers.ErasureAnswer)
    def post(self, request: Request, name: str, version: int) -> Response:
        """Delete a version's bytes for good; its row, digest, profile and lineage stay. 409 `on_hold` under a legal
        hold, `in_production` while a model trained on it serves."""
        found = selectors.dataset_named(self.actor, f"{name}@{version}")
        asked = valid(answers.ErasureReason(data=request.data))
        return Response(
            answers.ErasureAnswer(services.erase_dataset_version(found, actor=self.actor, reason=asked["reason"])).data
        )


class Profile(ApiView):
    @extend_schema(responses=answers.ProfileAnswer)
    def get(self, request: Request, name: str, version: int) -> Response:
        """How each column looks, and which look like personal data; it outlives the bytes."""
        found = selectors.dataset_named(self.actor, f"{name}@{version}")
        said = {"columns": keeping.looks(self.actor, found), "personal": keeping.suggestions(found)}
        return Response(answers.ProfileAnswer(said).data)


class Lineage(ApiView):
    @extend_schema(responses=answers.LineageAnswer)
    def get(self, request: Request, name: str, version: int) -> Response:
        """Where the rows came from, and the runs, versions and stages that came of them."""
        found = selectors.dataset_named(self.actor, f"{name}@{version}")
        return Response(answers.LineageAnswer(lineage.lineage_of(self.actor, found)).data)


class VersionLineage(ApiView):
    @extend_schema(responses=answers.VersionLineageAnswer)
    def get(self, request: Request, name: str, version: str) -> Response:
        """From a model version back to its run, its data set and where that came from."""
        found = version_numbered(model_named(self.actor, name), version)
        return Response(answers.VersionLineageAnswer(lineage.of_model_version(self.actor, found)).data)


class Diff(ApiView):
    @extend_schema(parameters=[answers.DifferenceFilter], responses=answers.DifferenceAnswer)
    def get(self, request: Request, name: str, v1: int, v2: int) -> Response:
        """What `v2` changed against `v1`: rows (by `keys`, else by whole rows), columns and distributions. 409
        `not_compared` where that takes too long to wait for: POST, and a worker does it."""
        asked = valid(answers.DifferenceFilter(data=request.query_params.dict()))
        keys = [key.strip() for key in asked.get("keys", "").split(",") if key.strip()]
        return Response(answers.DifferenceAnswer(difference(*self._pair(name, v1, v2), keys)).data)

    @extend_schema(request=answers.DatasetComparisonAsked, responses={202: JobAnswer})
    def post(self, request: Request, name: str, v1: int, v2: int) -> Response:
        """Have a worker compare them; what it finds is kept, and GET answers it. Asking again changes nothing."""
        asked = valid(answers.DatasetComparisonAsked(data=request.data))
        made = services.request_comparison(*self._pair(name, v1, v2), actor=self.actor, keys=asked.get("keys", ()))
        ring(made)
        return accepted(made, "comparison")

    def _pair(self, name: str, v1: int, v2: int) -> tuple[DatasetVersion, DatasetVersion]:
        before, after = (selectors.dataset_named(self.actor, f"{name}@{number}") for number in (v1, v2))
        return before, after


class ComparisonDetail(ApiView):
    @extend_schema(responses=answers.DatasetComparisonAnswer)
    def get(self, request: Request, job_id: UUID) -> Response:
        """How far a comparison is, and where its result is."""
        return Response(answers.DatasetComparisonAnswer(comparison_of(self.actor, job_id)).data)


class ComparisonCancel(ApiView):
    @extend_schema(request=None, responses={202: JobAnswer})
    def post(self, request: Request, job_id: UUID) -> Response:
        """Ask a comparison to stop. Asking again changes nothing."""
        found = comparison_of(self.actor, job_id)
        return accepted(services.cancel_comparison(found, actor=self.actor), "comparison")
