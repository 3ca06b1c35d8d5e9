"""/v1/users: what the user has set."""

from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec
from msgspec import Meta

from engine.off_loop import OffLoop
from engine.store.user_records import UserRow
from engine.web.answers import Done
from engine.web.api import Api, Identify
from engine.web.errors import ApiError
from engine.web.given import Place
from engine.web.record_ports import Now, Users
from engine.wire.refusal import printable

__all__ = ["settings"]

VOCABULARY = 100

Language = Annotated[str, Meta(max_length=35, pattern=r"^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*\Z")]
Word = Annotated[str, Meta(max_length=100)]


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """Who the user is. `time_zone` is an IANA name, in which "tomorrow" and due dates are understood."""

    uid: str
    name: str
    email: str | None = None
    language: str
    time_zone: str


class ProfileChanges(msgspec.Struct, frozen=True):
    """What changes; what is not given stays."""

    name: Annotated[str, Meta(max_length=100)] | None = None
    time_zone: Annotated[str, Meta(min_length=1, max_length=64)] | None = None


class LanguageAnswer(msgspec.Struct, frozen=True):
    """The user's language; empty when none is set."""

    language: str


class LanguageChange(msgspec.Struct, frozen=True):
    """A language tag such as en, pt-BR or multi."""

    language: Language


class LanguageChanged(msgspec.Struct, frozen=True):
    """It was set."""

    single_language_mode: bool
    status: str = "ok"


class Transcription(msgspec.Struct, frozen=True, kw_only=True):
    """How the user's speech is transcribed."""

    single_language_mode: bool
    vocabulary: list[str]
    language: str
    uses_custom_stt: bool = False


class TranscriptionChanges(msgspec.Struct, frozen=True):
    """What changes; what is not given stays. `vocabulary` are names and terms to be preferred to similar words."""

    single_language_mode: bool | None = None
    vocabulary: Annotated[list[Word], Meta(max_length=VOCABULARY)] | None = None


class Switch(msgspec.Struct, frozen=True):
    """On or off."""

    value: bool


class CloudSync(msgspec.Struct, frozen=True):
    """Whether audio may be kept on the server."""

    private_cloud_sync_enabled: bool


class RecordingPermission(msgspec.Struct, frozen=True):
    """Whether recordings of conversations may be kept."""

    store_recording_permission: bool


def settings(table: Users, off_loop: OffLoop, now: Now, identify: Identify) -> Api:
    """The routes."""
    api = Api("settings", identify, prefix="/v1/users", tag="Settings")
    _profile(api, table, off_loop, now)
    _speech(api, table)
    _permissions(api, table)
    return api


def _profile(api: Api, table: Users, off_loop: OffLoop, now: Now) -> None:
    @api.get("/profile", "Who the user is", answer=Profile)
    async def profile(uid: str) -> Profile:
        return _document(await table.get(uid))

    @api.patch("/profile", "Set name and time zone", body=ProfileChanges, answer=Profile)
    async def change_profile(uid: str, body: ProfileChanges) -> Profile:
        values = {}
        if body.name is not None:
            values["name"] = body.name.strip()
        if body.time_zone is not None:
            await off_loop(_check_zone, body.time_zone)
            values["time_zone"] = body.time_zone
        return _document(await table.change(uid, values))

    @api.patch("/geolocation", "Say where the user is", body=Place, answer=Done)
    async def set_place(uid: str, body: Place) -> Done:
        await table.change(uid, {"geolocation": msgspec.to_builtins(body) | {"at": now()}})
        return Done()


def _speech(api: Api, table: Users) -> None:
    @api.get("/language", "The user's language", answer=LanguageAnswer)
    async def language(uid: str) -> LanguageAnswer:
        return LanguageAnswer((await table.get(uid)).language)

    @api.patch("/language", "Set the user's language", body=LanguageChange, answer=LanguageChanged)
    async def set_language(uid: str, body: LanguageChange) -> LanguageChanged:
        row = await table.change(uid, {"language": body.language})
        return LanguageChanged(row.single_language_mode)

    @api.get("/transcription-preferences", "How the user's speech is transcribed", answer=Transcription)
    async def transcription(uid: str) -> Transcription:
        row = await table.get(uid)
        return Transcription(
            single_language_mode=row.single_language_mode, vocabulary=row.vocabulary, language=row.language
        )

    @api.patch(
        "/transcription-preferences",
        "Set how the user's speech is transcribed",
        body=TranscriptionChanges,
        answer=Done,
    )
    async def set_transcription(uid: str, body: TranscriptionChanges) -> Done:
        values: dict[str, object] = {}
        if body.single_language_mode is not None:
            values["single_language_mode"] = body.single_language_mode
        if body.vocabulary is not None:
            words = (word.strip() for word in body.vocabulary)
            values["vocabulary"] = list(dict.fromkeys(word for word in words if word))
        await table.change(uid, values)
        return Done()


def _permissions(api: Api, table: Users) -> None:
    @api.get("/private-cloud-sync", "Whether audio may be kept on the server", answer=CloudSync)
    async def cloud_sync(uid: str) -> CloudSync:
        return CloudSync((await table.get(uid)).private_cloud_sync)

    @api.post("/private-cloud-sync", "Allow audio to be kept on the server", query=Switch, answer=Done)
    async def set_cloud_sync(uid: str, query: Switch) -> Done:
        await table.change(uid, {"private_cloud_sync": query.value})
        return Done()

    path = "/store-recording-permission"

    @api.get(path, "Whether recordings may be kept", answer=RecordingPermission)
    async def recording(uid: str) -> RecordingPermission:
        return RecordingPermission((await table.get(uid)).store_recording_permission)

    @api.post(path, "Allow recordings to be kept", query=Switch, answer=Done)
    async def set_recording(uid: str, query: Switch) -> Done:
        await table.change(uid, {"store_recording_permission": query.value})
        return Done()

    @api.delete(path, "Allow no recordings to be kept any more", answer=Done)
    async def forbid_recording(uid: str) -> Done:
        await table.change(uid, {"store_recording_permission": False})
        return Done()


def _document(row: UserRow) -> Profile:
    return Profile(uid=row.uid, name=row.name, language=row.language, time_zone=row.time_zone)


def _check_zone(name: str) -> None:
    """Raises `ApiError` 422 for what is no time zone. Reads its file: off the loop."""
    try:
        ZoneInfo(name)
    except (ValueError, OSError, ZoneInfoNotFoundError):
        raise ApiError(
            422, f"time_zone={printable(name)} is not accepted: use an IANA name such as Europe/Berlin"
        ) from None
