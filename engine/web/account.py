"""All of a user at once: read out, and erased."""

from typing import Any

import msgspec
from quart import Response, current_app

from engine.store.errors import UserBusy
from engine.web.api import Api, Identify
from engine.web.errors import ApiError
from engine.web.ports import UserData
from engine.web.record_ports import Users

__all__ = ["account"]


class AccountDeleted(msgspec.Struct, frozen=True):
    """Nothing is left of the user."""

    status: str = "ok"
    message: str = "Account deleted successfully"


def account(data: UserData, users: Users, identify: Identify) -> Api:
    """The routes."""
    api = Api("account", identify, prefix="/v1/users", tag="Settings")

    @api.get("/export", "All that is kept of the user: a list for each kind of thing", answer=dict[str, Any])
    async def export(uid: str) -> Response:
        response: Response = current_app.response_class(data.export(uid), content_type="application/json")
        response.timeout = None  # it may be much
        response.headers["Content-Disposition"] = 'attachment; filename="listen-export.json"'
        return response

    @api.delete(
        "/delete-account", "Delete all that is kept of the user", answer=AccountDeleted, errors=(409,)
    )
    async def delete(uid: str) -> AccountDeleted:
        """The database's file is not written anew for this: that would hold up everybody else."""
        try:
            await data.erase(uid, serving=True, scrub=False)
        except UserBusy as error:
            raise ApiError(409, str(error)) from error
        await users.delete(uid)  # what this process remembers
        return AccountDeleted()

    return api
