"""Names of blobs lead nowhere else, and no two users share a folder."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.store.blob_names import check_name, folder_of, media_type


@given(st.text(min_size=1), st.text(min_size=1))
def test_no_two_users_share_a_folder_whatever_the_file_system_thinks_of_capitals(
    one: str, other: str
) -> None:
    assert (folder_of(one).lower() == folder_of(other).lower()) == (one == other)


@given(st.text(min_size=1))
def test_a_folder_is_one_part_of_a_path_that_does_not_begin_with_a_dot(uid: str) -> None:
    folder = folder_of(uid)
    assert "/" not in folder
    assert not folder.startswith(".")
    assert 1 <= len(folder) <= 100
    assert folder.isascii()


def test_plain_ids_are_folders_as_they_are() -> None:
    assert folder_of("ada") == "ada"
    assert folder_of("a.lovelace@example.com") == "a.lovelace@example.com"
    assert folder_of("Ada").startswith("Ada~")
    assert folder_of("../etc").startswith("_etc~")


LEADING_ELSEWHERE = ["", "/a", "a/", "a//b", ".", "..", "a/../b", "a/.hidden", "a\\b", "a\0", "~a", "a\n"]


@pytest.mark.parametrize("name", [*LEADING_ELSEWHERE, "ä", "a b", "a" * 129, "a/" * 256 + "a"])
def test_a_name_that_could_lead_elsewhere_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=r"^name: "):
        check_name(name)


@pytest.mark.parametrize("name", ["a", "a/b-c_d.e", "2026-11-22/08.wav", "a=b/c@d", "a" * 128])
def test_a_plain_name_is_accepted(name: str) -> None:
    assert check_name(name) == name


def test_what_a_file_is_stands_at_the_end_of_its_name() -> None:
    assert media_type("a/b.wav") == "audio/wav"
    assert media_type("b.exe") == "application/octet-stream"
