"""What `listen doctor` says of the models that make something of conversations. Blocks: files are read."""

from engine._doctor_check import OK, WARN, Check
from engine.config import Config

__all__ = ["extraction", "meaning", "translation"]

ASK = "set OPENAI_API_KEY, or llm.base_url to a server of one's own"


def extraction(config: Config) -> Check:
    """Who makes title, overview and the rest of a conversation."""
    if _asks(config):
        return Check("extraction", OK, f"by {config.llm.model} at {config.llm.base_url}")
    return Check(
        "extraction", OK, "by rules, in English (a title and an overview in others); a model reads better"
    )


def meaning(config: Config) -> Check:
    """Who makes vectors of texts."""
    from engine.conversation.embedding.minilm import MODEL, look
    from engine.conversation.embedding.port import EmbedderUnavailable

    name, settings = "search by meaning", config.embedding
    if settings.provider == "off":
        return Check(name, OK, "off: conversations are found by their words only")
    if settings.provider == "openai":
        return Check(name, OK, f"by {settings.model} at {settings.base_url or config.llm.base_url}")
    try:
        look()
    except EmbedderUnavailable as error:
        advice = "see the message; until then conversations are found by their words only"
        return Check(name, WARN, str(error), advice)
    return Check(name, OK, f"by {MODEL} in this process, checksum right")


def translation(config: Config) -> Check:
    """Who translates."""
    if not _asks(config):
        return Check("translation", WARN, "off: no language model is configured", ASK)
    return Check("translation", OK, f"by {config.llm.model} at {config.llm.base_url}")


def _asks(config: Config) -> bool:
    from engine.conversation.llm.openai import is_configured

    return is_configured(config.llm)
