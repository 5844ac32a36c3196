"""How much may be logged: rows a minute of a token and of its team, and what waits for folding. Beyond that, 429."""

from __future__ import annotations

import functools
import logging
import threading
import time
from collections import Counter

import redis
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry

from mlops_site.core.errors import TooManyRequests
from mlops_site.core.permissions import Action, Actor
from monitoring.models import FoldItem

log = logging.getLogger(__name__)
MINUTE = 60
LOOKED_EVERY_SECS = 2.0  # at the queue, by each process
FOLD_RETRY_SECS = 30
PATIENCE_SECS = 0.5  # with Redis
ALONE_SECS = 5.0  # so long it is not asked again
_lock = threading.Lock()
_spent: Counter[str] = Counter()  # of this process, where there is no Redis
_looked_at, _is_full = 0.0, False
_alone_until = 0.0


def admit(actor: Actor, rows: int, *, now: float | None = None) -> None:
    """Raises TooManyRequests `rate_limited`, which counts nothing, or `folding_behind`, with a time to try again."""
    _check_queue()
    now = time.time() if now is None else now
    limits = {f"rows:{subject}:{int(now // MINUTE)}": most for subject, most in _limits(actor).items()}
    for key, spent in _spend(list(limits), rows).items():
        if spent > limits[key]:
            _spend(list(limits), -rows)
            _, whose, _ = key.split(":")
            message = f"this {whose.rstrip('0123456789-')} may log {limits[key]:,} rows a minute; wait, then send again"
            raise TooManyRequests(message, code="rate_limited", retry_after_secs=MINUTE - int(now) % MINUTE)


def _limits(actor: Actor) -> dict[str, int]:
    """By whom it is: the token (or the person without one) and each of the teams that it may log for. Who may not, a
    viewer say, spends nothing of a team's."""
    person = actor.user.pk if actor.user else 0
    own = f"person-{person}" if actor.token_id is None else f"token-{actor.token_id}"
    mine = {*actor.teams(Action.PREDICTION_LOG), *actor.teams(Action.LABEL_LOG)}
    teams = {f"team-{team}": settings.TEAM_ROWS_A_MINUTE for team in mine}
    return {own: settings.TOKEN_ROWS_A_MINUTE, **teams}


def _spend(keys: list[str], rows: int) -> dict[str, int]:
    """What was spent under each key in its minute, with these rows. Where Redis does not answer, each process counts
    for itself: logging goes on."""
    global _alone_until
    if settings.REDIS_URL and time.monotonic() >= _alone_until:
        try:
            with _redis(settings.REDIS_URL).pipeline(transaction=False) as pipe:
                for key in keys:
                    pipe.incrby(f"steward:{key}", rows)
                    pipe.expire(f"steward:{key}", 2 * MINUTE)
                return dict(zip(keys, pipe.execute()[::2], strict=True))
        except redis.RedisError:
            _alone_until = time.monotonic() + ALONE_SECS
            log.warning("Redis does not count rows for %s s", ALONE_SECS, exc_info=True)
    with _lock:
        if len(_spent) > 10_000:  # of minutes that are over
            _spent.clear()
        _spent.update(dict.fromkeys(keys, rows))
        return {key: _spent[key] for key in keys}


@functools.cache
def _redis(url: str) -> redis.Redis:
    """Without a second try: whoever logs waits for the answer."""
    return redis.Redis.from_url(
        url, socket_timeout=PATIENCE_SECS, socket_connect_timeout=PATIENCE_SECS, retry=Retry(NoBackoff(), 0)
    )


def _check_queue() -> None:
    global _looked_at, _is_full
    if time.monotonic() - _looked_at > LOOKED_EVERY_SECS:
        _looked_at, _is_full = time.monotonic(), _is_behind()
    if _is_full:
        message = f"more than {settings.FOLD_QUEUE_MAX:,} rows wait to be added up; is a worker running? Try again"
        raise TooManyRequests(message, code="folding_behind", retry_after_secs=FOLD_RETRY_SECS)


def _is_behind() -> bool:
    """Ids are given one by one, so there are no more than lie between the first and the last; only if those are too
    many, they are counted."""
    ready = FoldItem.objects.filter(waiting=False).values_list("pk", flat=True)
    first, last = ready.order_by("pk").first(), ready.order_by("pk").last()
    most = settings.FOLD_QUEUE_MAX
    if first is None or last is None or last - first < most:
        return False
    return ready.order_by()[: most + 1].count() > most


def forget() -> None:
    """What was counted and seen is forgotten: for tests, and a process that is forked."""
    global _looked_at, _alone_until
    _spent.clear()
    _looked_at = _alone_until = 0.0
