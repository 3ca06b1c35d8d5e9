"""Pictures from a client's socket to what is made of them, by a whole server and a model behind real sockets."""

import base64
import json
from pathlib import Path

import msgspec
import trio

from engine.config import Conversation, Embedding, Llm
from engine.testing import LlmRequest, OpenAiStandIn, Reply, filled_in
from engine.wire.documents import MemoryCreated, MemoryProcessingStarted
from engine.wire.messages import PhotoDescribed, PhotoProcessing
from tests.e2e.running import config, running, talking

JPEG = b"\xff\xd8\xff\xe0" + bytes(range(256)) * 40
SEEN = "A whiteboard that says: launch on Friday."


def answer(request: LlmRequest) -> Reply:
    """A picture is described; whatever else is asked for is filled in."""
    if request.pictures:
        return Reply(msgspec.json.encode({"description": SEEN, "discarded": False}).decode())
    return filled_in(request)


async def test_a_picture_is_described_told_and_becomes_a_conversation(tmp_path: Path) -> None:
    standin = OpenAiStandIn(answer)
    async with trio.open_nursery() as nursery:
        port = await nursery.start(standin.serve)
        settings = msgspec.structs.replace(
            config(tmp_path),
            llm=Llm(base_url=f"http://127.0.0.1:{port}/v1", vision_model="sees"),
            embedding=Embedding(provider="off"),
            conversation=Conversation(retry_initial=0.1),
        )
        async with running(settings) as server:
            asking = talking(server.url, "ada", custom_stt="enabled", conversation_timeout=2)
            async with asking as (client, shown):
                text = base64.b64encode(JPEG).decode()
                cut = [text[at : at + 4000] for at in range(0, len(text), 4000)]
                for index, data in enumerate(cut):
                    chunk = {
                        "type": "image_chunk",
                        "id": "t1",
                        "index": index,
                        "total": len(cut),
                        "data": data,
                    }
                    await client.send_text(json.dumps(chunk))
                await shown.until(lambda shown: any(isinstance(e, MemoryCreated) for e in shown.events))
            (processing,) = [event for event in shown.events if isinstance(event, PhotoProcessing)]
            (described,) = [event for event in shown.events if isinstance(event, PhotoDescribed)]
            assert processing.temp_id == "t1"
            assert described == PhotoDescribed(processing.photo_id, SEEN, False)
            (started,) = [event for event in shown.events if isinstance(event, MemoryProcessingStarted)]
            assert started.memory.source == "openglass"
            (photo,) = await server.get(f"/v1/conversations/{started.memory.id}/photos", uid="ada")
            assert (photo["description"], photo["base64"]) == (SEEN, text)
            assert {request.body["model"] for request in standin.requests if request.pictures} == {"sees"}
            assert any(SEEN in request.text for request in standin.requests if not request.pictures)
        nursery.cancel_scope.cancel()
