"""The configuration: one typed tree, read from a TOML file, `LISTEN_*` environment variables and flags.

Later sources win: default, file, environment, flag. `load_config` gives the tree or raises `ConfigError` with
every mistake in it; `resolve` also says where each value came from. Each leaf carries its meaning and bounds,
from which `listen config example` writes the annotated file. Times are seconds unless a name says otherwise.
"""

from __future__ import annotations

import ipaddress
import os
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from engine._config_load import ConfigError, Key, Problem, build, gather, nearest
from engine._config_load import keys as _keys

__all__ = [
    "Auth",
    "Config",
    "ConfigError",
    "Deepgram",
    "Key",
    "Limits",
    "Local",
    "Problem",
    "Resolved",
    "Session",
    "Soniox",
    "Speechmatics",
    "Store",
    "Stt",
    "Usage",
    "Vosk",
    "Web",
    "config_keys",
    "default_data_dir",
    "is_loopback",
    "load_config",
    "resolve",
]

Auth = Literal["dev", "token"]
ServiceModel = Literal["dg-nova-3", "soniox-stt-rt", "speechmatics-rt", "dg-nova-2", "vosk", "local-whisper"]
LogLevel = Literal["debug", "info", "warning", "error"]

LOCAL_MODELS = ("tiny.en", "base")

# STT_SERVICE_MODELS is the Omi backend's name for this list; LISTEN_STT_SERVICE_MODELS is the same, and wins.
_ALIASES = {
    "STT_SERVICE_MODELS": "stt.service_models",
    "DEEPGRAM_API_KEY": "deepgram.api_key",
    "DEEPGRAM_URL": "deepgram.url",
    "SONIOX_API_KEY": "soniox.api_key",
    "SONIOX_URL": "soniox.url",
    "SPEECHMATICS_API_KEY": "speechmatics.api_key",
    "SPEECHMATICS_URL": "speechmatics.url",
    "VOSK_URL": "vosk.url",
}


def default_data_dir(environ: Mapping[str, str] | None = None) -> Path:
    """`$XDG_DATA_HOME/listen-engine`, else `~/.local/share/listen-engine` (XDG base directories).

    A user without a home folder, as some services have, gets `/var/lib/listen-engine`.
    """
    environ = os.environ if environ is None else environ
    base = environ.get("XDG_DATA_HOME", "")
    if base and Path(base).is_absolute():
        return Path(base) / "listen-engine"
    home = environ.get("HOME") or os.path.expanduser("~")
    if not os.path.isabs(home):
        return Path("/var/lib/listen-engine")
    return Path(home) / ".local" / "share" / "listen-engine"


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """One live session."""

    ping_interval: Annotated[
        float, Meta(gt=0, le=300, description="Between two text `ping`s to the client.")
    ] = 10.0
    inactivity_timeout: Annotated[
        float,
        Meta(ge=1, le=86400, description="A client that sends nothing for this long is closed with 1001."),
    ] = 90.0
    ring_seconds: Annotated[
        int,
        Meta(ge=2, le=60, description="Audio kept in memory for readers that fall behind (32 kB a second)."),
    ] = 16
    spill_margin: Annotated[
        float,
        Meta(
            gt=0,
            le=30,
            description="When unread audio comes this close to being overwritten, it goes to disk.",
        ),
    ] = 5.0
    spill_minutes: Annotated[
        float,
        Meta(ge=0, le=1440, description="Most audio one session may keep on disk, in minutes; 0 keeps none."),
    ] = 30.0
    message_limit: Annotated[
        int,
        Meta(
            ge=1024,
            le=16777216,
            description="Largest WebSocket message in bytes; a larger one is closed with 1009.",
        ),
    ] = 1048576
    client_write_timeout: Annotated[
        float,
        Meta(
            gt=0, le=600, description="A client that takes longer than this to read one message is dropped."
        ),
    ] = 30.0
    flush_timeout: Annotated[
        float, Meta(gt=0, le=600, description="Longest wait for the last results when a session ends.")
    ] = 10.0
    idle_flush: Annotated[
        float,
        Meta(
            gt=0, le=60, description="When no audio came for this long, what came is transcribed to its end."
        ),
    ] = 1.0
    close_timeout: Annotated[
        float, Meta(gt=0, le=60, description="Longest wait for the client's answer to a close frame.")
    ] = 5.0
    web_auth_timeout: Annotated[
        float,
        Meta(
            gt=0, le=60, description="On /v4/web/listen, the first message (the token) must come within this."
        ),
    ] = 5.0
    stt_exhausted_timeout: Annotated[
        float,
        Meta(
            gt=0,
            le=86400,
            description="When no speech-to-text works for this long, the session is closed with 1011.",
        ),
    ] = 300.0


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """How much the server takes on; over a limit a connection is refused with 1013 and a retry time."""

    sessions: Annotated[int, Meta(ge=1, le=20000, description="Live sessions in all.")] = 1000
    sessions_per_user: Annotated[int, Meta(ge=1, le=20000, description="Live sessions of one user.")] = 8
    connects_per_minute: Annotated[
        int, Meta(ge=1, le=100000, description="New connections of one user in a minute.")
    ] = 60
    retry_after: Annotated[
        float, Meta(gt=0, le=3600, description="Told to a refused client: try again after this many seconds.")
    ] = 5.0


class Stt(msgspec.Struct, frozen=True, kw_only=True):
    """Which speech-to-text service a session gets."""

    service_models: Annotated[
        tuple[ServiceModel, ...],
        Meta(
            min_length=1,
            description="The order of preference; those without a key or a model are passed over.",
        ),
    ] = ("dg-nova-3", "soniox-stt-rt", "speechmatics-rt", "dg-nova-2", "vosk", "local-whisper")
    connect_timeout: Annotated[
        float, Meta(gt=0, le=60, description="A vendor must have answered the handshake within this.")
    ] = 3.0
    send_timeout: Annotated[
        float, Meta(gt=0, le=60, description="A vendor that takes no audio for this long has failed.")
    ] = 3.0
    hang_timeout: Annotated[
        float,
        Meta(
            gt=0,
            le=120,
            description="A vendor that is sent speech and says nothing for this long has failed.",
        ),
    ] = 6.0
    finish_timeout: Annotated[
        float, Meta(gt=0, le=120, description="Longest wait for a vendor's last results.")
    ] = 10.0
    backoff_first: Annotated[
        float,
        Meta(gt=0, le=60, description="Longest wait before the first retry; it doubles, with full jitter."),
    ] = 1.0
    backoff_limit: Annotated[float, Meta(gt=0, le=600, description="Longest wait between two retries.")] = (
        32.0
    )
    refused_pause: Annotated[
        float,
        Meta(gt=0, le=86400, description="A vendor that refused a session is not asked again before this."),
    ] = 60.0
    breaker_failures: Annotated[
        int,
        Meta(ge=1, le=1000, description="So many failures in a row, and all sessions leave a vendor alone."),
    ] = 3
    connects_per_second: Annotated[
        float,
        Meta(gt=0, le=10000, description="Most connections per second to one vendor, all sessions together."),
    ] = 20.0
    gate: Annotated[
        Literal["off", "shadow", "on"],
        Meta(description="Keep silence from the vendors; `shadow` only counts what would be kept."),
    ] = "off"
    gate_hangover: Annotated[
        float, Meta(ge=0.3, le=30, description="Silence that is still sent after speech, in seconds.")
    ] = 2.0


ApiKey = Annotated[str, Meta(description="Without a key the service is not used.", extra={"secret": True})]


class Deepgram(msgspec.Struct, frozen=True, kw_only=True):
    """Deepgram, or a server that speaks its protocol."""

    api_key: ApiKey = ""
    url: Annotated[
        str, Meta(pattern="^wss?://", description="WebSocket endpoint without query; ws:// is allowed.")
    ] = "wss://api.deepgram.com/v1/listen"


class Soniox(msgspec.Struct, frozen=True, kw_only=True):
    """Soniox."""

    api_key: ApiKey = ""
    url: Annotated[str, Meta(pattern="^wss?://", description="WebSocket endpoint without query.")] = (
        "wss://stt-rt.soniox.com/transcribe-websocket"
    )
    model: Annotated[str, Meta(min_length=1, description="The real-time model to ask for.")] = "stt-rt-v5"


class Speechmatics(msgspec.Struct, frozen=True, kw_only=True):
    """Speechmatics."""

    api_key: ApiKey = ""
    url: Annotated[str, Meta(pattern="^wss?://", description="WebSocket endpoint without query.")] = (
        "wss://eu.rt.speechmatics.com/v2"
    )
    model: Annotated[str, Meta(min_length=1, description="The operating point to ask for.")] = "enhanced"


class Vosk(msgspec.Struct, frozen=True, kw_only=True):
    """A vosk-server."""

    url: Annotated[
        str, Meta(pattern="^(wss?://.*)?$", description="WebSocket endpoint; without one it is not used.")
    ] = ""
    languages: Annotated[tuple[str, ...], Meta(min_length=1, description="What its model speaks.")] = ("en",)


class Local(msgspec.Struct, frozen=True, kw_only=True):
    """The embedded speech-to-text: Whisper on CTranslate2."""

    model: Annotated[
        str,
        Meta(
            min_length=1,
            description="`tiny.en`, `base` (many languages), or a folder with a model for CTranslate2.",
        ),
    ] = "tiny.en"
    threads: Annotated[
        int, Meta(ge=0, le=256, description="Utterances decoded at once; 0 means one per core.")
    ] = 0
    endpoint_silence: Annotated[float, Meta(ge=0.1, le=5, description="Silence that ends an utterance.")] = (
        0.5
    )
    utterance_limit: Annotated[
        float, Meta(ge=2, le=29, description="An utterance this long is cut and decoded.")
    ] = 10.0
    window: Annotated[
        float,
        Meta(
            ge=10,
            le=30,
            description="Shortest stretch the encoder is fed; below 10 s Whisper repeats itself.",
        ),
    ] = 10.0
    vocabulary: Annotated[
        tuple[str, ...],
        Meta(max_length=100, description="Names and terms the model should prefer to similar words."),
    ] = ()
    interim_interval: Annotated[
        float, Meta(ge=0.2, le=10, description="Between two decodings of an utterance still being spoken.")
    ] = 0.5


class Store(msgspec.Struct, frozen=True, kw_only=True):
    """The journal and the database behind it."""

    write_interval: Annotated[
        float, Meta(ge=0.01, le=60, description="Between two batches from journal to database.")
    ] = 0.2
    sync_interval: Annotated[
        float, Meta(ge=0.05, le=60, description="Between two flushes of a journal to the disk.")
    ] = 1.0
    busy_timeout: Annotated[
        float,
        Meta(gt=0, le=60, description="Longest wait for a lock held by another process on the database."),
    ] = 5.0
    retry_initial: Annotated[
        float, Meta(gt=0, le=60, description="First wait after a failed write; it doubles.")
    ] = 0.1
    retry_limit: Annotated[
        float, Meta(gt=0, le=600, description="Longest wait between two tries of a write.")
    ] = 5.0
    batch_limit: Annotated[int, Meta(ge=1, le=10000, description="Most records in one transaction.")] = 500


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """Counting what each user has used."""

    interval: Annotated[
        float, Meta(ge=1, le=3600, description="Between two usage records of a live session.")
    ] = 60.0


class Web(msgspec.Struct, frozen=True, kw_only=True):
    """REST."""

    request_timeout: Annotated[float, Meta(gt=0, le=600, description="Longest a REST request may take.")] = (
        30.0
    )
    body_limit: Annotated[int, Meta(ge=1024, le=104857600, description="Largest request body in bytes.")] = (
        1048576
    )
    keep_alive_timeout: Annotated[
        float, Meta(gt=0, le=600, description="An idle HTTP connection is closed after this long.")
    ] = 5.0


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """The whole tree. `load_config` checks every range; built by hand, only the rule on `auth` is checked.

    Raises ConfigError when `auth` is `dev` and `host` is not a loopback address.
    """

    host: Annotated[str, Meta(min_length=1, description="Address to bind.")] = "127.0.0.1"
    port: Annotated[int, Meta(ge=0, le=65535, description="TCP port; 0 takes any free one.")] = 8080
    data_dir: Annotated[
        Path,
        Meta(description="Database, journals and caches; made if missing. ($XDG_DATA_HOME/listen-engine)"),
    ] = msgspec.field(default_factory=default_data_dir)
    auth: Annotated[
        Auth,
        Meta(
            description="`dev`: the uid parameter names the user, loopback only. `token`: keys made by"
            " `listen token create`. Default: dev on a loopback host, token elsewhere."
        ),
    ] = "dev"
    drain_timeout: Annotated[
        float, Meta(gt=0, le=3600, description="From SIGTERM to the end of the process, at most.")
    ] = 30.0
    log_format: Annotated[
        Literal["auto", "json", "console"],
        Meta(description="`auto` is console on a terminal and json elsewhere."),
    ] = "auto"
    log_level: Annotated[LogLevel, Meta(description="The least severe level that is logged.")] = "info"
    session: Session = msgspec.field(default_factory=Session)
    limits: Limits = msgspec.field(default_factory=Limits)
    stt: Stt = msgspec.field(default_factory=Stt)
    deepgram: Deepgram = msgspec.field(default_factory=Deepgram)
    soniox: Soniox = msgspec.field(default_factory=Soniox)
    speechmatics: Speechmatics = msgspec.field(default_factory=Speechmatics)
    vosk: Vosk = msgspec.field(default_factory=Vosk)
    local: Local = msgspec.field(default_factory=Local)
    store: Store = msgspec.field(default_factory=Store)
    usage: Usage = msgspec.field(default_factory=Usage)
    web: Web = msgspec.field(default_factory=Web)

    def __post_init__(self) -> None:
        if self.auth == "dev" and not is_loopback(self.host):
            accepted = f"must be token, because host {self.host!r} is not a loopback address"
            raise ConfigError([Problem("auth", "'dev'", accepted, "with this host")])


class Resolved(msgspec.Struct, frozen=True):
    """A configuration and where each value came from (`default`, `file …`, `environment …`, `flag …`)."""

    config: Config
    sources: dict[str, str]


def is_loopback(host: str) -> bool:
    """True for `localhost` and the addresses of 127.0.0.0/8 and ::1; names are not looked up."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def config_keys() -> dict[str, Key]:
    """Every key of the tree by dotted name, with its type, default, bounds and meaning."""
    return _keys(Config)


def load_config(
    path: Path | None = None,
    environ: Mapping[str, str] | None = None,
    overrides: Mapping[str, object] = types.MappingProxyType({}),
) -> Config:
    """The effective configuration. Raises ConfigError naming every wrong key, its value and what is accepted.

    `path` is the TOML file; without one `$LISTEN_CONFIG` names it, else there is none. `environ` is the
    process's environment unless given. `overrides` maps dotted names (`session.ring_seconds`) to values; None
    means not given.
    """
    return resolve(path, environ, overrides).config


def resolve(
    path: Path | None = None,
    environ: Mapping[str, str] | None = None,
    overrides: Mapping[str, object] = types.MappingProxyType({}),
) -> Resolved:
    """As `load_config`, with the source of each value."""
    environ = os.environ if environ is None else environ
    if path is None and environ.get("LISTEN_CONFIG"):
        path = Path(environ["LISTEN_CONFIG"])
    gathered = gather(Config, path=path, environ=environ, overrides=overrides, aliases=_ALIASES)
    values, sources = gathered.values, gathered.sources
    values.setdefault("data_dir", default_data_dir(environ))
    host = str(values.get("host", config_keys()["host"].default))
    if "auth" not in values:
        values["auth"] = "dev" if is_loopback(host) else "token"
        sources["auth"] = "default for this host"
    elif values["auth"] == "dev" and not is_loopback(host):
        accepted = f"must be token, because host {host!r} is not a loopback address"
        gathered.problems.append(Problem("auth", "'dev'", accepted, sources["auth"]))
        values["auth"] = "token"
    config = build(Config, values)
    problems = [*gathered.problems, *_contradictions(config, sources)]
    if problems:
        raise ConfigError(problems)
    return Resolved(config, {name: sources.get(name, "default") for name in config_keys()})


def _contradictions(config: Config, sources: Mapping[str, str]) -> list[Problem]:
    """Values that are right alone and wrong together."""
    found = []

    def wrong(name: str, value: object, accepted: str, close: str | None = None) -> None:
        found.append(Problem(name, repr(value), accepted, sources.get(name, "default"), close))

    session, local, store = config.session, config.local, config.store
    if session.spill_margin >= session.ring_seconds:
        wrong(
            "session.spill_margin",
            session.spill_margin,
            f"must be below session.ring_seconds ({session.ring_seconds})",
        )
    if session.ping_interval >= session.inactivity_timeout:
        limit = f"must be below session.inactivity_timeout ({session.inactivity_timeout:g})"
        wrong("session.ping_interval", session.ping_interval, limit)
    if store.retry_initial > store.retry_limit:
        wrong(
            "store.retry_initial",
            store.retry_initial,
            f"must be at most store.retry_limit ({store.retry_limit:g})",
        )
    if local.model not in LOCAL_MODELS and not Path(local.model).expanduser().is_dir():
        accepted = f"must be one of {', '.join(LOCAL_MODELS)}, or the path of a folder that exists"
        wrong("local.model", local.model, accepted, nearest(local.model, LOCAL_MODELS))
    return found
