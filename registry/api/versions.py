"""The endpoints of versions, with the upload."""

from __future__ import annotations

from django.conf import settings
from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from mlops_site.core.api.pagination import Pages
from mlops_site.core.api.views import ApiView
from mlops_site.core.errors import FieldError, TooLarge
from registry import selectors, services
from registry.api import answers, serializers
from registry.api.views import listed, valid


class Versions(ApiView):
    pagination_class = Pages
    parser_classes = (MultiPartParser,)
    file_field = "artifact"

    @extend_schema(parameters=[serializers.PageFilter], responses=answers.VersionLine(many=True))
    def get(self, request: Request, name: str) -> Response:
        """The versions of a model, newest first, each with its stage."""
        valid(serializers.PageFilter(data=request.query_params.dict()))
        rows = selectors.versions(selectors.model_located(self.actor, name))
        return listed(self, selectors.version_lines(rows), answers.VersionLine)

    @extend_schema(request={"multipart/form-data": serializers.VersionUpload}, responses={201: answers.VersionAnswer})
    def post(self, request: Request, name: str) -> Response:
        """Upload a .skops or .onnx file as a version. The same content is the same version."""
        model = selectors.model_located(self.actor, name)
        asked = valid(serializers.VersionUpload(data=request.data))
        if asked["artifact"].size > settings.MAX_UPLOAD_BYTES:
            raise _too_large()
        about = {"content": asked["artifact"], "number": asked.get("version"), **asked["metadata"]}
        made = services.upload_version(model, actor=self.actor, **about)
        found = selectors.version_numbered(model, made.number)
        return Response(answers.VersionAnswer(found).data, status=status.HTTP_201_CREATED)


class VersionDetail(ApiView):
    @extend_schema(operation_id="versions_retrieve", responses=answers.VersionAnswer)
    def get(self, request: Request, name: str, version: str) -> Response:
        """One version, by number or @alias, with its artifact, metrics, signature, lineage and stages."""
        return Response(answers.VersionAnswer(selectors.version_located(self.actor, name, version)).data)

    @extend_schema(operation_id="versions_describe", request=serializers.VersionEdit, responses=answers.VersionAnswer)
    def patch(self, request: Request, name: str, version: str) -> Response:
        """Say what a version is. Everything else about it stays as it was registered."""
        asked = valid(serializers.VersionEdit(data=request.data))
        model = selectors.model_located(self.actor, name)
        found = selectors.version_numbered(model, version)
        services.describe_version(found, actor=self.actor, **asked)
        return Response(answers.VersionAnswer(selectors.version_numbered(model, found.number)).data)


def _too_large() -> TooLarge:
    message = f"the artifact must be at most {settings.MAX_UPLOAD_BYTES} bytes; an operator may raise MAX_UPLOAD_MB"
    return TooLarge(message, errors=[FieldError("artifact", "too_large", message)])
