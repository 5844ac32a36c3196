"""Secrets that must be read again to be used, as addresses of channels are: sealed under SECRET_KEY, so that a copy
of the database alone gives none away. What only has to be recognised is kept as a digest instead (core.tokens)."""

from __future__ import annotations

import base64
import hashlib

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings


class Unreadable(Exception):
    """It was sealed under another SECRET_KEY: whoever knows it has to say it again."""


def seal(text: str) -> str:
    """The text, encrypted and authenticated (Fernet: AES-128-CBC and HMAC-SHA256)."""
    return _box().encrypt(text.encode()).decode()


def unseal(sealed: str) -> str:
    """The text again. Raises Unreadable; keys of SECRET_KEY_FALLBACKS open what they once sealed."""
    try:
        return _box().decrypt(sealed.encode()).decode()
    except InvalidToken:
        raise Unreadable("it was sealed under another SECRET_KEY; set it again") from None


def _box() -> MultiFernet:
    keys = [str(key) for key in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)]
    digests = [hashlib.sha256(b"steward.seals\n" + key.encode()).digest() for key in keys]
    return MultiFernet([Fernet(base64.urlsafe_b64encode(digest)) for digest in digests])
