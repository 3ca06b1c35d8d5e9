import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.wire.parameters import (
    CODEC_RATES,
    SOURCES,
    ListenParameters,
    Refusal,
    describe_rates,
    parse_parameters,
)


def refused(*query: tuple[str, str]) -> Refusal:
    with pytest.raises(Refusal) as caught:
        parse_parameters(query)
    return caught.value


def read_or_refuse(query: list[tuple[str, str]]) -> ListenParameters | Refusal:
    try:
        return parse_parameters(query)
    except Refusal as refusal:
        return refusal


def test_an_empty_query_means_the_documents_defaults() -> None:
    assert parse_parameters([]) == ListenParameters()
    assert ListenParameters() == ListenParameters(
        uid=None,
        language="en",
        sample_rate=8000,
        codec="pcm8",
        channels=1,
        include_speech_profile=True,
        conversation_timeout=120,
        stt_service=None,
        source=None,
        custom_stt=False,
        create_speakers=True,
    )


def test_what_the_phone_app_sends_is_read() -> None:
    parameters = parse_parameters(
        [
            ("language", "en"),
            ("sample_rate", "16000"),
            ("codec", "opus_fs320"),
            ("uid", "u1"),
            ("include_speech_profile", "true"),
            ("stt_service", "soniox"),
            ("conversation_timeout", "-1"),
        ]
    )
    assert parameters == ListenParameters(
        uid="u1", codec="opus_fs320", sample_rate=16000, stt_service="soniox", conversation_timeout=14400
    )


def test_what_the_desktop_app_sends_is_read() -> None:
    parameters = parse_parameters(
        [
            ("language", "multi"),
            ("sample_rate", "16000"),
            ("codec", "pcm16"),
            ("channels", "1"),
            ("include_speech_profile", "true"),
            ("source", "desktop"),
            ("speaker_auto_assign", "enabled"),
        ]
    )
    assert parameters.source == "desktop"
    assert parameters.speaker_auto_assign
    assert parameters.notices == ()


def test_unknown_parameters_are_ignored_also_when_repeated() -> None:
    assert parse_parameters([("token", "a"), ("token", "b"), ("multi_channel", "1")]) == ListenParameters()


def test_a_parameter_given_twice_must_say_the_same() -> None:
    assert parse_parameters([("language", "de"), ("language", "de")]).language == "de"
    refusal = refused(("language", "de"), ("language", "fr"))
    assert (refusal.code, refusal.parameter) == (1008, "language")
    assert str(refusal) == "language is given more than once, with different values: give it once"
    assert refused(("codec", "opus"), ("codec", "aac")).code == 1003


@pytest.mark.parametrize("codec", CODEC_RATES)
def test_each_codec_takes_its_own_rates_and_no_other(codec: str) -> None:
    rates = CODEC_RATES[codec]
    for rate in (8000, 16000, 48000, *rates[:5]):
        assert parse_parameters([("codec", codec), ("sample_rate", str(rate))]).sample_rate == rate
    for rate in (0, -8000, 7999, 48001, 96000):
        refusal = refused(("codec", codec), ("sample_rate", str(rate)))
        assert (refusal.code, refusal.parameter, refusal.value) == (1003, "sample_rate", str(rate))
        assert refusal.accepted == describe_rates(codec)


@pytest.mark.parametrize(
    ("codec", "rate"),
    [("opus", 32000), ("opus", 44100), ("lc3", 12000), ("lc3", 44100), ("lc3_fs1030", 44100)],
)
def test_rates_between_a_codecs_own_are_refused(codec: str, rate: int) -> None:
    assert refused(("codec", codec), ("sample_rate", str(rate))).code == 1003


def test_pcm_takes_any_rate_between_its_limits() -> None:
    assert parse_parameters([("codec", "pcm16"), ("sample_rate", "44100")]).sample_rate == 44100
    assert describe_rates("pcm16") == "8000 to 48000"


def test_the_message_says_what_would_be_right() -> None:
    assert str(refused(("codec", "opus"), ("sample_rate", "7000"))) == (
        "sample_rate=7000 is not accepted for codec opus: use 8000, 12000, 16000, 24000 or 48000"
    )


@pytest.mark.parametrize("text", ["", "16k", "16000.0", "1e4", "+16000", " 16000", "１６０００", "9" * 5000])
def test_a_sample_rate_that_is_no_plain_number_is_refused(text: str) -> None:
    assert refused(("sample_rate", text)).code == 1003


@pytest.mark.parametrize("codec", ["", "mp3", "OPUS", "pcm", "opus_fs160"])
def test_an_unknown_codec_is_refused(codec: str) -> None:
    refusal = refused(("codec", codec))
    assert (refusal.code, refusal.parameter) == (1003, "codec")
    assert "opus_fs320" in str(refusal.accepted)


@pytest.mark.parametrize("channels", ["0", "3", "-1", "two", ""])
def test_channels_other_than_one_or_two_are_refused(channels: str) -> None:
    assert refused(("channels", channels)).code == 1003


def test_two_channels_are_stereo_unless_it_is_a_phone_call() -> None:
    stereo = [("channels", "2")]
    assert not parse_parameters(stereo).multi_channel
    assert parse_parameters([*stereo, ("source", "phone_call")]).multi_channel
    assert parse_parameters([*stereo, ("call_id", "c1")]).multi_channel
    assert not parse_parameters([("source", "phone_call")]).multi_channel


@pytest.mark.parametrize(("text", "seconds"), [("2", 2), ("14400", 14400), ("-1", 14400), ("120", 120)])
def test_the_timeout_is_two_seconds_to_four_hours_and_minus_one_the_longest(text: str, seconds: int) -> None:
    assert parse_parameters([("conversation_timeout", text)]).conversation_timeout == seconds


@pytest.mark.parametrize("text", ["1", "0", "-2", "14401", "2.5", "", "never", "99999999999"])
def test_any_other_timeout_is_refused(text: str) -> None:
    refusal = refused(("conversation_timeout", text))
    assert (refusal.code, refusal.parameter) == (1008, "conversation_timeout")
    assert "2 to 14400" in str(refusal)


@pytest.mark.parametrize(
    "name", ["include_speech_profile", "create_speakers", "interim_results", "timing", "speaker_decisions"]
)
def test_booleans_are_read_in_every_common_spelling(name: str) -> None:
    for text in ("true", "True", "1", "yes", "on", "T", "y"):
        assert getattr(parse_parameters([(name, text)]), name) is True
    for text in ("false", "FALSE", "0", "no", "off", "f", "N"):
        assert getattr(parse_parameters([(name, text)]), name) is False
    for text in ("", "2", "maybe", "enabled"):
        refusal = refused((name, text))
        assert (refusal.code, refusal.parameter, refusal.accepted) == (1008, name, "true or false")


@pytest.mark.parametrize("name", ["custom_stt", "onboarding", "speaker_auto_assign"])
def test_switches_are_enabled_or_disabled_and_nothing_else(name: str) -> None:
    assert getattr(parse_parameters([(name, "enabled")]), name) is True
    assert getattr(parse_parameters([(name, "disabled")]), name) is False
    for text in ("true", "Enabled", "1"):
        assert refused((name, text)).code == 1008


def test_the_vad_gate_is_left_to_the_server_unless_asked_for() -> None:
    assert parse_parameters([]).vad_gate is None
    assert parse_parameters([("vad_gate", "")]).vad_gate is None
    assert parse_parameters([("vad_gate", "disabled")]).vad_gate is False


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("en", "en"),
        ("EN", "en"),
        ("pt-br", "pt-BR"),
        ("zh-hant", "zh-Hant"),
        ("es-419", "es-419"),
        ("auto", "multi"),
        ("Multi", "multi"),
        ("haw", "haw"),
    ],
)
def test_languages_are_put_in_canonical_case_and_auto_means_multi(text: str, language: str) -> None:
    assert parse_parameters([("language", text)]).language == language


@pytest.mark.parametrize(
    "text", ["", "e", "english", "en_US", "en-", "en US", "zh-\n", "en-" + "a" * 50, "дe"]
)
def test_what_is_no_language_tag_is_refused(text: str) -> None:
    refusal = refused(("language", text))
    assert (refusal.code, refusal.parameter) == (1008, "language")


@pytest.mark.parametrize("service", ["deepgram", "soniox", "speechmatics", "local"])
def test_known_services_are_kept(service: str) -> None:
    assert parse_parameters([("stt_service", service)]).stt_service == service


def test_a_service_nobody_knows_is_refused_and_an_empty_one_is_none() -> None:
    assert refused(("stt_service", "azure")).code == 1008
    assert parse_parameters([("stt_service", "")]).stt_service is None


def test_an_unknown_source_is_kept_as_unknown() -> None:
    assert parse_parameters([("source", "toaster")]).source == "unknown"
    assert parse_parameters([("source", "")]).source is None
    for source in SOURCES:
        assert parse_parameters([("source", source)]).source == source


def test_what_has_no_effect_is_told() -> None:
    parameters = parse_parameters([("onboarding", "enabled"), ("create_speakers", "false")])
    assert parameters.notices == (
        "onboarding=enabled has no effect on this server",
        "create_speakers=false has no effect on this server",
    )
    assert parse_parameters([("onboarding", "disabled")]).notices == ()


def test_a_conversation_id_that_is_no_uuid_is_ignored() -> None:
    uuid = "6BA7B810-9DAD-11D1-80B4-00C04FD430C8"
    assert parse_parameters([("client_conversation_id", uuid)]).client_conversation_id == uuid.lower()
    for text in ("", "x", uuid[:-1], "{" + uuid + "}"):
        assert parse_parameters([("client_conversation_id", text)]).client_conversation_id is None


@pytest.mark.parametrize("name", ["uid", "call_id"])
def test_names_are_bounded_and_printable(name: str) -> None:
    assert getattr(parse_parameters([(name, "a" * 128)]), name) == "a" * 128
    assert getattr(parse_parameters([(name, "")]), name) is None
    for text in ("a" * 129, "a\nb", "\ud800", "\x00"):
        assert refused((name, text)).parameter == name


NAMES = [*ListenParameters.__struct_fields__, "other"]
VALUES = st.one_of(
    st.text(max_size=200),
    st.integers().map(str),
    st.sampled_from(["enabled", "true", "opus", "multi", "16000", "2", "-1"]),
)


@given(st.lists(st.tuples(st.sampled_from(NAMES), VALUES), max_size=8))
def test_any_query_is_either_read_or_refused_with_a_name_and_what_is_accepted(
    query: list[tuple[str, str]],
) -> None:
    answer = read_or_refuse(query)
    if isinstance(answer, Refusal):
        assert answer.parameter in dict(query)
        assert answer.accepted
        assert answer.code == (1003 if answer.parameter in ("codec", "sample_rate", "channels") else 1008)
        assert len(answer.reason.encode()) <= 123
    else:
        assert answer.sample_rate in CODEC_RATES[answer.codec]
        assert 2 <= answer.conversation_timeout <= 14400
