"""What was accepted is given to who has not taken it, by the next process too, and to nobody twice."""

from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from engine._config_receiver import Receiver
from engine.store import Store
from engine.store.received_records import ReceivedFileRow
from engine.store.received_spool import Part
from engine.webhooks.receiver.accepted import Accepted, places_mark, places_of
from engine.webhooks.receiver.archive import Archive
from engine.webhooks.receiver.chunk import Chunk
from engine.webhooks.receiver.feed import Feed
from engine.webhooks.receiver.files import Layout, SavedAudio
from engine.webhooks.receiver.joining import Audio, Began
from tests.webhooks.receiver.chunks import RATE, chunk, tone

NOW = 1_800_000_000_000_000
PCM = tone(3 * RATE)


class Killed(BaseException):
    """The process is gone: nothing that handles errors sees it."""


class Recording(Archive):
    """Knows what was begun."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.parts: list[Part] = []

    async def begin(self, row: ReceivedFileRow) -> Part:
        self.parts.append(await super().begin(row))
        return self.parts[-1]


class Process:
    """The part of a server that saves what was posted to it."""

    def __init__(self, store: Store, save: str) -> None:
        settings = Receiver(save=save, file_minutes=1 / 60)  # type: ignore[arg-type]
        self.store = store
        self.archive = Recording(store.received_spool, store.received_blobs, store.received.files, settings)
        self.parts = self.archive.parts
        layout = Layout(settings, lambda: NOW)
        self.saved = SavedAudio(layout, self.archive, store.received_inbox)
        self.accepted = Accepted(store.received_inbox, (self.saved,), settings, self.archive)

    async def save(self, kept: Chunk) -> None:
        """A session of one request, to its end; nothing is noted."""
        feed = Feed(10**9, lossless=True)
        await feed.put(Audio(position=0, pcm=kept.pcm, chunk=kept))
        feed.finish()
        began = Began(id="s1", uid=kept.uid, sample_rate=RATE, began_at=NOW, interval=1.0)
        await self.saved.consume(began, feed)

    def die(self) -> None:
        """What it had locked is anybody's."""
        self.store.received_inbox.close()
        for part in self.parts:
            part.close()

    async def files(self) -> list[bytes]:
        rows = sorted(await self.store.received.files.list("ann"), key=lambda row: row.position)
        return [(await self.store.received_blobs.get("ann", row.name))[44:] for row in rows]


@pytest.fixture
async def stores(tmp_path: Path) -> AsyncIterator[tuple[Store, Store]]:
    """Of a process, and of the one after it."""
    opened = [await Store.open(tmp_path, trio.to_thread.run_sync, now=lambda: NOW) for _ in range(2)]
    yield opened[0], opened[1]
    for store in opened:
        await store.close()


@pytest.mark.parametrize("save", ["request", "session"])
@pytest.mark.parametrize("step", ["before", "after one write", "before finishing", "after finishing"])
async def test_a_piece_is_there_once_whenever_its_process_dies(
    stores: tuple[Store, Store], monkeypatch: pytest.MonkeyPatch, save: str, step: str
) -> None:
    first, second = (Process(store, save) for store in stores)
    kept = await first.accepted.keep(chunk(PCM, 0.0))
    writes = 1 if save == "request" else 3  # three files of a second each
    write, finish, left = first.archive.write, first.archive.finish, {"after one write": 1}.get(step, 0)

    async def write_until_killed(part: Part, data: bytes) -> None:
        nonlocal left
        if step in ("before", "after one write"):
            if not left:
                raise Killed
            left -= 1
        await write(part, data)

    async def finish_until_killed(part: Part) -> None:
        if step == "before finishing":
            raise Killed
        await finish(part)

    monkeypatch.setattr(first.archive, "write", write_until_killed)
    monkeypatch.setattr(first.archive, "finish", finish_until_killed)
    whole = step == "after finishing" or (save == "request" and step != "before")
    try:
        await first.save(kept)
    except Killed:
        assert step != "after finishing"
    first.die()
    given = await second.accepted.left()
    assert [one.pcm for one in given] == ([] if whole else [PCM])
    if whole:
        await second.archive.recover()
        assert b"".join(await second.files()) == PCM
        assert len(await second.files()) == writes
        assert await second.accepted.left() == []


async def test_what_was_recovered_before_anybody_looked_is_known_by_its_row(
    stores: tuple[Store, Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = (Process(store, "request") for store in stores)

    async def killed(part: Part) -> None:
        raise Killed

    monkeypatch.setattr(first.archive, "finish", killed)
    kept = await first.accepted.keep(chunk(PCM, 0.0))
    with pytest.raises(Killed):
        await first.save(kept)
    first.die()
    assert await second.archive.recover() == 1
    assert await second.accepted.left() == []
    assert await second.files() == [PCM]


@given(st.dictionaries(st.text("0123456789abcdef-", min_size=1), st.integers(0, 2**40), min_size=1))
def test_places_are_read_as_they_were_marked_and_by_who_marked_them(places: Mapping[str, int]) -> None:
    mark = places_mark("files", places)
    assert places_of(mark, "files") == places
    assert "\n" not in mark
    assert places_of(mark, "republish") == places_of("files", "files") == places_of("found", "files") == {}
