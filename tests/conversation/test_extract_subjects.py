"""Category, topics, names, feelings and title."""

from engine.conversation.extract._lexicon import CATEGORY_WORDS, EMOJI
from engine.conversation.extract.subjects import category, feelings, headline, names, title, topics
from engine.conversation.extract.utterances import utterances
from engine.conversation.structured import CATEGORIES, MAX_TITLE_WORDS
from tests.conversation.dialogues import spoken


def test_every_category_has_an_emoji_and_all_but_other_have_words() -> None:
    assert set(EMOJI) == set(CATEGORIES)
    assert set(CATEGORY_WORDS) == set(CATEGORIES) - {"other"}


def test_the_category_is_the_one_whose_words_are_said() -> None:
    assert (
        category(utterances(spoken("A: The doctor raised my medication, the blood pressure is high.")))
        == "health"
    )
    assert (
        category(utterances(spoken("A: We booked the flights and the hotel, my passport is ready.")))
        == "travel"
    )
    assert category(utterances(spoken("A: Hm, well."))) == "other"


def test_topics_are_things_said_most_without_repeating_a_word() -> None:
    said = utterances(
        spoken("A: The roof leaks.", "B: The roof is old.", "A: The insurance pays for the roof.")
    )
    found = topics(said, english=True)
    assert found[0] == "roof"
    assert len({word for topic in found for word in topic.split()}) == sum(len(t.split()) for t in found)


def test_people_are_told_from_other_names_and_the_owner_is_left_out() -> None:
    said = utterances(
        spoken(
            "A: I asked Marta about it.",
            "B: Then Luis said that Portland is nice.",
            "A: We use Datadog, Anna does.",
        )
    )
    people, entities = names(said, "Anna")
    assert people == ("Ben", "Marta", "Luis")
    assert entities == ("Portland", "Datadog")


def test_feelings_need_more_than_one_word() -> None:
    assert (
        feelings(utterances(spoken("A: I'm worried.", "B: I'm scared, too.")))
        == "The conversation was mostly worried."
    )
    assert feelings(utterances(spoken("A: I'm worried."))) == ""


def test_a_title_names_topics_and_a_single_known_partner() -> None:
    said = utterances(spoken("A: Hm.", "B: Hm."))
    assert title(("roof", "insurance"), said) == "Roof and insurance with Ben"
    assert title((), said) == ""
    long = tuple(f"very long topic number {i}" for i in range(3))
    assert len(title(long, said).split()) <= MAX_TITLE_WORDS


def test_without_topics_the_title_is_the_beginning_of_the_overview() -> None:
    assert (
        headline("I'll send report number 7 to office 9 tomorrow.")
        == "I'll send report number 7 to office 9 tomorrow"
    )
    assert headline("Hm. Okay.") == ""
