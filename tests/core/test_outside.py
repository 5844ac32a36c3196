"""Addresses that people type: none leads into a private network, whatever it looks like, whenever it is looked up."""

from __future__ import annotations

import ipaddress
import socket
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from mlops_site.core import outside
from mlops_site.core.http import Unusable
from mlops_site.core.outside import is_public, parts_of, place_of, post
from tests.core.receivers import Receiver, receiver

NAME = "hooks.example.com"
FOUND = socket.getaddrinfo


def lead(monkeypatch: pytest.MonkeyPatch, *addresses: str) -> None:
    """The name server says that NAME is there."""

    def found(host: str, port: Any, *args: Any, **options: Any) -> Any:
        if host != NAME:
            return FOUND(host, port, *args, **options)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port)) for address in addresses]

    monkeypatch.setattr(socket, "getaddrinfo", found)


@pytest.mark.parametrize(
    "address",
    [
        "10.1.2.3", "127.0.0.1", "169.254.169.254", "192.168.0.1", "172.16.0.1", "0.0.0.0", "100.64.0.1", "224.0.0.1",
        "255.255.255.255", "::", "::1", "fe80::1", "fd00::1", "ff02::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1",
        "2002:7f00:1::", "64:ff9b::a00:1", "64:ff9b::7f00:1", "64:ff9b:1::7f00:1", "::127.0.0.1", "fec0::1",
    ],
)  # fmt: skip
def test_private_addresses_in_every_form(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", ["8.8.8.8", "1.1.1.1", "2606:4700::1111", "64:ff9b::808:808"])
def test_public_ones(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("http://hooks.example.com/secret", "must start with https://"),
        ("file:///etc/passwd", "must start with https://"),
        ("gopher://hooks.example.com/secret", "must start with https://"),
        ("hooks.example.com/secret", "must start with https://"),
        ("https:///secret", "names no host"),
        ("https://hooks.example.com:0/secret", "names no host"),
        ("https://hooks.example.com:99999/secret", "not well-formed"),
        ("https://[::1/secret", "not well-formed"),
        ("https://localhost/secret", "private network"),
        ("https://db/secret", "private network"),
        ("https://api.internal./secret", "private network"),
        ("https://127.0.0.1/secret", "private address"),
        ("https://2130706433/secret", "private network"),
        ("https://[::1]/secret", "private address"),
        ("https://169.254.169.254/latest/meta-data", "private address"),
        ("https://hooks.example.com/se cret", "spaces or control characters"),
        ("https://hooks.example.com/secret\r\nHost: x", "spaces or control characters"),
        ("https://hooks.example.com/" + "x" * 2000, "at most 2000 characters"),
        ("", "must start with https://"),
    ],
)
def test_what_cannot_be_asked_is_said_without_repeating_it(address: str, words: str) -> None:
    with pytest.raises(Unusable, match=words) as refused:
        parts_of(address)
    assert "secret" not in str(refused.value).removesuffix("'")


def test_what_may_be_shown_of_one() -> None:
    assert place_of(parts_of("https://user:pass@hooks.example.com:8443/secret?key=1")) == "hooks.example.com:8443"


@pytest.mark.parametrize("addresses", [("10.0.0.7",), ("8.8.8.8", "10.0.0.7"), ("127.0.0.1",), ("169.254.169.254",)])
def test_a_name_that_leads_into_a_private_network_is_not_connected_to(
    monkeypatch: pytest.MonkeyPatch, addresses: tuple[str, ...]
) -> None:
    lead(monkeypatch, *addresses)
    answer = post(f"https://{NAME}/secret", b"{}", timeout_secs=2)
    assert answer.status is None
    assert answer.error == (f"{NAME} could not be reached: it is a private address, which only CHANNEL_HOSTS may allow")


def test_a_name_server_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    ended = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: ended.wait(10) and [])
    try:
        answer = post(f"https://{NAME}/", b"{}", timeout_secs=0.2)
    finally:
        ended.set()
    assert answer.error == f"{NAME} did not answer within 0.2 s"


def test_a_name_that_is_not_known_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: Any, **__: Any) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    assert (
        post(f"https://{NAME}/", b"{}", timeout_secs=1).error == f"{NAME} could not be reached: its name is not known"
    )


def test_what_the_operator_names_may_be_private_and_plain(settings: Any) -> None:
    with receiver(204, "redirect", 500) as server:
        assert "must start with https://" in post(server.url, b"{}", timeout_secs=2).error
        settings.CHANNEL_HOSTS = [f"127.0.0.1:{server.server_port}"]
        assert post(server.url, b'{"n": 1}', timeout_secs=2).ok
        redirected, failed = (post(server.url, b"{}", timeout_secs=2) for _ in range(2))
        other = post(f"http://127.0.0.1:{server.server_port + 1}/hook", b"{}", timeout_secs=2)
    assert (redirected.status, redirected.error) == (302, "127.0.0.1 answered 302, a redirect, which is not followed")
    assert (failed.status, failed.error) == (500, "127.0.0.1 answered 500: no good: …")
    assert "must start with https://" in other.error
    assert len(server.got) == 3


class TestOverTLS:
    """A server with a certificate for NAME, on an address that counts as public here."""

    @pytest.fixture
    def server(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Receiver]:
        key, certificate = certified(tmp_path)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        monkeypatch.setattr(outside, "is_public", lambda address: str(address) == "127.0.0.1")
        lead(monkeypatch, "127.0.0.1")
        with receiver(200) as found:
            found.socket = context.wrap_socket(found.socket, server_side=True)
            yield found

    def test_the_certificate_is_checked_by_name(self, server: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
        assert post(f"https://{NAME}:{server.server_port}/hook", b'{"n": 1}', timeout_secs=5).ok
        ((_, headers, body),) = server.got
        assert (headers["Host"], body) == (f"{NAME}:{server.server_port}", {"n": 1})

    def test_another_name_is_refused(self, server: Receiver) -> None:
        answer = post(f"https://127.0.0.1:{server.server_port}/hook", b"{}", timeout_secs=5)
        assert not answer.ok
        assert server.got == []

    def test_a_handshake_that_never_ends_is_given_up(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(outside, "is_public", lambda address: True)
        lead(monkeypatch, "127.0.0.1")
        with socket.create_server(("127.0.0.1", 0)) as silent:
            answer = post(f"https://{NAME}:{silent.getsockname()[1]}/", b"{}", timeout_secs=0.3)
        assert answer.error == f"{NAME} did not answer within 0.3 s"


def certified(folder: Path) -> tuple[Path, Path]:
    """A key and a certificate that signs itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, NAME)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(NAME)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    kind, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    (folder / "key.pem").write_bytes(key.private_bytes(kind, form, serialization.NoEncryption()))
    (folder / "cert.pem").write_bytes(made.public_bytes(kind))
    return folder / "key.pem", folder / "cert.pem"
