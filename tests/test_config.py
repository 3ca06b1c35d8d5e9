"""engine.config: where values come from, and what is said about wrong ones."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated

import msgspec
import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st

from engine._config_load import build, gather, keys
from engine.config import (
    Config,
    ConfigError,
    Problem,
    config_keys,
    default_data_dir,
    is_loopback,
    load_config,
    resolve,
)


def write(folder: Path, text: str) -> Path:
    path = folder / "listen.toml"
    path.write_text(text)
    return path


def problems(
    path: Path | None = None, environ: dict[str, str] | None = None, **flags: object
) -> list[Problem]:
    with pytest.raises(ConfigError) as raised:
        load_config(path, environ or {}, flags)
    return list(raised.value.problems)


def test_nothing_given_means_the_defaults_on_loopback_without_keys() -> None:
    config = load_config(None, {"HOME": "/home/ada"})
    assert (config.host, config.port, config.auth) == ("127.0.0.1", 8080, "dev")
    assert config.data_dir == Path("/home/ada/.local/share/listen-engine")
    assert config.stt.service_models[0] == "dg-nova-3"
    assert config.stt.service_models[-1] == "local-whisper"


def test_a_flag_wins_over_the_environment_and_that_over_the_file(tmp_path: Path) -> None:
    path = write(tmp_path, "port = 1\nlog_level = 'debug'\n[session]\nping_interval = 3\nring_seconds = 20")
    environ = {"LISTEN_PORT": "2", "LISTEN_SESSION_RING_SECONDS": "30"}
    resolved = resolve(path, environ, {"port": 3, "host": None})
    assert resolved.config.port == 3
    assert resolved.config.session.ring_seconds == 30
    assert resolved.config.session.ping_interval == 3.0
    assert resolved.config.log_level == "debug"
    assert resolved.sources["port"] == "flag --port"
    assert resolved.sources["session.ring_seconds"] == "environment LISTEN_SESSION_RING_SECONDS"
    assert resolved.sources["session.ping_interval"] == f"file {path}"
    assert resolved.sources["host"] == "default"


def test_the_environment_may_name_the_file_and_a_flag_another(tmp_path: Path) -> None:
    named = write(tmp_path, "port = 11")
    other = tmp_path / "other.toml"
    other.write_text("port = 12")
    assert load_config(None, {"LISTEN_CONFIG": str(named)}).port == 11
    assert load_config(other, {"LISTEN_CONFIG": str(named)}).port == 12


def test_every_key_has_its_environment_variable_and_lists_are_split_on_commas() -> None:
    assert load_config(None, {"LISTEN_DATA_DIR": "~/x"}).data_dir == Path("~/x").expanduser()
    assert load_config(None, {"LISTEN_DRAIN_TIMEOUT": " 2.5 "}).drain_timeout == 2.5
    assert load_config(None, {"LISTEN_LOCAL_VOCABULARY": "Omi, Ada Lovelace,"}).local.vocabulary == (
        "Omi",
        "Ada Lovelace",
    )


def test_stt_service_models_has_the_name_other_backends_gave_it() -> None:
    environ = {"STT_SERVICE_MODELS": "soniox-stt-rt,local-whisper"}
    assert load_config(None, environ).stt.service_models == ("soniox-stt-rt", "local-whisper")
    environ["LISTEN_STT_SERVICE_MODELS"] = "local-whisper"
    assert load_config(None, environ).stt.service_models == ("local-whisper",)


@pytest.mark.parametrize(
    ("host", "auth"), [("127.0.0.1", "dev"), ("::1", "dev"), ("localhost", "dev"), ("0.0.0.0", "token")]
)
def test_who_you_are_is_taken_on_trust_only_on_loopback(host: str, auth: str) -> None:
    assert load_config(None, {"LISTEN_HOST": host}).auth == auth


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "example.org"])
def test_dev_is_refused_on_every_other_address(host: str) -> None:
    (problem,) = problems(None, {"LISTEN_HOST": host, "LISTEN_AUTH": "dev"})
    assert (problem.key, problem.value) == ("auth", "'dev'")
    assert problem.accepted == f"must be token, because host {host!r} is not a loopback address"
    with pytest.raises(ConfigError, match="must be token"):
        Config(host=host)
    assert Config(host=host, auth="token").auth == "token"


def test_an_unknown_key_is_named_with_its_value_the_accepted_ones_and_the_nearest(tmp_path: Path) -> None:
    (problem,) = problems(write(tmp_path, "[session]\nring_second = 20"))
    assert (problem.key, problem.value) == ("session.ring_second", "20")
    assert problem.nearest == "session.ring_seconds"
    assert "[session] has ping_interval, inactivity_timeout, ring_seconds" in problem.accepted
    assert str(problem).endswith("did you mean session.ring_seconds?")


def test_a_key_in_the_wrong_section_leads_to_the_right_one(tmp_path: Path) -> None:
    (problem,) = problems(write(tmp_path, "[limits]\nsesions_per_user = 2"))
    assert problem.nearest == "limits.sessions_per_user"


def test_an_unknown_section_and_a_section_given_a_value_are_named(tmp_path: Path) -> None:
    unknown, value = problems(write(tmp_path, "limits = 3\n[sesion]\na = 1"))[::-1]
    assert (unknown.key, unknown.nearest) == ("[sesion]", "session")
    assert "[limits], [llm], [local], " in unknown.accepted
    assert (value.key, value.accepted) == ("limits", "is a section: write [limits] and its keys below it")


@pytest.mark.parametrize(
    ("line", "accepted"),
    [
        ("port = 65536", "must be a whole number at least 0 and at most 65535"),
        ("port = -1", "must be a whole number at least 0 and at most 65535"),
        ("port = '80'", "must be a whole number at least 0 and at most 65535"),
        ("port = 8080.5", "must be a whole number at least 0 and at most 65535"),
        ("drain_timeout = true", "must be a number above 0 and at most 3600"),
        ("drain_timeout = nan", "must be a number above 0 and at most 3600"),
        ("drain_timeout = inf", "must be a number above 0 and at most 3600"),
        ("drain_timeout = 0", "must be a number above 0 and at most 3600"),
        ("host = ''", "must be a text that is not empty"),
        ("data_dir = ''", "must be a path"),
        ("data_dir = 3", "must be a path"),
        ("log_format = 'xml'", "must be one of auto, json, console"),
        ("local.vocabulary = 'Omi'", "must be a list of any number of texts"),
        (
            "stt.service_models = []",
            "must be a list of at least 1 of these: dg-nova-3, soniox-stt-rt, speechmatics-rt, dg-nova-2,"
            " vosk, local-whisper",
        ),
    ],
)
def test_a_wrong_value_is_named_with_what_is_accepted(tmp_path: Path, line: str, accepted: str) -> None:
    (problem,) = problems(write(tmp_path, line))
    assert problem.key == line.split(" = ")[0]
    assert problem.accepted == accepted
    assert problem.source == f"file {tmp_path / 'listen.toml'}"


def test_the_nearest_of_the_accepted_words_is_offered() -> None:
    assert problems(None, {"LISTEN_AUTH": "tokens"})[0].nearest == "token"
    assert problems(None, {"STT_SERVICE_MODELS": "local-whisper,dg-nova3"})[0].nearest == "dg-nova-3"
    assert problems(None, {"LISTEN_LOCAL_MODEL": "tiny"})[0].nearest == "tiny.en"


def test_all_mistakes_are_reported_at_once_each_on_its_line(tmp_path: Path) -> None:
    path = write(tmp_path, "port = 'x'\nnope = 1\n[store]\nbatch_limit = 0")
    with pytest.raises(ConfigError) as raised:
        load_config(path, {"LISTEN_PRT": "1"}, {"log_level": "loud"})
    named = [problem.key for problem in raised.value.problems]
    assert named == ["port", "nope", "store.batch_limit", "LISTEN_PRT", "log_level"]
    assert len(str(raised.value).splitlines()) == 5


def test_an_unknown_variable_is_named_with_the_nearest() -> None:
    (problem,) = problems(None, {"LISTEN_DRAINTIMEOUT": "3", "PATH": "/bin"})
    assert (problem.key, problem.value, problem.nearest) == (
        "LISTEN_DRAINTIMEOUT",
        "'3'",
        "LISTEN_DRAIN_TIMEOUT",
    )


def test_what_may_be_a_key_under_an_unknown_name_is_not_repeated(tmp_path: Path) -> None:
    (problem,) = problems(None, {"LISTEN_API_TOKEN": "s3cret"})
    assert problem.value == "(hidden)"
    (problem,) = problems(write(tmp_path, "api_key = 's3cret'"))
    assert problem.value == "(hidden)"


def test_variables_of_systemd_and_of_the_client_are_left_alone() -> None:
    environ = {"LISTEN_FDS": "1", "LISTEN_PID": "7", "LISTEN_URL": "ws://x", "LISTEN_TOKEN": "omi_dev_1"}
    assert load_config(None, environ).port == 8080


def test_the_variables_kubernetes_makes_are_explained() -> None:
    known, unknown = problems(
        None, {"LISTEN_PORT": "tcp://10.0.0.1:80", "LISTEN_PORT_80_TCP": "tcp://10.0.0.1:80"}
    )
    assert "enableServiceLinks: false" in known.accepted
    assert "enableServiceLinks: false" in unknown.accepted


@pytest.mark.parametrize("text", ["port = ", "\x00", "[a\n"])
def test_a_file_that_is_no_toml_is_named(tmp_path: Path, text: str) -> None:
    (problem,) = problems(write(tmp_path, text))
    assert (problem.key, problem.value) == ("config", str(tmp_path / "listen.toml"))
    assert problem.accepted.startswith("must be TOML in UTF-8: ")


def test_a_file_that_cannot_be_read_is_named_with_the_reason(tmp_path: Path) -> None:
    (problem,) = problems(tmp_path / "missing.toml")
    assert problem.accepted == "must be a file that can be read: No such file or directory"
    (problem,) = problems(tmp_path)
    assert problem.accepted == "must be a file that can be read: Is a directory"


@pytest.mark.parametrize(
    ("environ", "key"),
    [
        ({"LISTEN_SESSION_SPILL_MARGIN": "16"}, "session.spill_margin"),
        ({"LISTEN_SESSION_PING_INTERVAL": "90"}, "session.ping_interval"),
        ({"LISTEN_STORE_RETRY_INITIAL": "6"}, "store.retry_initial"),
        ({"LISTEN_LOCAL_MODEL": "/no/such/folder"}, "local.model"),
    ],
)
def test_values_that_contradict_others_are_named(environ: dict[str, str], key: str) -> None:
    assert [problem.key for problem in problems(None, environ)] == [key]


def test_a_model_of_ones_own_is_given_by_its_folder(tmp_path: Path) -> None:
    assert load_config(None, {"LISTEN_LOCAL_MODEL": str(tmp_path)}).local.model == str(tmp_path)


def test_every_key_is_documented_and_every_number_has_both_bounds() -> None:
    for key in config_keys().values():
        assert key.doc.endswith((".", ")")), key.name
        if key.type in (int, float):
            assert key.bounds is not None, key.name
            assert key.bounds.ge is not None or key.bounds.gt is not None, key.name
            assert key.bounds.le is not None, key.name


def test_no_two_keys_share_an_environment_variable() -> None:
    names = [key.environment for key in config_keys().values()]
    assert len(set(names)) == len(names)


def test_every_default_is_accepted_by_its_own_rules(tmp_path: Path) -> None:
    defaults = {name: key.default for name, key in config_keys().items()}
    assert load_config(None, {}, defaults) == load_config(None, {})


def test_the_data_directory_follows_the_xdg_rules() -> None:
    assert default_data_dir({"XDG_DATA_HOME": "/data"}) == Path("/data/listen-engine")
    # The specification says that a relative path is to be ignored.
    assert default_data_dir({"XDG_DATA_HOME": "data", "HOME": "/h"}) == Path("/h/.local/share/listen-engine")


@given(st.ip_addresses(v=4))
def test_loopback_is_127_8_and_nothing_else(address: object) -> None:
    assert is_loopback(str(address)) == str(address).startswith("127.")


@given(st.text())
def test_any_text_for_any_number_is_read_or_refused_never_an_accident(text: str) -> None:
    gathered = gather(Config, path=None, environ={"LISTEN_DRAIN_TIMEOUT": text}, overrides={})
    if gathered.problems:
        assert [problem.key for problem in gathered.problems] == ["drain_timeout"]
    else:
        value = build(Config, gathered.values).drain_timeout
        assert 0 < value <= 3600


def test_a_secret_is_never_shown_in_a_message() -> None:
    meta = msgspec.Meta(ge=0, description="Secret.", extra={"secret": True})
    tree = msgspec.defstruct("Tree", [("pin", Annotated[int, meta], 0)])
    assert keys(tree)["pin"].secret
    (problem,) = gather(tree, path=None, environ={"LISTEN_PIN": "12x4"}, overrides={}).problems
    assert re.search("12x4", str(problem)) is None
    assert problem.value == "(secret)"


def test_webhooks_take_ranges_pauses_and_a_file_that_is_there() -> None:
    environ = {"LISTEN_WEBHOOK_ALLOW": "10.1.0.0/16, fd00:1::/32", "LISTEN_WEBHOOK_SCHEDULE": "1,2.5"}
    webhook = load_config(environ=environ).webhook
    assert (webhook.allow, webhook.schedule) == (("10.1.0.0/16", "fd00:1::/32"), (1.0, 2.5))
    wrong = {
        "LISTEN_WEBHOOK_ALLOW": "10.1.0.1/16",
        "LISTEN_WEBHOOK_SCHEDULE": "1,-1",
        "LISTEN_WEBHOOK_LIVE_SCHEDULE": "soon",
        "LISTEN_WEBHOOK_CA_FILE": "/nowhere.pem",
    }
    with pytest.raises(ConfigError) as raised:
        load_config(environ=wrong)
    said = str(raised.value)
    assert "webhook.live_schedule = 'soon' (environment LISTEN_WEBHOOK_LIVE_SCHEDULE): must be a list" in said
    wrong.pop("LISTEN_WEBHOOK_LIVE_SCHEDULE")
    with pytest.raises(ConfigError) as raised:
        load_config(environ=wrong)
    for name in ("webhook.allow", "webhook.schedule", "webhook.ca_file"):
        assert f"{name} = " in str(raised.value)


def test_a_file_of_authorities_holds_some(tmp_path: Path) -> None:
    file = tmp_path / "authorities.pem"
    file.write_text("nothing that is a certificate")
    with pytest.raises(ConfigError) as raised:
        load_config(environ={"LISTEN_WEBHOOK_CA_FILE": str(file)})
    said = str(raised.value)
    assert f"webhook.ca_file = '{file}'" in said
    assert "must be a file of certificates in PEM that can be read (there is no certificate in it)" in said
    trustme.CA().cert_pem.write_to_path(file)
    assert load_config(environ={"LISTEN_WEBHOOK_CA_FILE": str(file)}).webhook.ca_file == str(file)
