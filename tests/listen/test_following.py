"""Who follows sessions is told of all that happens in them, and no fault of theirs reaches a session."""

from collections.abc import Sequence
from pathlib import Path

from trio.testing import MockClock

from engine.listen.ports import Followed, Follower, OpenConversation
from engine.listen.tap import Tap
from engine.stt.vendor import SAMPLE_RATE
from engine.testing import ScriptedVendor, counted_words, script_of
from engine.transcript.words import Word
from engine.wire.messages import Segment
from tests.listen.harness import frames, parameters, server, silence, tone


class Following:
    """Writes everything down."""

    def __init__(self) -> None:
        self.sessions: list[Followed] = []
        self.conversations: list[tuple[str, int]] = []
        self.segments: dict[str, Segment] = {}
        self.revisions: list[tuple[str, int]] = []
        self.offsets: set[float] = set()
        self.taps: list[Tap] = []
        self.over = 0

    def began(self, session: Followed) -> "Following":
        self.sessions.append(session)
        self.taps.append(session.tap("test", keep=120 * SAMPLE_RATE))
        return self

    def entered(self, conversation: OpenConversation, position: int) -> None:
        self.conversations.append((conversation.id, position))

    def changed(
        self,
        conversation: OpenConversation,
        segments: Sequence[Segment],
        deleted: Sequence[str],
        offset: float,
    ) -> None:
        assert conversation.id == self.conversations[-1][0]
        for segment in segments:
            self.segments[segment.id] = segment
            self.revisions.append((segment.id, segment.revision))
        for gone in deleted:
            del self.segments[gone]
        self.offsets.add(offset)

    def ended(self) -> None:
        self.over += 1


class Faulty:
    """Fails at the first thing it is told."""

    def __init__(self, at: str) -> None:
        self._at = at

    def began(self, session: Followed) -> "Faulty":
        self._fail("began")
        return self

    def entered(self, conversation: OpenConversation, position: int) -> None:
        self._fail("entered")

    def changed(
        self,
        conversation: OpenConversation,
        segments: Sequence[Segment],
        deleted: Sequence[str],
        offset: float,
    ) -> None:
        self._fail("changed")

    def ended(self) -> None:
        self._fail("ended")

    def _fail(self, where: str) -> None:
        if where == self._at:
            raise RuntimeError(where)


async def test_a_follower_hears_all_audio_and_sees_all_that_the_client_is_sent(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    following, sound = Following(), tone(7.3)
    async with server(tmp_path, ScriptedVendor(counted_words(0.5)), followers=lambda _: [following]) as it:
        socket = await it.connect()
        for frame in frames(sound):
            await socket.say(frame)
        await socket.leave()
        await it.idle()
    run = await following.taps[0].read(100 * SAMPLE_RATE)
    assert run.pcm == sound
    shown = socket.segments()
    assert {id: segment.text for id, segment in following.segments.items()} == {
        id: segment["text"] for id, segment in shown.items()
    }
    assert {id: segment.revision for id, segment in following.segments.items()} == {
        id: segment["revision"] for id, segment in shown.items()
    }
    assert len(set(following.revisions)) == len(following.revisions)
    assert (following.over, [position for _, position in following.conversations]) == (1, [0])
    assert following.sessions[0].over


async def test_a_follower_is_told_from_which_sample_on_another_conversation_is_heard(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    words = [Word("one.", 0, SAMPLE_RATE), Word("two.", 10 * SAMPLE_RATE, 11 * SAMPLE_RATE)]
    following = Following()
    async with server(tmp_path, ScriptedVendor(script_of(words)), followers=lambda _: [following]) as it:
        socket = await it.connect(parameters(conversation_timeout=5))
        for frame in frames(silence(12)):
            await socket.say(frame)
        await socket.leave()
        await it.idle()
    first, second = (position for _, position in following.conversations)
    assert (first, 6 * SAMPLE_RATE <= second <= 10 * SAMPLE_RATE) == (0, True)
    assert following.offsets == {0.0, -second / SAMPLE_RATE}


async def test_a_session_without_speech_to_text_can_be_tapped_too(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    following, sound = Following(), tone(40)
    async with server(tmp_path, followers=lambda _: [following]) as it:
        socket = await it.connect(parameters(custom_stt=True))
        await socket.say(sound[: len(sound) // 2])
        await socket.say(sound[len(sound) // 2 :])
        await socket.leave()
        await it.idle()
    run = await following.taps[0].read(100 * SAMPLE_RATE)
    assert (run.pcm, following.taps[0].lost) == (sound, 0)


async def test_no_fault_of_a_follower_reaches_the_session_or_the_others(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    following = Following()
    faulty = [Faulty(at) for at in ("began", "entered", "changed", "ended")]
    everybody: list[Follower] = [*faulty, following]
    async with server(tmp_path, ScriptedVendor(counted_words(0.5)), followers=lambda _: everybody) as it:
        socket = await it.connect()
        for frame in frames(tone(2)):
            await socket.say(frame)
        await socket.leave()
        await it.idle()
    assert len(following.segments) == len(socket.segments()) > 0
    assert following.over == 1
