"""/v1/usage over a real store."""

from pathlib import Path

from engine.store import Store, UsageRow, hour_of
from tests.web.serving import T0, site

HOUR = 3_600_000_000
FIRST = hour_of(T0)


async def some(store: Store) -> None:
    for n in range(3):
        used = UsageRow(
            uid="alice",
            hour=FIRST + n * HOUR,
            audio_seconds=60.0,
            words=n,
            vendor_seconds={"local-whisper": 6.5},
        )
        await store.usage.add(f"u{n}", used)
    await store.usage.add("b", UsageRow(uid="bob", hour=FIRST, words=99))


async def test_usage_is_told_hour_by_hour_to_its_user_only(tmp_path: Path) -> None:
    async with site(tmp_path, filled=some) as served:
        hours = (await served.get("/v1/usage")).json()["hours"]
    assert [hour["words"] for hour in hours] == [0, 1, 2]
    assert hours[0] == {
        "hour": "2023-11-14T22:00:00+00:00",
        "audio_seconds": 60.0,
        "speech_seconds": 0.0,
        "words": 0,
        "segments": 0,
        "conversations": 0,
        "sessions": 0,
        "vendor_seconds": {"local-whisper": 6.5},
    }


async def test_usage_is_bounded_by_start_and_end(tmp_path: Path) -> None:
    async with site(tmp_path, filled=some) as served:
        span = {"start": "2023-11-14T23:00:00Z", "end": "2023-11-15T00:00:00Z"}
        assert [h["words"] for h in (await served.get("/v1/usage", **span)).json()["hours"]] == [1]
        wrong = await served.get("/v1/usage", start="noon")
        assert wrong.status_code == 422
        assert wrong.json()["detail"].startswith("start=noon is not accepted")


async def test_usage_comes_in_pages(tmp_path: Path) -> None:
    async with site(tmp_path, filled=some) as served:
        page = (await served.get("/v1/usage", limit=2, offset=1)).json()["hours"]
        assert [hour["words"] for hour in page] == [1, 2]
        assert all(hour["vendor_seconds"] for hour in page)
        assert (await served.get("/v1/usage", offset=3)).json() == {"hours": []}
        assert (await served.get("/v1/usage", limit=0)).status_code == 422
