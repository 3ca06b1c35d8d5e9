"""/v1/conversations/{id}/trigger-webhook: tell webhooks of a conversation again, to try a receiver."""

import msgspec

from engine.web.answers import missing
from engine.web.api import Api, Identify
from engine.web.conversation_ports import Wholes
from engine.web.conversations import unlocked
from engine.web.errors import ApiError
from engine.web.ports import Teller

__all__ = ["telling"]


class Triggered(msgspec.Struct, frozen=True):
    """How many endpoints are told; the log of deliveries says what becomes of it."""

    deliveries: int


def telling(wholes: Wholes, teller: Teller, identify: Identify) -> Api:
    """The routes."""
    api = Api("telling", identify, prefix="/v1/conversations", tag="Webhooks")

    @api.post(
        "/<conversation_id>/trigger-webhook",
        "Send `memory_created` of a conversation again, to the developer's webhook and to apps",
        answer=Triggered,
        errors=(402, 404, 409),
    )
    async def trigger(uid: str, conversation_id: str) -> Triggered:
        whole = await unlocked(wholes, uid, conversation_id)
        try:
            count = await teller.send(uid, whole.row.id)
        except KeyError:
            raise missing("Conversation") from None
        if not count:
            raise ApiError(409, "no memory_created webhook is turned on")
        return Triggered(count)

    return api
