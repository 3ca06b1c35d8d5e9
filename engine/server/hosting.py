"""What a server process does with apps: who they are told to, what they answer, and what they add to chats."""

from engine.config import Config
from engine.conversation.chat.ports import ChatSearch
from engine.conversation.models import Models
from engine.conversation.processor import Processor
from engine.server.delivering import Delivering
from engine.store import Store
from engine.store.database import wall_clock
from engine.web.app_ports import AppServices
from engine.webhooks.app_setup import AppSetup
from engine.webhooks.chat_apps import ChatApps
from engine.webhooks.notices import Notices, Sockets
from engine.webhooks.prompted import PromptedNotifications
from engine.webhooks.responses import NOTIFY, Responses

__all__ = ["Hosting"]


class Hosting:
    """The parts of one process that have to do with apps, put together. `chat_apps` is there before the rest."""

    def __init__(self, config: Config, store: Store, delivering: Delivering) -> None:
        self._config = config
        self._store = store
        self._delivering = delivering
        self.chat_apps = ChatApps(store.app_registry, store.users, delivering.client, config.apps, wall_clock)

    def attend(
        self, processor: Processor, models: Models, search: ChatSearch, sockets: Sockets
    ) -> AppServices:
        """Act on what apps answer, for these live sessions; what the web needs of this."""
        store, registry = self._store, self._store.app_registry
        delivering, settings = self._delivering, self._config.apps
        notices = Notices(sockets, store.messages, wall_clock)
        prompted = PromptedNotifications(store, registry, models, search, notices, wall_clock)
        processor.jobs.add(NOTIFY, prompted)
        delivering.sender.when_answered(Responses(registry, notices, store.jobs, settings, processor.wake))
        delivering.delivery.when_disabled(notices)
        return AppServices(
            apps=store.apps,
            registry=registry,
            reviews=store.app_reviews,
            setup=AppSetup(delivering.client, settings.setup_timeout),
            notices=notices,
            endpoints=store.webhooks,
            changed=delivering.changed,
            settings=settings,
            allowances=store.allowances,
        )
