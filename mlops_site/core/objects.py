"""Artifacts in an S3-compatible object store, through django-storages: the extra `s3` of this package.

Imported where S3_BUCKET is set, and nowhere else. An object is there whole or not at all, and a second one of the same
name takes the place of the first in one step.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import IO, Any

from boto3.exceptions import Boto3Error
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError
from storages.backends.s3 import S3Storage
from storages.utils import clean_name

from mlops_site.core.errors import Unavailable

log = logging.getLogger(__name__)
ATTEMPTS = 3


class ObjectStorage(S3Storage):
    """FileNotFoundError for what is not there; Unavailable `store_unavailable` for whatever else goes wrong."""

    def __init__(self, *, timeout_secs: float, **options: Any) -> None:
        style = "path" if options.get("endpoint_url") else "auto"  # what speaks S3 elsewhere has no name per bucket
        config = Config(
            signature_version="s3v4",
            s3={"addressing_style": style},
            connect_timeout=min(timeout_secs, 5.0),
            read_timeout=timeout_secs,
            retries={"total_max_attempts": ATTEMPTS, "mode": "standard"},
        )
        self.timeout_secs = timeout_secs
        super().__init__(client_config=config, file_overwrite=True, max_memory_size=8 << 20, **options)

    def renew(self, name: str) -> None:
        """As if stored now; nothing happens where nothing is. The bytes stay, whatever they are."""
        key = self._normalize_name(clean_name(name))
        source = {"Bucket": self.bucket_name, "Key": key}
        with self._reached():
            try:
                self.bucket.Object(key).copy_from(CopySource=source, MetadataDirective="REPLACE")
            except ClientError as error:
                if _status(error) != 404:
                    raise

    def exists(self, name: str) -> bool:
        with self._reached():
            return bool(super().exists(name))

    def delete(self, name: str) -> None:
        with self._reached():
            super().delete(name)

    def listdir(self, path: str) -> tuple[list[str], list[str]]:
        with self._reached():
            folders, files = super().listdir(path)
        return list(folders), list(files)

    def get_modified_time(self, name: str) -> datetime:
        with self._reached():
            try:
                found: datetime = super().get_modified_time(name)
            except ClientError as error:
                if _status(error) == 404:
                    raise FileNotFoundError(name) from None
                raise
        return found

    def objects(self, prefix: str, *, most: int) -> list[tuple[str, int, str]] | None:
        """(name after the prefix, bytes, entity tag) of each object right under it; None if there are more."""
        found: list[tuple[str, int, str]] = []
        with self._reached():
            pages = self.connection.meta.client.get_paginator("list_objects_v2")
            for page in pages.paginate(Bucket=self.bucket_name, Prefix=prefix, Delimiter="/"):
                rows = (row for row in page.get("Contents", []) if row["Key"] != prefix)
                found += [(row["Key"].removeprefix(prefix), int(row["Size"]), str(row["ETag"])) for row in rows]
                if len(found) > most:
                    return None
        return found

    @contextmanager
    def body(self, key: str) -> Iterator[IO[bytes]]:
        """An object's bytes as they are at this moment. FileNotFoundError, Unavailable."""
        with self._reached():
            found: IO[bytes] = self.bucket.Object(key).get()["Body"]
            try:
                yield found
            finally:
                found.close()

    def _open(self, name: str, mode: str = "rb") -> IO[bytes]:
        with self._reached():
            found: IO[bytes] = super()._open(name, mode)
            found.seek(0)  # fetches it, where django-storages would wait for the first read
        return found

    def _save(self, name: str, content: Any) -> str:
        with self._reached():
            return str(super()._save(name, content))

    @contextmanager
    def _reached(self) -> Iterator[None]:
        try:
            yield
        except ClientError as error:
            if _status(error) == 404 and error.response.get("Error", {}).get("Code") != "NoSuchBucket":
                raise FileNotFoundError("no such object") from None
            raise self._unavailable(error) from None
        except (BotoCoreError, Boto3Error, HTTPClientError) as error:
            raise self._unavailable(error) from None

    def _unavailable(self, error: Exception) -> Unavailable:
        code = error.response.get("Error", {}).get("Code") if isinstance(error, ClientError) else None
        # Not what it says: that may hold addresses, and the refusal goes to whoever asked.
        log.error("the artifact store does not answer as it should: %s %s", type(error).__name__, code or "")
        message = "the store of artifacts cannot be reached; nothing was changed, so try again in a while"
        return Unavailable(message, code="store_unavailable", retry_after_secs=max(1, round(self.timeout_secs)))


def _status(error: ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
