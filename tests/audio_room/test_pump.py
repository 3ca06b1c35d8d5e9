"""A ring's audio on its way out, as those on both sides of it see it."""

from engine.audio.pump import Pump
from engine.audio.ring import Ring


def test_it_begins_where_it_is_told_and_knows_which_samples_the_ring_still_has() -> None:
    ring = Ring(16_000)
    ring.write(bytes(6400))
    cursor = ring.cursor("speech to text", at=1000)
    pump = Pump(ring, cursor, 1500)
    assert (pump.position, pump.stopped) == (1500, False)
    cursor.advance(200)
    assert pump.native.cursor.position == 1200
    assert pump.native.ring.written == 3200


def test_stopping_it_is_told_once_and_holds_it() -> None:
    ring = Ring(16_000)
    pump = Pump(ring, ring.cursor("speech to text"), 0)
    told: list[str] = []
    pump.on_stop = lambda: told.append("stopped")
    pump.stop()
    pump.stop()
    assert (told, pump.stopped, pump.native.held) == (["stopped"], True, 1)


def test_what_is_pushed_goes_to_whoever_runs_it() -> None:
    ring = Ring(16_000)
    pump = Pump(ring, ring.cursor("speech to text"), 0)
    pump.push()
    pushed: list[int] = []
    pump.on_push = lambda: pushed.append(pump.position)
    pump.push()
    assert pushed == [0]
