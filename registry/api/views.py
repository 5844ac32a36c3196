"""The endpoints of the registry: validate, call one service or selector, serialise."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers as drf
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from mlops_site.core.api.pagination import Pages
from mlops_site.core.api.views import ApiView
from mlops_site.core.permissions import Action
from registry import selectors, services
from registry.api import answers, catalog_answers, serializers


class Models(ApiView):
    pagination_class = Pages

    @extend_schema(parameters=[serializers.ModelFilter], responses=answers.ModelAnswer(many=True))
    def get(self, request: Request) -> Response:
        """The models of your teams, by words and by what they are, with the newest version in each stage."""
        asked = valid(serializers.ModelFilter(data=request.query_params))
        ordering, filters = asked.pop("ordering", "name"), serializers.filters(asked)
        told = selectors.model_facets(selectors.found_models(self.actor, **filters)) if asked["facets"] else None
        rows = selectors.model_lines(self.actor, ordering=ordering, **filters)
        return paged(self, rows, answers.model_lines, facets=told)

    @extend_schema(request=serializers.ModelNew, responses={201: answers.ModelDetailAnswer})
    def post(self, request: Request) -> Response:
        """Make a model. Candidates go to staging by themselves unless `auto_deploy` is none."""
        model = services.create_model(actor=self.actor, **valid(serializers.ModelNew(data=request.data)))
        found = selectors.model_named(self.actor, model.name)
        answer = answers.ModelDetailAnswer(found, context={"actor": self.actor})
        return Response(answer.data, status=status.HTTP_201_CREATED)


class Schema(ApiView):
    @extend_schema(parameters=[serializers.SchemaFilter], responses=catalog_answers.SchemaAnswer)
    def get(self, request: Request, name: str) -> Response:
        """What predict takes: of the production version, else of the newest; or of the one you name."""
        asked = valid(serializers.SchemaFilter(data=request.query_params.dict()))
        model = selectors.model_located(self.actor, name, action=Action.SCHEMA_VIEW)
        return Response(catalog_answers.SchemaAnswer(selectors.feature_schema(model, number=asked.get("version"))).data)


class Compare(ApiView):
    @extend_schema(parameters=[serializers.CompareFilter], responses=catalog_answers.ComparisonAnswer)
    def get(self, request: Request, name: str, v1: str, v2: str) -> Response:
        """Two versions side by side; metrics with a paired 95 % interval where the holdouts share rows."""
        asked = valid(serializers.CompareFilter(data=request.query_params.dict()))
        model = selectors.model_located(self.actor, name)
        first, second = (selectors.version_numbered(model, number) for number in (v1, v2))
        return Response(selectors.comparison(first, second, diff_only=asked["diff_only"]))


class Promote(ApiView):
    @extend_schema(
        request=serializers.PromoteOrder, responses={200: answers.PromotionAnswer, 202: answers.PromotionAnswer}
    )
    def post(self, request: Request, name: str, version: str) -> Response:
        """Move a version to another stage. For production a request is filed, which other people decide."""
        asked = valid(serializers.PromoteOrder(data=request.data))
        found = selectors.version_located(self.actor, name, version)
        done = services.move_stage(found, actor=self.actor, **asked)
        code = status.HTTP_200_OK if done.request is None else status.HTTP_202_ACCEPTED
        return Response(answers.PromotionAnswer(done, context={"actor": self.actor}).data, status=code)


class Consumers(ApiView):
    @extend_schema(responses=catalog_answers.ConsumerAnswer(many=True))
    def get(self, request: Request, name: str) -> Response:
        """The tokens that predicted or logged with the model in the last 30 days."""
        rows = selectors.consumers(selectors.model_located(self.actor, name))
        return Response(catalog_answers.ConsumerAnswer(rows, many=True).data)


class Rollback(ApiView):
    @extend_schema(request=serializers.Reason, responses=answers.RollbackAnswer)
    def post(self, request: Request, name: str) -> Response:
        """Put the last good production version back."""
        model, asked = selectors.model_located(self.actor, name), valid(serializers.Reason(data=request.data))
        return Response(answers.RollbackAnswer(services.rollback(model, actor=self.actor, **asked)).data)


def valid(serializer: drf.Serializer[Any]) -> dict[str, Any]:
    """What was asked, or 422 naming the field."""
    serializer.is_valid(raise_exception=True)
    return dict(serializer.validated_data)


def listed(view: ApiView, rows: Any, serializer: Any, facets: list[selectors.Facet] | None = None) -> Response:
    """A page of the rows; with facets beside it, where they were asked for."""
    return paged(
        view, rows, lambda page: serializer(page, many=True, context={"actor": view.actor}).data, facets=facets
    )


def paged(
    view: ApiView, rows: Any, answered: Callable[[Any], Any], facets: list[selectors.Facet] | None = None
) -> Response:
    pages = Pages()
    answer = pages.get_paginated_response(answered(pages.paginate_queryset(rows, view.request, view=view)))
    if facets is not None:
        answer.data["facets"] = {f.name: [{"value": v, "count": n} for v, n in f.values] for f in facets}
    return answer
