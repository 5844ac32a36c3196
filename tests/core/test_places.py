"""What may be read, and what a person who types a place cannot reach."""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO, Any

import pytest
from django.core.exceptions import ImproperlyConfigured

from mlops_site.core import entries, env, places
from mlops_site.core.entries import Place
from mlops_site.core.errors import Invalid, StewardError, TooLarge, Unavailable
from tests.buckets import Bucket


@pytest.fixture
def folder(tmp_path: Path, settings: Any) -> Path:
    """A folder that the claims team may read, and a secret beside it."""
    (tmp_path / "secret.csv").write_text("a\n1\n")
    found = tmp_path / "claims"
    found.mkdir()
    (found / "new.csv").write_text("a\n2\n")
    settings.DATA_FOLDERS = [Place("claims", str(found))]
    return found


def test_a_file_below_the_folder_is_read(folder: Path) -> None:
    with places.opened(f"{folder}/new.csv", "claims", max_bytes=100) as file:
        assert file.read() == b"a\n2\n"
    assert [each.name for each in places.files(str(folder), "*.csv", "claims")] == ["new.csv"]
    assert places.files(str(folder), "*.parquet", "claims") == []
    (folder / "loop.parquet").symlink_to(folder / "loop.parquet")
    assert places.files(str(folder), "*.parquet", "claims") == []


@pytest.mark.parametrize(
    ("location", "code"),
    [
        ("{}/../secret.csv", "place_not_allowed"),
        ("{}2/new.csv", "place_not_allowed"),
        ("/etc/passwd", "place_not_allowed"),
        ("new.csv", "place_not_allowed"),
        ("{}/new.csv\0.txt", "place_not_allowed"),
        ("{}/link.csv", "place_not_allowed"),
        ("{}/nested/secret.csv", "place_not_allowed"),
        ("{}/nested/absent.csv", "place_not_allowed"),  # whether it is there is told of neither
        ("{}/loop.csv", "nothing_there"),
        ("{}/absent.csv", "nothing_there"),
        ("{}/pipe", "not_a_file"),
        ("{}", "not_a_file"),
    ],
)
def test_whatever_leads_elsewhere_is_refused(folder: Path, location: str, code: str) -> None:
    (folder / "link.csv").symlink_to(folder.parent / "secret.csv")
    (folder / "nested").symlink_to(folder.parent)
    (folder / "loop.csv").symlink_to(folder / "loop.csv")
    os.mkfifo(folder / "pipe")
    with pytest.raises(Invalid) as refused, places.opened(location.format(folder), "claims", max_bytes=100):
        pass
    assert (refused.value.code, refused.value.errors[0].field) == (code, "location")


def test_another_team_is_told_nothing_of_it(folder: Path) -> None:
    for location in (f"{folder}/new.csv", f"{folder}/absent.csv"):
        with pytest.raises(Invalid) as refused, places.opened(location, "elsewhere", max_bytes=100):
            pass
        assert refused.value.code == "place_not_allowed"
        assert "(none; the operator names them in DATA_FOLDERS)" in refused.value.detail


def test_a_link_out_of_a_listed_folder_is_refused(folder: Path) -> None:
    (folder / "link.csv").symlink_to(folder.parent / "secret.csv")
    with pytest.raises(Invalid, match="of the folders"):
        places.files(str(folder), "*.csv", "claims")


def test_a_file_that_changes_while_it_is_read_is_not_taken(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copy = places._copy

    def slow(file: IO[bytes], target: IO[bytes], max_bytes: int) -> None:
        copy(file, target, max_bytes)
        with (folder / "new.csv").open("a") as writer:
            writer.write("3\n")

    monkeypatch.setattr(places, "_copy", slow)
    with pytest.raises(Unavailable) as refused, places.opened(f"{folder}/new.csv", "claims", max_bytes=100):
        pass
    assert refused.value.code == "still_changing"


def test_a_folder_that_becomes_a_link_meanwhile_is_not_followed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "day").mkdir()
    (folder / "day" / "secret.csv").write_text("a\n3\n")
    looked = places.path_of

    def swapped(location: str, team: str) -> Path:
        found = looked(location, team)
        (folder / "day").rename(folder / "gone")
        (folder / "day").symlink_to(folder.parent)
        return found

    monkeypatch.setattr(places, "path_of", swapped)
    with pytest.raises(Unavailable) as refused, places.opened(f"{folder}/day/secret.csv", "claims", max_bytes=100):
        pass
    assert refused.value.code == "still_changing"


def test_what_this_site_may_not_read_is_said(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def closed(*_: Any, **__: Any) -> Any:  # as for any user but root, who runs some of these tests
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("mlops_site.core.places.os.open", closed)
    monkeypatch.setattr("mlops_site.core.places.os.scandir", closed)
    with pytest.raises(Invalid) as refused, places.opened(f"{folder}/new.csv", "claims", max_bytes=100):
        pass
    with pytest.raises(Invalid) as listed:
        places.files(str(folder), "*", "claims")
    assert refused.value.code == listed.value.code == "not_readable"


def test_a_file_that_is_too_large_is_refused(folder: Path) -> None:
    with pytest.raises(TooLarge), places.opened(f"{folder}/new.csv", "claims", max_bytes=3):
        pass


@pytest.fixture
def data_bucket(bucket: Bucket, settings: Any, monkeypatch: pytest.MonkeyPatch) -> Bucket:
    """The bucket of a test, of which the claims team may read what is under exports/."""
    monkeypatch.setenv("DATA_BUCKETS", f"claims:{bucket.name}/exports")
    settings.DATA_BUCKETS, settings.DATA_STORE = entries.buckets("DATA_BUCKETS"), env.data_store()
    for key in ("exports/a.csv", "exports/b.csv", "exports/deep/c.csv", "exports2/d.csv", "secret.csv"):
        bucket.client.put_object(Bucket=bucket.name, Key=key, Body=key.encode())
    return bucket


def test_objects_under_the_prefix_are_read(data_bucket: Bucket) -> None:
    root = f"s3://{data_bucket.name}/exports"
    assert [each.name for each in places.objects(root, "*.csv", "claims")] == ["a.csv", "b.csv"]
    with places.object_opened(f"{root}/a.csv", "claims", max_bytes=100) as file:
        assert file.read() == b"exports/a.csv"
    before = places.objects(root, "a.csv", "claims")
    data_bucket.client.put_object(Bucket=data_bucket.name, Key="exports/a.csv", Body=b"exports/A.csv")
    assert places.objects(root, "a.csv", "claims") != before


@pytest.mark.parametrize(
    ("key", "code"),
    [
        ("secret.csv", "place_not_allowed"),
        ("exports2/d.csv", "place_not_allowed"),
        ("exports/../secret.csv", "place_not_allowed"),
        ("exports//a.csv", "place_not_allowed"),
        ("exports/absent.csv", "nothing_there"),
    ],
)
def test_objects_elsewhere_are_refused(data_bucket: Bucket, key: str, code: str) -> None:
    location = f"s3://{data_bucket.name}/{key}"
    with pytest.raises(Invalid) as refused, places.object_opened(location, "claims", max_bytes=100):
        pass
    assert refused.value.code == code
    with pytest.raises(Invalid, match="of the buckets"), places.object_opened(location, "elsewhere", max_bytes=100):
        pass


def test_a_store_that_is_down_is_no_refusal(data_bucket: Bucket) -> None:
    data_bucket.server.hang()
    with pytest.raises(StewardError) as refused:
        places.objects(f"s3://{data_bucket.name}/exports", "*", "claims")
    assert isinstance(refused.value, Unavailable)


@pytest.mark.parametrize(
    ("read", "value"),
    [
        (entries.folders, "data"),
        (entries.folders, "/"),
        (entries.folders, "Claims:/data"),
        (entries.buckets, "s3://bucket"),
        (entries.databases, "warehouse"),
        (entries.databases, "warehouse=mysql://u:hunter2@host/db"),
    ],
)
def test_a_bad_entry_stops_the_start_without_its_password(
    read: Any, value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLACES", value)
    with pytest.raises(ImproperlyConfigured, match="PLACES must be") as stopped:
        read("PLACES")
    assert "hunter2" not in str(stopped.value)


def test_databases_are_found_by_name_and_team(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLACES", "claims:warehouse=postgresql://a:b,c@host/db shared=sqlite:////srv/x.sqlite3")
    settings.SOURCE_DATABASES = entries.databases("PLACES")
    assert places.database("warehouse", "claims") == "postgresql://a:b,c@host/db"
    assert places.database("shared", "elsewhere") == "sqlite:////srv/x.sqlite3"
    with pytest.raises(Invalid, match=r"\(shared\)"):
        places.database("warehouse", "elsewhere")
