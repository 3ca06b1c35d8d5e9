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

from engine._config_apps import Apps
from engine._config_blobs import Blobs, Recordings
from engine._config_conversation import Conversation
from engine._config_day_summary import DaySummary
from engine._config_load import ConfigError, Key, Problem, build, gather, nearest
from engine._config_load import keys as _keys
from engine._config_models import Chat, Embedding, Llm, Translation
from engine._config_receiver import Receiver, read_secrets
from engine._config_sections import (
    MOST_SESSIONS,
    Deepgram,
    Limits,
    Local,
    Session,
    Soniox,
    Speechmatics,
    Store,
    Stt,
    Usage,
    Vosk,
    Watch,
)
from engine._config_speaker import Speaker
from engine._config_supervisor import Supervisor
from engine._config_web import Quota, Web
from engine._config_webhooks import Webhook, authorities_fault
from engine.capacity import read_capacity

__all__ = [
    "Apps",
    "Auth",
    "Blobs",
    "Chat",
    "Config",
    "ConfigError",
    "Conversation",
    "DaySummary",
    "Deepgram",
    "Embedding",
    "Key",
    "Limits",
    "Llm",
    "Local",
    "Problem",
    "Quota",
    "Receiver",
    "Recordings",
    "Resolved",
    "Session",
    "Soniox",
    "Speaker",
    "Speechmatics",
    "Store",
    "Stt",
    "Supervisor",
    "Translation",
    "Usage",
    "Vosk",
    "Watch",
    "Web",
    "Webhook",
    "config_keys",
    "default_data_dir",
    "is_loopback",
    "load_config",
    "resolve",
]

Auth = Literal["dev", "token"]
LogLevel = Literal["debug", "info", "warning", "error"]

WEEK = 7 * 86400.0
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
    "OPENAI_API_KEY": "llm.api_key",
    "OPENAI_BASE_URL": "llm.base_url",
    "GCS_BUCKET_NAME": "blobs.received_bucket",
    "GOOGLE_APPLICATION_CREDENTIALS_JSON": "blobs.service_account",
    "BUCKET_SPEECH_PROFILES": "blobs.profiles_bucket",
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
    database_url: Annotated[
        str,
        Meta(
            description="postgresql://USER:PASSWORD@HOST:PORT/DATABASE. Empty: SQLite in the data directory.",
            extra={"secret": True},
        ),
    ] = ""
    auth: Annotated[
        Auth,
        Meta(
            description="`dev`: the uid parameter names the user, loopback only. `token`: keys made by"
            " `listen token create`. Default: dev on a loopback host, token elsewhere."
        ),
    ] = "dev"
    lane: Annotated[
        Literal["on", "off"],
        Meta(
            description="`on`: listen sockets are received and decoded in native code, past the HTTP server,"
            " on the same port. `off`: they come in by the HTTP server, at more CPU each."
        ),
    ] = "on"
    workers: Annotated[
        int,
        Meta(
            ge=1,
            le=256,
            description="Processes that share the port, one per core at most; each loads the local model.",
        ),
    ] = 1
    lane_pause: Annotated[
        float,
        Meta(
            ge=0,
            le=0.02,
            description="Longest time from one call of the lane to the next, for packets to gather: none when idle, all"
            " of it when a quarter of a core is busy, and from three eighths on in inverse proportion to the load."
            " Results do not wait for it while less than 65 % of a core is busy.",
        ),
    ] = 0.004
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
    speaker: Speaker = msgspec.field(default_factory=Speaker)
    conversation: Conversation = msgspec.field(default_factory=Conversation)
    day_summary: DaySummary = msgspec.field(default_factory=DaySummary)
    llm: Llm = msgspec.field(default_factory=Llm)
    embedding: Embedding = msgspec.field(default_factory=Embedding)
    chat: Chat = msgspec.field(default_factory=Chat)
    translation: Translation = msgspec.field(default_factory=Translation)
    apps: Apps = msgspec.field(default_factory=Apps)
    store: Store = msgspec.field(default_factory=Store)
    blobs: Blobs = msgspec.field(default_factory=Blobs)
    recordings: Recordings = msgspec.field(default_factory=Recordings)
    supervisor: Supervisor = msgspec.field(default_factory=Supervisor)
    usage: Usage = msgspec.field(default_factory=Usage)
    web: Web = msgspec.field(default_factory=Web)
    quota: Quota = msgspec.field(default_factory=Quota)
    webhook: Webhook = msgspec.field(default_factory=Webhook)
    watch: Watch = msgspec.field(default_factory=Watch)
    receiver: Receiver = msgspec.field(default_factory=Receiver)

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
    if "limits.sessions" not in values:
        _take_measured(values, sources)
    config = build(Config, values)
    problems = [*gathered.problems, *_contradictions(config, sources)]
    if problems:
        raise ConfigError(problems)
    return Resolved(config, {name: sources.get(name, "default") for name in config_keys()})


def _take_measured(values: dict[str, object], sources: dict[str, str]) -> None:
    """What this machine was measured to carry is the limit, unless one is given."""
    data_dir = values["data_dir"]
    assert isinstance(data_dir, Path)
    capacity = read_capacity(data_dir)
    if capacity is not None:
        workers = values.get("workers", 1)
        assert isinstance(workers, int)
        values["limits.sessions"] = min(capacity.streams * workers, MOST_SESSIONS)
        each = "" if workers == 1 else f", for each of {workers} workers"
        sources["limits.sessions"] = (
            f"default measured by `listen doctor --capacity` on {capacity.measured[:10]}{each}"
        )


def _contradictions(config: Config, sources: Mapping[str, str]) -> list[Problem]:
    """Values that are right alone and wrong together."""
    found = []

    def wrong(name: str, value: object, accepted: str, close: str | None = None) -> None:
        found.append(Problem(name, repr(value), accepted, sources.get(name, "default"), close))

    session, local, store, llm = config.session, config.local, config.store, config.llm
    if session.spill_margin >= session.ring_seconds:
        wrong(
            "session.spill_margin",
            session.spill_margin,
            f"must be below session.ring_seconds ({session.ring_seconds})",
        )
    if session.ping_interval >= session.inactivity_timeout:
        limit = f"must be below session.inactivity_timeout ({session.inactivity_timeout:g})"
        wrong("session.ping_interval", session.ping_interval, limit)
    if config.stt.chunk_shortest > config.stt.chunk_longest:
        wrong(
            "stt.chunk_shortest",
            config.stt.chunk_shortest,
            f"must be at most stt.chunk_longest ({config.stt.chunk_longest:g})",
        )
    if store.retry_initial > store.retry_limit:
        wrong(
            "store.retry_initial",
            store.retry_initial,
            f"must be at most store.retry_limit ({store.retry_limit:g})",
        )
    conversation = config.conversation
    if conversation.retry_initial > conversation.retry_limit:
        wrong(
            "conversation.retry_initial",
            conversation.retry_initial,
            f"must be at most conversation.retry_limit ({conversation.retry_limit:g})",
        )
    if llm.answer_tokens > llm.context_tokens // 2:
        limit = f"must be at most half of llm.context_tokens ({llm.context_tokens})"
        wrong("llm.answer_tokens", llm.answer_tokens, limit)
    if config.supervisor.restart_first > config.supervisor.restart_limit:
        wrong(
            "supervisor.restart_first",
            config.supervisor.restart_first,
            f"must be at most supervisor.restart_limit ({config.supervisor.restart_limit:g})",
        )
    if fault := authorities_fault(config.webhook.ca_file):
        accepted = f"must be a file of certificates in PEM that can be read ({fault})"
        wrong("webhook.ca_file", config.webhook.ca_file, accepted)
    for network in config.webhook.allow:
        try:
            ipaddress.ip_network(network)
        except ValueError as error:
            wrong("webhook.allow", network, f"must be ranges such as 10.1.0.0/16 ({error})")
    for name in ("schedule", "live_schedule"):
        pauses = getattr(config.webhook, name)
        if any(not 0 <= pause <= WEEK for pause in pauses):
            wrong(f"webhook.{name}", pauses, "must be pauses of 0 to 604800 seconds each")
    try:
        read_secrets(config.receiver.secrets)
    except ValueError as error:
        wrong("receiver.secrets", "(secret)", f"{error}")
    if local.model not in LOCAL_MODELS and not Path(local.model).expanduser().is_dir():
        accepted = f"must be one of {', '.join(LOCAL_MODELS)}, or the path of a folder that exists"
        wrong("local.model", local.model, accepted, nearest(local.model, LOCAL_MODELS))
    return found
