"""Reads of sources: which there are, their looks, and the way of one look as steps, each with its state."""

from __future__ import annotations

from typing import NamedTuple
from uuid import UUID

from django.db.models import OuterRef, QuerySet, Subquery

from mlops_site.core.choices import JobState
from mlops_site.core.errors import NotFound
from mlops_site.core.permissions import Actor, visible
from registry.choices import Stage
from registry.models import PromotionRequest, StageInterval, Version
from training.models import DatasetVersion, DataSource, Fetch, Run
from training.selectors.quality import verdict_of

SCHEDULED = "source: "  # and the source's name: the rows from which Beat reads the intervals of sources
READ, CHECK, KEEP, START = "read", "check", "keep", "start a run"
OWN_STEPS = (READ, CHECK, KEEP, START)


class Step(NamedTuple):
    """One node of the way from a source to production. `state` is done, running, waiting, failed, blocked, held or
    none (there is nothing to do); `link` is (route, *arguments) of the page of what it made."""

    name: str
    state: str
    said: str
    link: tuple[str, ...] = ()


def sources(actor: Actor) -> QuerySet[DataSource]:
    """The sources that the actor may see, by name, each with how and when its last look ended."""
    last = Fetch.objects.filter(source=OuterRef("pk")).order_by("-created_at")
    rows = DataSource.objects.select_related("team", "owner").annotate(
        last_state=Subquery(last.values("state")[:1]), last_at=Subquery(last.values("created_at")[:1])
    )
    return visible(actor, rows).defer("seen")


def source_named(actor: Actor, name: str) -> DataSource:
    """One source; NotFound if there is none or it is another team's."""
    found = sources(actor).filter(name=name).first()
    if found is None:
        raise NotFound(f"there is no source {name[:80]!r} of yours", code="unknown_source")
    return found


def fetches(actor: Actor, source: DataSource | None = None) -> QuerySet[Fetch]:
    """The looks that the actor may see, of one source or of all, newest first."""
    rows = Fetch.objects.select_related(
        "source__team", "requested_by", "version__dataset", "run__model", "run__version", "run__dataset__dataset"
    )
    large = ("schema", "quality")
    unread = [f"{path}__{name}" for path in ("version", "run__dataset") for name in large]
    rows = rows.defer("found", "source__seen", "run__diff", *unread)
    found = visible(actor, rows, team="source__team")
    return found if source is None else found.filter(source=source)


def fetch_of(actor: Actor, job_id: UUID | str) -> Fetch:
    """One look; NotFound if there is none or it is another team's."""
    found = fetches(actor).filter(pk=job_id).first()
    if found is None:
        raise NotFound(f"there is no fetch {job_id}", code="unknown_fetch")
    return found


def way_of(fetch: Fetch) -> list[Step]:
    """From the source to the stage that what it brought has reached, whether or not it came so far."""
    run, version = fetch.run, fetch.run.version if fetch.run else None
    own = [_own(fetch, place) for place in range(len(OWN_STEPS))]
    return [*own, _trained(fetch, run), _registered(run, version), *_promoted(version)]


def _own(fetch: Fetch, place: int) -> Step:
    """What the look itself does: everything before the step that it is at is done."""
    titles = (f"Read {fetch.source}", "Check the data", "Keep a version", "Start a run")
    at = OWN_STEPS.index(fetch.step) if fetch.step in OWN_STEPS else (0 if not fetch.has_ended else len(OWN_STEPS))
    said, link = _made(fetch, place)
    if OWN_STEPS[place] == CHECK and fetch.version and not fetch.run and (held := _held_back(fetch.version)):
        return Step(titles[place], "blocked", held)
    if fetch.state == JobState.SUCCEEDED:
        done = bool(said) or place == 0
        return Step(titles[place], "done" if done else "none", said or (fetch.note if place == 0 else ""), link)
    if place < at or link:
        return Step(titles[place], "done", said, link)
    if place > at:
        return Step(titles[place], "waiting" if not fetch.has_ended else "none", "")
    if fetch.has_ended:
        return Step(titles[place], "blocked" if fetch.step == CHECK else "failed", fetch.error)
    state = "running" if fetch.state == JobState.RUNNING else "waiting"
    return Step(titles[place], state, fetch.error and f"again, because {fetch.error}")


def _held_back(version: DatasetVersion) -> str:
    """Why its gate holds a version back today; "" where it does not."""
    return "; ".join(check.message for check in verdict_of(version).report.blocks)


def _made(fetch: Fetch, place: int) -> tuple[str, tuple[str, ...]]:
    version, run = fetch.version, fetch.run
    files = f"{len(fetch.found):,} {'file' if len(fetch.found) == 1 else 'files'}" if fetch.found else ""
    kept = "" if version is None else f"{version}, {version.rows:,} rows"
    return (
        (files or (fetch.note if version is None else ""), ()),
        ("passed" if version else "", ()),
        (kept, ("dataset", str(version)) if version else ()),
        (f"run {str(run.pk)[:8]}" if run else "", ("run", str(run.pk)) if run else ()),
    )[place]


_OF_RUN = {
    JobState.QUEUED: "waiting",
    JobState.RUNNING: "running",
    JobState.SUCCEEDED: "done",
    JobState.FAILED: "failed",
    JobState.CANCELLED: "failed",
}


def _trained(fetch: Fetch, run: Run | None) -> Step:
    if run is None:
        return Step("Train", "waiting" if fetch.source.run_config and not fetch.has_ended else "none", "")
    said = run.error if run.has_ended and run.error else run.step
    return Step(f"Train {run.model}", _OF_RUN[JobState(run.state)], said, ("run", str(run.pk)))


def _registered(run: Run | None, version: Version | None) -> Step:
    if run is None or version is None:
        return Step("Register", "waiting" if run and not run.has_ended else "none", "")
    passed = bool(run.gate and run.gate["passed"])
    said = f"{version}: its gate {'passed' if passed else 'did not pass'}"
    return Step("Register", "done" if passed else "held", said, ("version", run.model.name, version.number))


def _promoted(version: Version | None) -> list[Step]:
    if version is None:
        return [Step("Ask for approval", "none", ""), Step("Serve", "none", "")]
    asked = PromotionRequest.objects.filter(version=version).order_by("-created_at").first()
    stage = StageInterval.objects.open().filter(version=version).values_list("stage", flat=True).first()
    state = {"pending": "waiting", "approved": "done"}.get(asked.status, "held") if asked else "none"
    link = ("admin:registry_promotionrequest_change", str(asked.pk)) if asked else ()
    request = Step("Ask for approval", state, f"request {asked.pk} is {asked.status}" if asked else "", link)
    serves = "done" if stage == Stage.PRODUCTION else "none"
    return [request, Step("Serve", serves, f"it is in {stage}" if stage else "")]
