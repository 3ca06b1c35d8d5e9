"""The routes about apps."""

from engine.web.api import Api, Identify
from engine.web.app_access import app_access, app_preferences
from engine.web.app_catalog import app_catalog
from engine.web.app_reviews import app_reviews
from engine.web.apps import apps
from engine.web.ports import Services

__all__ = ["app_routes"]


def app_routes(services: Services, identify: Identify) -> list[Api]:
    """All of them."""
    served, now = services.apps, services.records.now
    return [
        apps(served, now, identify),
        app_access(served, now, services.config.webhook.secret_overlap_hours, identify),
        app_preferences(served, identify),
        app_reviews(served, now, identify),
        app_catalog(served.registry, identify),
    ]
