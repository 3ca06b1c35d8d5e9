"""The routes about what belongs to a user besides conversations."""

from engine.web.action_items import action_items
from engine.web.api import Api, Identify
from engine.web.day_summaries import day_summaries
from engine.web.folders import folders
from engine.web.goals import goals
from engine.web.memories import memories
from engine.web.people import people
from engine.web.ports import Services
from engine.web.settings import settings
from engine.web.speech_profile import speech_profile

__all__ = ["record_routes"]


def record_routes(services: Services, identify: Identify) -> list[Api]:
    """All of them."""
    records = services.records
    return [
        memories(records.memories, records.now, identify),
        action_items(records.action_items, services.conversations, records.now, identify),
        people(records.people, services.voices, records.now, identify),
        speech_profile(services.voices, records.people, records.voices, services.readiness, identify),
        settings(records.users, services.off_loop, records.now, identify),
        folders(records.folders, services.conversations, records.now, identify),
        goals(records.goals, records.now, identify),
        day_summaries(
            records.day_summaries,
            services.days,
            records.users,
            services.off_loop,
            records.now,
            identify,
        ),
    ]
