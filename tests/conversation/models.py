"""A model behind real sockets for the tests: the stand-in, served, and clients of it."""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import trio

from engine.config import Llm
from engine.conversation.llm.model_server import ModelServer, open_model_server
from engine.conversation.llm.openai import OpenAiLlm
from engine.testing import LlmMishap, OpenAiStandIn, Wrong

QUICK: dict[str, Any] = {"retry_initial": 0.001, "retry_limit": 1.0}


class CountingMeter:
    """What was told to it, by name."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str]] = []
        self.retries: list[str] = []
        self.counted: Counter[str] = Counter()
        self.doubts: Counter[str] = Counter()

    def finished(self, call: str, outcome: str, seconds: float) -> None:
        self.calls.append((call, outcome))

    def retried(self, outcome: str) -> None:
        self.retries.append(outcome)

    def tokens(self, prompt: int, completion: int) -> None:
        self.counted.update(prompt=prompt, completion=completion)

    def distrusted(self, reason: str, count: int = 1) -> None:
        self.doubts[reason] += count


class Asked:
    """An open client of a stand-in."""

    def __init__(
        self, standin: OpenAiStandIn, server: ModelServer, settings: Llm, meter: CountingMeter
    ) -> None:
        self.standin = standin
        self.server = server
        self.settings = settings
        self.meter = meter
        self.llm = OpenAiLlm(server, settings)


@asynccontextmanager
async def asked(standin: OpenAiStandIn, **changes: Any) -> AsyncIterator[Asked]:
    """Serve `standin` and open a client of it, with `changes` to settings that retry quickly."""
    meter = CountingMeter()
    async with trio.open_nursery() as nursery:
        port = await nursery.start(standin.serve)
        settings = Llm(base_url=f"http://127.0.0.1:{port}/v1", **(QUICK | changes))
        async with open_model_server(settings, meter=meter) as server:
            yield Asked(standin, server, settings, meter)
        nursery.cancel_scope.cancel()


def wrong(kind: Wrong, **details: Any) -> LlmMishap:
    return LlmMishap(wrong=kind, **details)
