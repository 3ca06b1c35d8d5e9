"""An endpoint while a process works on it; `engine.webhooks.delivery` is who does."""

import trio

from engine.store.deliveries import Step
from engine.store.webhook_records import DeliveryRow
from engine.webhooks.judging import LIVE, Attempt

__all__ = ["Held"]


class Held:
    """An endpoint that this process works on: what is being sent, and what was and is not written down."""

    def __init__(self, step: Step, next_slot: float) -> None:
        self.step = step
        self.busy: set[str] = set()
        self.attempts: list[tuple[Attempt, DeliveryRow]] = []
        self.news = trio.Event()
        self._next_slot = next_slot

    @property
    def full(self) -> bool:
        """Whether nothing more is sent before a request ends, which is news by itself."""
        return bool(self.busy) and self.step.endpoint.trigger in LIVE

    @property
    def over(self) -> bool:
        """Whether all is written down and somebody else may have the endpoint."""
        return not self.step.held and not self.busy

    def slot(self, spacing: float) -> float:
        """When the next request may be made (Trio's clock)."""
        at = max(trio.current_time(), self._next_slot)
        self._next_slot = at + spacing
        return at
