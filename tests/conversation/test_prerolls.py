"""What of an enrolled voice is played to vendors: over a real store and files."""

from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from engine.audio.wav import encode_wav
from engine.conversation.prerolls import OwnVoices
from engine.conversation.voices import PROFILE
from engine.store import Store
from engine.store.user_records import VoiceRow
from engine.stt.prerolls import Preroll
from tests.databases import migrated
from tests.listen.harness import inline
from tests.stt.streams import load

SPOKEN = load("austen-0870")
NAME = "voices/profile.wav"


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    store = await Store.open(migrated(tmp_path), inline)
    yield store
    await store.close()


async def enrolled(store: Store, recording: bytes | None, vendors: Sequence[str] = ("dg-nova-3",)) -> None:
    await store.voices.put(
        VoiceRow(
            uid="ann",
            id=PROFILE,
            person_id="user",
            name=NAME,
            seconds=5.0,
            vector=np.zeros(256, "<f4").tobytes(),
            encoder="any",
            vendors=list(vendors),
            source=None,
            created_at=1,
        )
    )
    if recording is not None:
        await store.profile_blobs.put("ann", NAME, recording)


async def preroll(store: Store, uid: str = "ann") -> Preroll | None:
    return await OwnVoices(store.voices, store.profile_blobs, inline, 2.0).preroll(uid)


async def test_the_beginning_of_the_users_own_profile_is_played_to_the_vendors_it_serves(
    store: Store,
) -> None:
    await enrolled(store, encode_wav(SPOKEN, 16_000))
    found = await preroll(store)
    assert found is not None
    assert found.pcm == SPOKEN[:32_000].tobytes()
    assert found.vendors == {"dg-nova-3"}
    assert await preroll(store, "bob") is None


async def test_a_profile_that_serves_no_vendor_is_not_read(store: Store) -> None:
    await enrolled(store, None, vendors=())
    assert await preroll(store) is None


@pytest.mark.parametrize("recording", [None, b"no recording"])
async def test_a_recording_that_is_gone_or_spoilt_ends_no_session(
    store: Store, recording: bytes | None
) -> None:
    await enrolled(store, recording)
    assert await preroll(store) is None
