"""The endpoints of data set versions beside their upload: validate, call one service or selector, serialise."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from mlops_site.core.api.views import ApiView
from registry.api.views import valid
from registry.selectors import model_named, version_numbered
from training import selectors, services
from training.api import data_answers as answers
from training.api.serializers import DatasetAnswer
from training.selectors import keeping, lineage
from training.selectors.differences import difference


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
        """What `v2` changed against `v1`: rows (by `keys`, else by whole rows), columns and distributions."""
        asked = valid(answers.DifferenceFilter(data=request.query_params.dict()))
        before, after = (selectors.dataset_named(self.actor, f"{name}@{number}") for number in (v1, v2))
        keys = [key.strip() for key in asked.get("keys", "").split(",") if key.strip()]
        return Response(answers.DifferenceAnswer(difference(before, after, keys)).data)
