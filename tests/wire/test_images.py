"""Pictures are known by what they are, not by what is said of them."""

import pytest

from engine.wire.images import image_type


@pytest.mark.parametrize(
    ("image", "kind"),
    [
        (b"\xff\xd8\xff\xe0....", "image/jpeg"),
        (b"\x89PNG\r\n\x1a\n....", "image/png"),
        (b"GIF89a", "image/gif"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "image/webp"),
        (b"RIFF\0\0\0\0WAVE", None),
        (b"", None),
    ],
)
def test_pictures_are_known_by_their_first_bytes(image: bytes, kind: str | None) -> None:
    assert image_type(image) == kind
