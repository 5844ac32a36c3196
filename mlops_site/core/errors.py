"""The errors that services and notebook faces raise; the API writes them as problem+json (RFC 9457)."""

from __future__ import annotations

import errno
from collections.abc import Iterable
from typing import Any, ClassVar, NamedTuple, Self


class FieldError(NamedTuple):
    """One field at fault: its path in the request, a stable code, a sentence with the actual value."""

    field: str
    code: str
    message: str


class StewardError(Exception):
    """Base of every refusal. `code` is stable and documented, `detail` is for the person who reads it."""

    status: int = 500
    title: str = "Error"
    default_code: ClassVar[str] = "error"

    def __init__(
        self,
        detail: str,
        *,
        code: str | None = None,
        errors: Iterable[FieldError] = (),
        retry_after_secs: int | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.code = code or self.default_code
        self.errors = tuple(errors)
        self.retry_after_secs = retry_after_secs

    @classmethod
    def on(cls, field: str, message: str, *, code: str) -> Self:
        """The common case: one field at fault."""
        return cls(message, code=code, errors=[FieldError(field, code, message)])


class Malformed(StewardError):
    status, title, default_code = 400, "Malformed request", "malformed"


class Unauthenticated(StewardError):
    status, title, default_code = 401, "Not authenticated", "not_authenticated"


class Forbidden(StewardError):
    """Known to exist, not allowed: recorded in the audit chain as a refusal."""

    status, title, default_code = 403, "Not allowed", "forbidden"
    refusal: dict[str, Any] | None = None  # what the audit chain records of it
    is_recorded = False


class NotFound(StewardError):
    """Absent, or another team's: the two are never told apart."""

    status, title, default_code = 404, "Not found", "not_found"


class Conflict(StewardError):
    status, title, default_code = 409, "Wrong state", "conflict"


class LengthRequired(StewardError):
    status, title, default_code = 411, "Length required", "length_required"


class TooLarge(StewardError):
    status, title, default_code = 413, "Too large", "too_large"


class Invalid(StewardError):
    status, title, default_code = 422, "Well-formed but wrong", "invalid"


class TooManyRequests(StewardError):
    status, title, default_code = 429, "Too many requests", "too_many_requests"


class Unavailable(StewardError):
    status, title, default_code = 503, "Unavailable", "unavailable"


class StorageFull(StewardError):
    """No room on a disk; what was being written is not kept."""

    status, title, default_code = 507, "Storage full", "storage_full"

    @classmethod
    def of(cls, error: BaseException | None) -> StorageFull | None:
        """The refusal that an operating system's error means, if it means this one: no space left, a quota used up, a
        file beyond the size that the process may write."""
        if not isinstance(error, OSError) or error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            return None
        reason = (error.strerror or "no space left").lower()
        return cls(f"the disk is full ({reason}); nothing was kept. Make room on it and try again")
