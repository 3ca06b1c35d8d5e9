"""What the doctor says of where files are kept."""

from pathlib import Path

import pytest

from engine._doctor_blobs import files
from engine.config import Blobs, Config
from engine.store.blob_buckets import open_bucket
from tests import buckets


def test_files_in_the_data_directory_say_how_much_room_there_is(tmp_path: Path) -> None:
    (check,) = files(Config(data_dir=tmp_path / "not there yet"))
    assert check.status == "ok"
    assert check.detail.startswith(f"in {tmp_path / 'not there yet' / 'blobs'}, ")
    assert check.detail.endswith(" GB free")


@pytest.mark.parametrize("server", [buckets.s3, buckets.google])
def test_a_bucket_is_written_read_and_left_as_it_was(tmp_path: Path, server: object) -> None:
    assert callable(server)
    with server() as settings:
        (check,) = files(Config(data_dir=tmp_path, blobs=settings))
        assert (check.status, check.detail) == ("ok", f"in {settings.url}: written, read and removed")
        assert open_bucket(settings.url, settings).list(".doctor", "", 10) == []


def test_a_bucket_that_is_away_is_named_with_what_to_do(tmp_path: Path) -> None:
    settings = Blobs(
        endpoint="http://127.0.0.1:9", received_bucket="heard", profiles_bucket="s3://voices", region="eu"
    )
    own, received, profiles = files(Config(data_dir=tmp_path, blobs=settings))
    assert own.status == "ok"
    assert (received.name, received.status) == ("received audio", "fail")
    assert received.detail.startswith("gs://heard: ")
    assert (profiles.name, profiles.status) == ("speech profiles", "fail")
    assert "[blobs]" in profiles.advice
