"""/v1/usage: what the user has used, hour by hour."""

import msgspec
from quart import Blueprint, Response, request

from engine.conversation.document import iso_time
from engine.store.records import UsageRow
from engine.web.auth import Authenticator
from engine.web.errors import json_response
from engine.web.ports import Services
from engine.web.query import Query

__all__ = ["usage"]


def usage(services: Services, authenticator: Authenticator) -> Blueprint:
    """The route. `start` and `end` bound the beginning of an hour: start ≤ hour < end."""
    routes = Blueprint("usage", __name__)

    @routes.get("/v1/usage")
    async def read() -> Response:
        uid = await authenticator.identify_request(request)
        query = Query(request.args)
        rows = await services.usage.read(uid, query.moment("start"), query.moment("end"))
        return json_response({"hours": [_document(row) for row in rows]})

    return routes


def _document(row: UsageRow) -> dict[str, object]:
    fields = msgspec.structs.asdict(row)
    del fields["uid"]
    return fields | {"hour": iso_time(row.hour)}
