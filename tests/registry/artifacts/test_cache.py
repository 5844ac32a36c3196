"""The bounded cache: least recently used first, one load at a time, hits never wait."""

from __future__ import annotations

import threading
import time
from functools import partial

import pytest

from registry.artifacts.cache import BoundedCache


def test_the_least_recently_used_goes_first() -> None:
    cache = BoundedCache[str, str](max_bytes=10)
    loads: list[str] = []

    def load(key: str) -> tuple[str, int]:
        loads.append(key)
        return key, 4

    for key in ("a", "b", "a", "c"):
        cache.get(key, partial(load, key))
    assert loads == ["a", "b", "c"]
    for key in ("a", "c", "b"):
        cache.get(key, partial(load, key))
    assert loads == ["a", "b", "c", "b"]
    assert cache.total_bytes == 8


def test_memory_stays_bounded_but_the_newest_stays() -> None:
    cache = BoundedCache[object, int](max_bytes=100)
    for key in range(50):
        cache.get(key, lambda: (0, 30))
        assert cache.total_bytes <= 100
    assert len(cache) == 3
    cache.get("huge", lambda: (0, 1000))
    assert (len(cache), cache.total_bytes) == (1, 1000)
    cache.clear()
    assert (len(cache), cache.total_bytes) == (0, 0)


def test_a_load_that_fails_leaves_nothing() -> None:
    cache = BoundedCache[str, str](max_bytes=10)

    def fail() -> tuple[str, int]:
        raise ValueError("damaged")

    with pytest.raises(ValueError, match="damaged"):
        cache.get("a", fail)
    assert len(cache) == 0
    assert cache.get("a", lambda: ("good", 1)) == "good"


def test_one_load_at_a_time_and_each_once() -> None:
    cache = BoundedCache[str, str](max_bytes=1000)
    running, most, loads = 0, 0, list[str]()

    def load(key: str) -> tuple[str, int]:
        nonlocal running, most
        running += 1
        most = max(most, running)
        time.sleep(0.01)
        loads.append(key)
        running -= 1
        return key, 1

    threads = [threading.Thread(target=cache.get, args=(key, partial(load, key))) for key in "abcabcabc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (most, sorted(loads)) == (1, ["a", "b", "c"])


def test_a_hit_does_not_wait_for_a_load() -> None:
    cache = BoundedCache[str, str](max_bytes=1000)
    cache.get("warm", lambda: ("warm", 1))
    release, started = threading.Event(), threading.Event()

    def slow() -> tuple[str, int]:
        started.set()
        assert release.wait(10)
        return "slow", 1

    thread = threading.Thread(target=cache.get, args=("slow", slow))
    thread.start()
    assert started.wait(10)
    assert cache.get("warm", slow) == "warm"
    release.set()
    thread.join()


def test_what_is_in_use_stays_and_goes_when_it_is_done_with() -> None:
    cache = BoundedCache[str, str](max_bytes=10)
    with cache.using("used", lambda: ("used", 6)) as value:
        assert value == "used"
        for key in ("b", "c", "d"):
            cache.get(key, lambda: ("other", 6))
        assert cache.held() == ["used", "d"]
        assert cache.total_bytes == 12
        with cache.using("used", lambda: ("again", 6)) as again:
            assert again == "used"
        assert cache.held() == ["used"]
        cache.get("e", lambda: ("other", 6))
        assert cache.held() == ["used", "e"]
    assert (cache.held(), cache.total_bytes) == (["e"], 6)


def test_threads_that_use_more_than_fits_load_each_once_at_a_time() -> None:
    cache = BoundedCache[int, int](max_bytes=20)
    alive: dict[int, int] = {}
    lock, faults = threading.Lock(), list[str]()

    def load(key: int) -> tuple[int, int]:
        with lock:
            if alive.get(key):
                faults.append(f"{key} was loaded while in use")
        return key, 10

    def work(seed: int) -> None:
        for step in range(200):
            key = (seed * 7 + step * step) % 5
            with cache.using(key, partial(load, key)) as value:
                with lock:
                    alive[key] = alive.get(key, 0) + 1
                if value != key:
                    faults.append(f"{key} answered {value}")
                with lock:
                    alive[key] -= 1

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not faults
    assert cache.total_bytes == 10 * len(cache) <= 20
