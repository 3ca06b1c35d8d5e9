"""/v2/voice-messages and /v2/voice-message/transcribe: what a chat is asked aloud."""

import msgspec
from quart import Response, request

from engine.conversation.chat.answering import Chat
from engine.conversation.chat.ports import Users
from engine.listen.recordings import Untranscribable
from engine.web.api import Api, Identify
from engine.web.chat import ChatQuery, persona_of, streamed
from engine.web.errors import ApiError
from engine.web.ports import Transcriber

__all__ = ["voice"]

MOST_FILES = 8
LANGUAGE = "en"
"""Of users who have set none."""


class SpokenText(msgspec.Struct, frozen=True):
    """What was said."""

    transcript: str


def voice(service: Chat, transcriber: Transcriber, users: Users, text_limit: int, identify: Identify) -> Api:
    """The routes. Both take `multipart/form-data` with WAV files named `files`."""
    api = Api("voice", identify, prefix="/v2", tag="Chat")

    async def recordings() -> list[bytes]:
        files = [file.read() for file in (await request.files).getlist("files")]
        if not 1 <= len(files) <= MOST_FILES:
            raise ApiError(
                422,
                f"files={len(files)} files is not accepted: use 1 to {MOST_FILES} WAV files, multipart/form-data",
            )
        return files

    async def heard(uid: str, files: list[bytes]) -> str:
        language = (await users.get(uid)).language or LANGUAGE
        try:
            said = [await transcriber.transcribe(file, language) for file in files]
        except Untranscribable as error:
            raise ApiError(422 if error.theirs else 503, f"files is not accepted: {error}") from None
        return " ".join(filter(None, said))

    @api.post("/voice-message/transcribe", "Transcribe recordings", answer=SpokenText, errors=(408, 413, 422))
    async def transcribe_voice(uid: str) -> SpokenText:
        return SpokenText(await heard(uid, await recordings()))

    @api.post(
        "/voice-messages",
        "Ask aloud about what was said, the answer is streamed",
        query=ChatQuery,
        errors=(403, 408, 413, 422),
        media="text/event-stream",
    )
    async def send_voice(uid: str, query: ChatQuery) -> Response:
        files = await recordings()
        persona = await persona_of(service, uid, query)
        text = (await heard(uid, files))[:text_limit]
        if not text:
            raise ApiError(422, "files is not accepted: nothing is said in it")
        return streamed(service, uid, text, persona, with_question=True)

    return api
