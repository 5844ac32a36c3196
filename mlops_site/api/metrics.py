"""GET /metrics: what Prometheus scrapes. Every value that is true of the whole site is read from the database, so it
does not matter which process answers; nothing is counted in memory."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterable, Iterator
from ipaddress import ip_address

import psutil
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from prometheus_client import CollectorRegistry, Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.exposition import choose_encoder
from prometheus_client.utils import floatToGoString
from rest_framework.exceptions import MethodNotAllowed

from mlops_site.core import depths
from mlops_site.core.api import problem
from mlops_site.core.api.auth import actor_of_plain
from mlops_site.core.errors import Forbidden, Unavailable
from mlops_site.core.permissions import Action
from monitoring.selectors import measures
from monitoring.stats.totals import LAG_SECS, LATENCY_SECS, cumulative

KEPT_SECS = 5.0
PATIENCE_SECS = 5.0  # with a reading that another thread makes
KEPT = 50  # answers, of as many sets of teams
VERSION = ["model", "version"]
Teams = tuple[int, ...] | None  # None: of all teams, and of the site itself

_kept: dict[tuple[Teams, str], tuple[float, bytes]] = {}
_writing = threading.Lock()


@csrf_exempt  # a token needs no CSRF check, and nothing is changed
def metrics(request: HttpRequest) -> HttpResponse:
    """All models and the state of the site to the networks that the operator names; to a token or a person, the models
    of their teams."""
    try:
        teams = reader(request)
        if request.method not in ("GET", "HEAD"):
            raise MethodNotAllowed(str(request.method))
        body, content_type = written(teams, request.headers.get("Accept", ""))
    except Exception as exc:
        if (error := problem.translate(exc)) is None:
            raise
        return problem.json_response(error)
    return HttpResponse(body, content_type=content_type, headers={"Cache-Control": "no-store"})


def reader(request: HttpRequest) -> Teams:
    """The teams whose models the caller may read. The address is that of the connection, never one that is claimed in
    a header."""
    if "Authorization" not in request.headers and is_inside(request.META.get("REMOTE_ADDR", "")):
        return None
    teams = actor_of_plain(request).teams(Action.METRICS_VIEW)
    if not teams:
        raise Forbidden(f"/metrics needs {Action.METRICS_VIEW}; or the operator names your network in METRICS_NETWORKS")
    return tuple(sorted(teams))


def is_inside(address: str) -> bool:
    """
    >>> is_inside("not an address")
    False
    """
    try:
        found = ip_address(address)
    except ValueError:
        return False
    found = getattr(found, "ipv4_mapped", None) or found
    return any(found in network for network in settings.METRICS_NETWORKS)


def written(teams: Teams, accept: str) -> tuple[bytes, str]:
    """The text and its type, kept for KEPT_SECS: however often it is asked for, the database is asked that often.
    While one thread reads, the others wait for what it finds."""
    encode, content_type = choose_encoder(accept)
    if not _writing.acquire(timeout=PATIENCE_SECS):
        raise Unavailable("another reading of the site has not ended; scrape again")
    try:
        kept = _kept.get((teams, content_type))
        if kept is None or time.monotonic() - kept[0] > KEPT_SECS:
            if len(_kept) >= KEPT:
                _kept.clear()
            kept = _kept[teams, content_type] = time.monotonic(), encode(_Site(teams))
    finally:
        _writing.release()
    return kept[1], content_type


def forget() -> None:
    """The next answer is read anew."""
    _kept.clear()


class _Site(CollectorRegistry):
    """One reading of the site; nothing is registered and kept."""

    def __init__(self, teams: Teams) -> None:
        super().__init__()
        self.teams = teams

    def collect(self) -> Iterator[Metric]:
        models = measures.named(self.teams)
        yield from _answers(measures.sums(self.teams, models))
        yield from _reports(measures.latest(models))
        yield _labelled("mlops_alerts_open", "Alerts nobody has resolved", ["model", "severity"], _alerts(models))
        text = "Models beyond the named ones, which add up to the model “_other”"
        yield GaugeMetricFamily("mlops_models_left_out", text, value=models.left_out)
        if self.teams is None:
            yield from _queues()
            yield from _processes()


def _answers(sums: Iterable[measures.Sums]) -> Iterator[Metric]:
    """Counters and histograms of what was answered."""
    predictions = CounterMetricFamily(
        "mlops_predictions", "Predictions logged, by outcome", labels=[*VERSION, "status"]
    )
    duration = HistogramMetricFamily(
        "mlops_prediction_duration_seconds", "Response time of predictions", labels=VERSION
    )
    lag = HistogramMetricFamily("mlops_label_lag_seconds", "From a prediction to its first label", labels=VERSION)
    for row in sums:
        of = [row.model, row.version]
        predictions.add_metric([*of, "ok"], row.predictions - row.errors)
        predictions.add_metric([*of, "error"], row.errors)
        duration.add_metric(of, _buckets(LATENCY_SECS, row.latency), row.latency_secs)
        lag.add_metric(of, _buckets(LAG_SECS, row.label_lag), row.label_lag_secs)
    yield from (predictions, duration, lag)


def _buckets(edges: tuple[float, ...], counts: list[int]) -> list[tuple[str, float]]:
    ends = [*map(floatToGoString, edges), "+Inf"]
    return list(zip(ends, cumulative(counts), strict=True))


def _reports(latest: list[measures.Latest]) -> Iterator[Metric]:
    """What the newest report of each model says."""
    of = [(row, (row.model, row.version)) for row in latest]
    drifted = ((labels, row.drifted) for row, labels in of)
    yield _labelled("mlops_feature_drift_ratio", "Share of features that drifted, newest report", VERSION, drifted)
    scores = ((labels, row.score) for row, labels in of)
    yield _labelled("mlops_drift_score", "Overall drift score, newest report", VERSION, scores)
    values = (((*labels, *kind), value) for row, labels in of for kind, value in row.metrics.items())
    text = "Performance, realised or estimated, newest report"
    yield _labelled("mlops_model_metric", text, [*VERSION, "kind", "metric"], values)
    ends = ((labels, row.at.timestamp()) for row, labels in of)
    yield _labelled("mlops_report_timestamp_seconds", "End of the newest report's window", VERSION, ends)


def _alerts(models: measures.Named) -> list[tuple[tuple[str, ...], float | None]]:
    return [(labels, count) for labels, count in measures.open_alerts(models).items()]


def _queues() -> Iterator[Metric]:
    """What waits, of all teams."""
    jobs = depths.job_depths()
    state = ["kind", "state"]
    yield _labelled("mlops_jobs", "Jobs that wait or run", state, (((d.kind, d.state), d.rows) for d in jobs))
    ages = (((d.kind, d.state), d.oldest_secs) for d in jobs)
    yield _labelled("mlops_job_oldest_seconds", "Age of the oldest such job", state, ages)
    text = "Messages that wait, are held until their hour, or were given up"
    yield _labelled("mlops_deliveries", text, ["channel", "state"], measures.messages().items())
    queue = measures.queued()
    text = f"Predictions and labels not yet added up, at most {measures.COUNTED}"
    yield GaugeMetricFamily("mlops_fold_queue_items", text, value=queue.items)
    yield GaugeMetricFamily("mlops_fold_lag_seconds", "How long the oldest of them has waited", value=queue.oldest_secs)


def _processes() -> Iterator[Metric]:
    """The web processes of this machine together, whichever of them answers."""
    found = []
    for process in _family():
        try:
            with process.oneshot():
                found.append((process.memory_info().rss, sum(process.cpu_times()[:2]), process.num_threads()))
        except psutil.Error:  # it ended meanwhile
            continue
    memory, cpu, threads = (sum(column) for column in zip(*found, strict=True))
    yield GaugeMetricFamily("mlops_web_processes", "Web processes on this machine", value=len(found))
    yield GaugeMetricFamily("mlops_web_resident_memory_bytes", "Their memory", value=memory)
    yield GaugeMetricFamily("mlops_web_threads", "Their threads", value=threads)
    yield CounterMetricFamily("mlops_web_cpu_seconds", "Their processor time", value=cpu)


def _family() -> list[psutil.Process]:
    """gunicorn's workers with it; this process alone under anything else."""
    parent = psutil.Process(os.getppid())
    try:
        is_gunicorn = any("gunicorn" in word for word in parent.cmdline()[:3])
        return [parent, *parent.children()] if is_gunicorn else [psutil.Process()]
    except psutil.Error:
        return [psutil.Process()]


def _labelled(
    name: str, text: str, labels: list[str], values: Iterable[tuple[tuple[str, ...], float | None]]
) -> GaugeMetricFamily:
    """A gauge; a value that is not known has no line."""
    family = GaugeMetricFamily(name, text, labels=labels)
    for own, value in values:
        if value is not None:
            family.add_metric(list(own), value)
    return family
