"""What kind of picture a file is, by its first bytes: nothing else that is said of it is trusted."""

__all__ = ["image_type"]

_MARKS = (
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"\x89PNG\r\n\x1a\n", "image/png"),
    (b"GIF8", "image/gif"),
)


def image_type(image: bytes) -> str | None:
    """Its media type; None for one that neither browsers nor models are given."""
    if image[:4] == b"RIFF" and image[8:12] == b"WEBP":
        return "image/webp"
    return next((kind for mark, kind in _MARKS if image.startswith(mark)), None)
