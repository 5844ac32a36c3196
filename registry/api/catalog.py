"""The endpoints of what people say of models and versions: tags, aliases, descriptions, deprecation."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from mlops_site.core.api.pagination import Pages
from mlops_site.core.api.views import ApiView
from registry import selectors, services
from registry.api import answers, catalog_answers, serializers
from registry.api.views import listed, valid
from registry.models import RegisteredModel, Version


class _OfModel(ApiView):
    def model(self, name: str) -> RegisteredModel:
        return selectors.model_named(self.actor, name)

    def version(self, name: str, version: str) -> Version:
        return selectors.version_numbered(self.model(name), version)


class FoundVersions(ApiView):
    pagination_class = Pages

    @extend_schema(parameters=[serializers.VersionFilter], responses=answers.VersionLine(many=True))
    def get(self, request: Request) -> Response:
        """Versions of all models of your teams, latest first: by words and by what they are."""
        asked = valid(serializers.VersionFilter(data=request.query_params))
        filters = serializers.filters(asked)
        told = selectors.version_facets(selectors.found_versions(self.actor, **filters)) if asked["facets"] else None
        rows = selectors.versions_found(self.actor, **filters)
        return listed(self, selectors.version_lines(rows), answers.VersionLine, facets=told)


class ModelTagDetail(_OfModel):
    @extend_schema(request=serializers.TagValue, responses=answers.ModelAnswer)
    def put(self, request: Request, name: str, key: str) -> Response:
        """Put a tag on a model."""
        asked = valid(serializers.TagValue(data=request.data))
        services.set_tag(self.model(name), actor=self.actor, key=key, **asked)
        return Response(answers.ModelAnswer(self.model(name)).data)

    @extend_schema(responses={204: None})
    def delete(self, request: Request, name: str, key: str) -> Response:
        """Take a tag from a model."""
        services.remove_tag(self.model(name), actor=self.actor, key=key)
        return Response(status=status.HTTP_204_NO_CONTENT)


class VersionTagDetail(_OfModel):
    @extend_schema(operation_id="versions_tags_update", request=serializers.TagValue, responses=answers.VersionLine)
    def put(self, request: Request, name: str, version: str, key: str) -> Response:
        """Put a tag on a version."""
        asked = valid(serializers.TagValue(data=request.data))
        found = self.version(name, version)
        services.set_tag(found, actor=self.actor, key=key, **asked)
        return Response(answers.VersionLine(self.version(name, found.number)).data)

    @extend_schema(operation_id="versions_tags_destroy", responses={204: None})
    def delete(self, request: Request, name: str, version: str, key: str) -> Response:
        """Take a tag from a version."""
        services.remove_tag(self.version(name, version), actor=self.actor, key=key)
        return Response(status=status.HTTP_204_NO_CONTENT)


class Deprecation(_OfModel):
    @extend_schema(request=serializers.Note, responses=answers.VersionLine)
    def put(self, request: Request, name: str, version: str) -> Response:
        """Tell whoever pins this version that they should not, and what to use instead."""
        asked: dict[str, Any] = valid(serializers.Note(data=request.data))
        found = self.version(name, version)
        services.deprecate_version(found, actor=self.actor, **asked)
        return Response(answers.VersionLine(self.version(name, found.number)).data)

    @extend_schema(responses={204: None})
    def delete(self, request: Request, name: str, version: str) -> Response:
        """Take the deprecation back."""
        services.undeprecate_version(self.version(name, version), actor=self.actor)
        return Response(status=status.HTTP_204_NO_CONTENT)


class Aliases(_OfModel):
    @extend_schema(responses=catalog_answers.AliasAnswer(many=True))
    def get(self, request: Request, name: str) -> Response:
        """The aliases of a model, with the roles that each is protected to."""
        return Response(catalog_answers.AliasAnswer(selectors.aliases(self.model(name)), many=True).data)


class AliasDetail(_OfModel):
    @extend_schema(request=serializers.AliasOrder, responses=catalog_answers.AliasAnswer(many=True))
    def put(self, request: Request, name: str, alias: str) -> Response:
        """Let an alias name a version, in place of another."""
        asked = valid(serializers.AliasOrder(data=request.data))
        version = self.version(name, asked["version"])
        services.set_alias(self.model(name), actor=self.actor, alias=alias, version=version)
        return Response(catalog_answers.AliasAnswer(selectors.aliases(self.model(name)), many=True).data)

    @extend_schema(responses={204: None})
    def delete(self, request: Request, name: str, alias: str) -> Response:
        """Remove an alias."""
        services.remove_alias(self.model(name), actor=self.actor, alias=alias)
        return Response(status=status.HTTP_204_NO_CONTENT)


class AliasProtection(_OfModel):
    @extend_schema(request=serializers.Roles, responses=catalog_answers.AliasAnswer(many=True))
    def put(self, request: Request, name: str, alias: str) -> Response:
        """Let only these roles move an alias; none lifts the protection. For approvers."""
        asked = valid(serializers.Roles(data=request.data))
        services.protect_alias(self.model(name), actor=self.actor, alias=alias, **asked)
        return Response(catalog_answers.AliasAnswer(selectors.aliases(self.model(name)), many=True).data)
