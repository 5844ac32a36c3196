"""The endpoints of experiments: validate, call one service or selector, serialise."""

from __future__ import annotations

from drf_spectacular.utils import extend_schema
from rest_framework import status
from rest_framework.request import Request
from rest_framework.response import Response

from abtesting import selectors, services
from abtesting.api import answers, serializers
from abtesting.models import Experiment
from mlops_site.core.api.pagination import Pages
from mlops_site.core.api.views import ApiView
from registry.api.serializers import Reason
from registry.api.views import listed, valid


class Create(ApiView):
    @extend_schema(request=serializers.ExperimentNew, responses={201: answers.ExperimentAnswer})
    def post(self, request: Request) -> Response:
        """Start an experiment: the version in production (A) against one in staging (B). In the modes `ab` and `ramp`
        B answers claims; in `shadow` A answers all and B scores the same claims silently."""
        asked = valid(serializers.ExperimentNew(data=request.data))
        experiment = services.create_experiment(actor=self.actor, **asked)
        return _answer(self, experiment, code=status.HTTP_201_CREATED)


class Experiments(ApiView):
    pagination_class = Pages

    @extend_schema(parameters=[serializers.ExperimentFilter], responses=answers.ExperimentAnswer(many=True))
    def get(self, request: Request) -> Response:
        """The experiments of your teams, latest first."""
        asked = valid(serializers.ExperimentFilter(data=request.query_params.dict()))
        filters = {name: asked[name] for name in ("status", "model") if name in asked}
        return listed(self, selectors.experiments(self.actor, **filters), answers.ExperimentAnswer)


class ExperimentDetail(ApiView):
    @extend_schema(responses=answers.ExperimentAnswer)
    def get(self, request: Request, test: int) -> Response:
        """One experiment: what it was asked, its splits, how it ended."""
        return Response(answers.ExperimentAnswer(selectors.experiment_of(self.actor, test)).data)


class Split(ApiView):
    @extend_schema(request=serializers.SplitChange, responses=answers.ExperimentAnswer)
    def post(self, request: Request, test: int) -> Response:
        """Change B's share. While it grows nobody leaves B; when it shrinks, the units are drawn anew."""
        asked, experiment = valid(serializers.SplitChange(data=request.data)), _found(self, test)
        services.change_split(experiment, actor=self.actor, **asked)
        return _answer(self, experiment)


class Stop(ApiView):
    @extend_schema(request=Reason, responses=answers.ExperimentAnswer)
    def post(self, request: Request, test: int) -> Response:
        """End it without a verdict; all units go back to A."""
        asked, experiment = valid(Reason(data=request.data)), _found(self, test)
        return _answer(self, services.stop_experiment(experiment, actor=self.actor, **asked))


class Assign(ApiView):
    @extend_schema(request=serializers.UnitToAssign, responses=answers.AssignedAnswer)
    def post(self, request: Request, test: int) -> Response:
        """Which arm a unit is in, for callers that score by themselves; nothing is stored. Log what you answer with
        the version named here."""
        asked = valid(serializers.UnitToAssign(data=request.data))
        experiment = selectors.experiment_to_assign(self.actor, test)
        return Response(selectors.assigned(experiment, asked["unit_id"])._asdict())


class Results(ApiView):
    @extend_schema(responses=answers.ResultsAnswer)
    def get(self, request: Request, test: int) -> Response:
        """What it has come to: live while it runs, frozen once it is concluded."""
        return Response(selectors.standing(_found(self, test)))


class Conclude(ApiView):
    repeats_itself = True

    @extend_schema(request=Reason, responses=answers.ResultsAnswer)
    def post(self, request: Request, test: int) -> Response:
        """Judge and freeze the result; if B should ship, a promotion request is filed with it as evidence. A second
        call answers the frozen result. 409 `not_counted_yet` says when to try again."""
        asked, experiment = valid(Reason(data=request.data)), _found(self, test)
        return Response(selectors.standing(services.conclude_experiment(experiment, actor=self.actor, **asked)))


def _found(view: ApiView, pk: int) -> Experiment:
    return selectors.experiment_of(view.actor, pk)


def _answer(view: ApiView, experiment: Experiment, *, code: int = status.HTTP_200_OK) -> Response:
    """As it is now, with its splits."""
    return Response(answers.ExperimentAnswer(_found(view, experiment.pk)).data, status=code)
