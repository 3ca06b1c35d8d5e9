"""Which blobs go where."""

import base64
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import trio

from engine.config import ConfigError, load_config
from engine.store import Store, StoreError
from tests import buckets
from tests.databases import migrated

ACCOUNT = {
    "type": "service_account",
    "client_email": "a@b",
    "private_key_id": "1",
    "private_key": "",
    "disable_oauth": True,
}


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    with buckets.google() as settings:
        yield settings.endpoint


async def open_with(tmp_path: Path, environ: dict[str, str]) -> Store:
    config = load_config(environ={"LISTEN_DATA_DIR": str(tmp_path), **environ})
    return await Store.open(migrated(tmp_path), trio.to_thread.run_sync, blobs=config.blobs)


async def test_without_a_word_all_are_files_in_the_data_directory(tmp_path: Path) -> None:
    store = await open_with(tmp_path, {})
    assert store.blobs is store.received_blobs is store.profile_blobs
    assert store.blobs.where == f"files in {tmp_path / 'blobs'}"
    await store.close()


async def test_received_audio_goes_to_googles_bucket_that_two_variables_name(
    tmp_path: Path, endpoint: str
) -> None:
    account = base64.b64encode(json.dumps(ACCOUNT).encode()).decode()
    names = {"GCS_BUCKET_NAME": buckets.BUCKET, "GOOGLE_APPLICATION_CREDENTIALS_JSON": account}
    store = await open_with(tmp_path, names | {"LISTEN_BLOBS_ENDPOINT": endpoint})  # instead of Google's own
    await store.received_blobs.put("ann", "received/a.wav", b"heard")
    assert store.received_blobs.where == f"gs://{buckets.BUCKET}"
    assert await store.received_blobs.get("ann", "received/a.wav") == b"heard"
    await store.blobs.put("ann", "recordings/a.flac", b"spoken")
    assert store.blobs is store.profile_blobs
    assert store.blobs.where.startswith("files in ")
    erased = await store.user_data.erase("ann", serving=False)
    assert erased.blobs == 2
    await store.close()


async def test_speech_profiles_may_have_a_bucket_of_their_own(tmp_path: Path) -> None:
    store = await open_with(tmp_path, {"BUCKET_SPEECH_PROFILES": "s3://voices/of/users"})
    assert store.profile_blobs.where == "s3://voices/of/users"
    assert store.blobs is store.received_blobs
    await store.close()


@pytest.mark.parametrize("text", ["no base64!", base64.b64encode(b"no json").decode(), "{", "W10="])
async def test_an_account_that_is_none_is_refused_and_not_shown(tmp_path: Path, text: str) -> None:
    names = {"GCS_BUCKET_NAME": "b", "GOOGLE_APPLICATION_CREDENTIALS_JSON": text}
    with pytest.raises(StoreError, match=r"blobs\.service_account is not accepted") as caught:
        await open_with(tmp_path, names)
    assert text not in str(caught.value)


@pytest.mark.parametrize("url", ["s3:/b", "file:///etc", "s3://", "s3://b/a b", "gs://b/../c?x"])
def test_a_url_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match=r"blobs\.url"):
        load_config(environ={"LISTEN_BLOBS_URL": url})
