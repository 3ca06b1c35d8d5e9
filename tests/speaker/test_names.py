"""Tests of names that speakers say of themselves."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.speaker.names import LONGEST_NAME, introduced, may_introduce


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Hello, my name is Ada Lovelace and I write programs.", "Ada Lovelace"),
        ("Hola, me llamo José.", "José"),
        ("Bonjour, je m'appelle Amélie.", "Amélie"),
        ("Guten Tag, ich heiße Jürgen Müller.", "Jürgen Müller"),
        ("Ciao, mi chiamo Chiara!", "Chiara"),
        ("Olá, o meu nome é João.", "João"),
        ("Hoi, ik heet Sanne.", "Sanne"),
        ("Здравствуйте, меня зовут Ольга.", "Ольга"),
        ("Cześć, nazywam się Zofia.", "Zofia"),
        ("Merhaba, benim adım Ayşe.", "Ayşe"),
        ("Hej, jag heter Åsa.", "Åsa"),
        ("Γεια σας, με λένε Νίκος.", "Νίκος"),
        ("Xin chào, tôi tên là Linh.", "Linh"),
        ("Halo, nama saya Budi.", "Budi"),
        ("مرحبا، اسمي ليلى", "ليلى"),
        ("שלום, קוראים לי דנה", "דנה"),
        ("मेरा नाम रवि है", "रवि"),
        ("大家好，我叫王芳。", "王芳"),
        ("こんにちは、私の名前は田中です。", "田中"),
        ("はじめまして、佐藤と申します。", "佐藤"),
        ("안녕하세요, 제 이름은 김민수입니다.", "김민수"),
    ],
)
def test_a_plain_introduction_is_found_in_the_main_languages(text: str, name: str) -> None:
    found = introduced(text)
    assert found is not None
    assert (found.name, found.plain) == (name, True)
    assert may_introduce(text)


@pytest.mark.parametrize("form", ["Je m’appelle", "MOI C’EST", "moi c'est", "My name's", "Adım"])
def test_a_form_is_looked_at_however_it_is_written(form: str) -> None:
    assert introduced(f"{form} Ada") is not None
    assert may_introduce(f"{form} Ada")


def test_what_cannot_be_an_introduction_is_not_looked_at() -> None:
    assert not may_introduce("The best guests rest here, I am told, and this is all there is to say.")


@pytest.mark.parametrize(
    "text",
    [
        "I am tired, I'm going home.",
        "This is Paris in the spring.",
        "Ich bin Berliner.",
        "My name is on the list.",
        "Nobody said anything.",
        "",
    ],
)
def test_what_is_no_introduction_names_nobody(text: str) -> None:
    assert introduced(text) is None


@pytest.mark.parametrize("text", ["Hi, I'm Ada.", "Hello, this is ada speaking", "Ich bin Ada.", "Soy Ada"])
def test_a_loose_introduction_counts_for_people_who_are_known(text: str) -> None:
    found = introduced(text, ["Ada", "Grace"])
    assert found is not None
    assert (found.name, found.plain) == ("Ada", False)


def test_a_known_name_is_found_without_its_capital() -> None:
    found = introduced("my name is ada", ["Ada"])
    assert found is not None
    assert found.name == "Ada"


@given(st.text(max_size=300), st.lists(st.text(max_size=10), max_size=3))
def test_whatever_is_said_a_name_is_short_and_was_said_or_known(text: str, known: list[str]) -> None:
    found = introduced(text, known)
    if introduced(text) is not None:
        assert may_introduce(text)
    if found is not None:
        assert len(found.name) > 0
        assert found.name in known or (len(found.name) <= LONGEST_NAME and found.name in text)
