"""A bucket on a private S3 server, and what somebody with its keys can do behind the site's back."""

from __future__ import annotations

import uuid
from typing import Any

import boto3

from tests.servers import ObjectStore

SECRET = "a secret that must be in no log"


class Bucket:
    """The artifacts of one test; `environment` is what makes a process use it."""

    def __init__(self, server: ObjectStore) -> None:
        self.server, self.name = server, f"artifacts-{uuid.uuid4().hex[:12]}"
        self.environment = {
            "S3_BUCKET": self.name,
            "S3_ENDPOINT": server.url,
            "S3_REGION": "eu-central-1",
            "S3_ACCESS_KEY_ID": "tests",
            "S3_SECRET_ACCESS_KEY": SECRET,
            "S3_PREFIX": "steward/artifacts",
            "S3_TIMEOUT_SECS": "1",
        }
        keys = {"aws_access_key_id": "tests", "aws_secret_access_key": SECRET}
        self.client: Any = boto3.client("s3", endpoint_url=server.url, region_name="eu-central-1", **keys)
        self.client.create_bucket(Bucket=self.name, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})

    def key(self, digest: str) -> str:
        return f"steward/artifacts/{digest[:2]}/{digest}"

    def keys(self) -> list[str]:
        return [found["Key"] for found in self.client.list_objects_v2(Bucket=self.name).get("Contents", [])]

    def overwrite(self, digest: str, content: bytes) -> None:
        self.client.put_object(Bucket=self.name, Key=self.key(digest), Body=content)

    def content(self, digest: str) -> bytes:
        found: bytes = self.client.get_object(Bucket=self.name, Key=self.key(digest))["Body"].read()
        return found
