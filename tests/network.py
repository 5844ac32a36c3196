"""A guard around Python's sockets: this machine may be reached, others not."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

import pytest

LOCAL_NAMES = {"", "localhost", socket.gethostname()}


class Loopback:
    """Refuses connections and name look-ups beyond this machine, and remembers them in `refused`.

    `allowed` are URLs whose hosts are fine all the same, such as a TEST_REDIS_URL. Only Python's own sockets
    are seen: libpq and child processes are not.
    """

    def __init__(self, *, allowed: Sequence[str] = ()) -> None:
        self.refused: list[str] = []
        self.names = LOCAL_NAMES | {urlsplit(url).hostname or "" for url in allowed}
        remote = self.names - LOCAL_NAMES
        self.addresses = {str(info[4][0]) for name in remote for info in socket.getaddrinfo(name, None)}

    def install(self, patch: pytest.MonkeyPatch) -> None:
        """Wrap the calls that name another machine, until `patch` is undone."""
        for name in ("connect", "connect_ex", "sendto"):
            patch.setattr(socket.socket, name, self._guarded(getattr(socket.socket, name)))
        patch.setattr(socket, "getaddrinfo", self._guarded_lookup(socket.getaddrinfo))

    def is_local(self, host: str) -> bool:
        """Whether `host` (a name or an address) is this machine or was allowed."""
        if host in self.names or host in self.addresses:
            return True
        try:
            address = ipaddress.ip_address(host.split("%")[0])
        except ValueError:
            return False
        return address.is_loopback or address.is_unspecified

    def _guarded(self, real: Any) -> Any:
        def call(sock: socket.socket, *args: Any) -> Any:
            if sock.family in {socket.AF_INET, socket.AF_INET6}:
                self._check(str(args[-1][0]))  # the address comes last in each of them: (host, port, ...)
            return real(sock, *args)

        return call

    def _guarded_lookup(self, real: Any) -> Any:
        def call(host: str | bytes | None, *args: Any, **options: Any) -> Any:
            name = host.decode() if isinstance(host, bytes) else host or ""
            if not _is_address(name):  # reading an address asks nobody
                self._check(name)
            return real(host, *args, **options)

        return call

    def _check(self, host: str) -> None:
        if not self.is_local(host):
            self.refused.append(host)
            raise OSError(f"tests must stay on this machine but this one reached for {host}")


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host.split("%")[0])
    except ValueError:
        return False
    return True
