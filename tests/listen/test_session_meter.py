"""What a session uses up of its user's quota, on the virtual clock."""

from pathlib import Path

from trio.testing import MockClock

from engine.store import UsageRow, hour_of
from engine.testing import ScriptedVendor, script_of
from tests.listen.harness import frames, server, silence, wall_clock


async def test_a_client_is_told_once_when_little_is_left_of_the_quota(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    vendor = ScriptedVendor(script_of([]))
    async with server(tmp_path, vendor, quota_minutes=10) as it:
        used = UsageRow(uid="ada", hour=hour_of(wall_clock()), audio_seconds=10 * 60 - 200.0)
        await it.store.usage.add("before", used)
        socket = await it.connect()
        await socket.until_status("ready")
        assert not socket.events("freemium_threshold_reached")
        for frame in frames(silence(30), 16_000):
            await socket.say(frame)
        await socket.until(lambda socket: socket.events("freemium_threshold_reached"))
        await socket.leave()
        await it.idle()
        (told,) = socket.events("freemium_threshold_reached")
        assert 0 < told["remaining_seconds"] <= 180
        await it.writer.flush()
        again = await it.connect()
        await again.until(lambda socket: socket.events("freemium_threshold_reached"))
        await again.leave()
        await it.idle()


async def test_without_a_quota_nobody_is_told_anything(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with server(tmp_path, ScriptedVendor(script_of([]))) as it:
        socket = await it.connect()
        await socket.until_status("ready")
        await socket.leave()
        await it.idle()
        assert not socket.events("freemium_threshold_reached")
