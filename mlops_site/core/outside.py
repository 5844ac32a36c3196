"""Addresses that people type: HTTPS to a public address only, checked when the connection is made, so that no name
can lead elsewhere once it has been looked at. What the operator names in CHANNEL_HOSTS is trusted like the
operator's own addresses: it may be private, and plain HTTP."""

from __future__ import annotations

import errno
import ipaddress
import socket
import ssl
import threading
from http.client import HTTPConnection, HTTPSConnection
from ipaddress import IPv4Address, IPv6Address
from typing import Any
from urllib.parse import SplitResult, urlsplit

from django.conf import settings

from mlops_site.core import http
from mlops_site.core.texts import unseen

MAX_ADDRESS = 2000
_UNICAST = ipaddress.ip_network("2000::/3")  # all that IPv6 has given out: RFC 4291, section 2.4
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_LOCAL = ("localhost", ".localhost", ".local", ".internal")


def parts_of(address: str) -> SplitResult:
    """The parts of an address that may be asked. Raises http.Unusable with a sentence that repeats no more of it than
    its host; whether a name leads to a public place is seen when it is connected to."""
    if len(address) > MAX_ADDRESS:
        raise http.Unusable(f"it must have at most {MAX_ADDRESS} characters but has {len(address)}")
    if unseen(address) or any(c.isspace() for c in address):
        raise http.Unusable("it must not contain spaces or control characters")
    try:
        parts = urlsplit(address)
        port = parts.port
    except ValueError:
        raise http.Unusable("it is not well-formed") from None
    if is_trusted(parts):
        if parts.scheme not in ("http", "https"):
            raise http.Unusable(f"it must start with http:// or https:// but starts with {parts.scheme[:10]!r}")
        return parts
    if parts.scheme != "https":
        raise http.Unusable(f"it must start with https:// but starts with {parts.scheme[:10]!r}")
    if not parts.hostname or port == 0:
        raise http.Unusable("it names no host")
    if reason := _private(parts.hostname):
        raise http.Unusable(reason)
    return parts


def is_trusted(parts: SplitResult) -> bool:
    """Whether the operator has named its host, or host and port."""
    return bool(parts.hostname) and bool(
        {parts.hostname, f"{parts.hostname}:{parts.port}"} & set(settings.CHANNEL_HOSTS)
    )


def place_of(parts: SplitResult) -> str:
    """What may be shown of it: host and port. Path, query and password are secret."""
    return f"{parts.hostname}:{parts.port}" if parts.port else str(parts.hostname)


def post(address: str, body: bytes, *, timeout_secs: float, headers: dict[str, str] | None = None) -> http.Answer:
    """POST to an address that somebody typed, within `timeout_secs` in all; see http.post."""
    try:
        parts = parts_of(address)
    except http.Unusable as error:
        return http.Answer(None, f"the address cannot be used: {error}")
    connect = http.plain if is_trusted(parts) else _guarded
    return http.post(address, body, timeout_secs=timeout_secs, headers=headers, connect=connect)


def _guarded(parts: SplitResult, timeout_secs: float) -> HTTPConnection:
    limit = min(http.CONNECT_SECS, timeout_secs)
    return _Public(str(parts.hostname), parts.port, timeout=limit, context=ssl.create_default_context())


class _Public(HTTPSConnection):
    """Connects to the very address that was found to be public; the certificate must still be the name's."""

    def __init__(self, host: str, port: int | None, *, timeout: float, context: ssl.SSLContext) -> None:
        super().__init__(host, port, timeout=timeout, context=context)
        self._tls, self._secs = context, timeout

    def connect(self) -> None:
        line = socket.create_connection((_public_address(self.host, self.port, self._secs), self.port), self._secs)
        # the handshake apart: whoever cuts a server short that drips it finds the socket in its place
        self.sock = self._tls.wrap_socket(line, server_hostname=self.host, do_handshake_on_connect=False)
        self.sock.do_handshake()


def _public_address(host: str, port: int, secs: float) -> str:
    """The first address of a name, if all of them are public: one that is not would be reached on another try."""
    found = _resolved(host, port, secs)
    for address in found:
        if not is_public(ipaddress.ip_address(address)):
            raise OSError(errno.EACCES, "it is a private address, which only CHANNEL_HOSTS may allow")
    return found[0]


def _resolved(host: str, port: int, secs: float) -> list[str]:
    """A name server that hangs is given up after `secs`: the system's own patience is not ours to set."""
    found: list[Any] = []

    def ask() -> None:
        try:
            found.append([info[4][0] for info in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)])
        except (OSError, UnicodeError) as error:
            found.append(error)

    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    asking.join(secs)
    if not found:
        raise TimeoutError
    if isinstance(found[0], Exception) or not found[0]:
        raise OSError(errno.EHOSTUNREACH, "its name is not known")
    return list(found[0])


def is_public(address: IPv4Address | IPv6Address) -> bool:
    """Whether it leads out of private networks, in whatever form it hides an IPv4 address.

    >>> [is_public(ipaddress.ip_address(a)) for a in ("8.8.8.8", "10.1.2.3", "::ffff:10.1.2.3", "169.254.169.254")]
    [True, False, False, False]
    """
    inner: list[IPv4Address] = []
    if isinstance(address, IPv6Address):
        inner += [each for each in (address.ipv4_mapped, address.sixtofour) if each]
        inner += list(address.teredo or ())
        if address in _NAT64:
            inner.append(IPv4Address(int(address) & 0xFFFFFFFF))
        if not inner and address not in _UNICAST:  # of old forms the library knows less than the kernel
            return False
    return address.is_global and not address.is_multicast and all(is_public(each) for each in inner)


def _private(host: str) -> str:
    """What is plain to see before anything is looked up."""
    name = host.rstrip(".")
    if name.endswith(_LOCAL) or "." not in name.replace(":", "."):
        return f"{host[:80]} is a name of a private network, which only CHANNEL_HOSTS may allow"
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return ""
    return "" if is_public(address) else f"{host[:80]} is a private address, which only CHANNEL_HOSTS may allow"
