"""The daemon's front of house: the desk, and the doors through which it is asked.

FastAPI and uvicorn are an extra: the daemon imports this module when it starts, and does without
it where they are not installed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from nas_syncd import __version__
from nas_syncd.api.app import create_app
from nas_syncd.api.guard import require_token
from nas_syncd.api.server import ApiServer
from nas_syncd.api.stream import Hub
from nas_syncd.desk import CountedTable, Desk
from nas_syncd.logs import Tap, get_logger
from nas_syncd.messages import explain
from nas_syncd.metrics import Metrics
from nas_syncd.models import Document, Fate, Reason
from nas_syncd.settings import Settings, runtime_directories
from nas_syncd.site import Site

SOCKET = "daemon.sock"
DOORS_SECONDS = 1.5
"""How long open connections may take to end at a stop."""

_log = get_logger("nas_syncd.api")


class Front:
    """Belongs to the daemon's thread."""

    def __init__(
        self,
        settings: Settings,
        site: Site,
        table: CountedTable,
        *,
        language: Callable[[], str],
        do: Callable[[Callable[[], None]], None],
        offer: Callable[[Iterable[Document]], None],
        reconcile: Callable[[], None],
        on_fate: Callable[[Fate], None],
        tap: Tap | None,
    ) -> None:
        """Build everything; nothing listens before :meth:`start`. For the rest see :class:`Desk`.

        Raises:
            ConfigurationError: The API would be open to others without a good token.
        """
        if settings.api_port:
            require_token(settings.api_host, settings.api_token, settings.language)
        self._language = language
        self._hub = Hub()
        self.desk = Desk(
            site,
            table,
            language=language,
            do=do,
            offer=offer,
            reconcile=reconcile,
            metrics=Metrics(__version__),
            board=self._hub,
            on_fate=on_fate,
        )
        self._hub.alive = self.desk.turns
        self._server = ApiServer(
            create_app(self.desk, self._hub, tap),
            host=settings.api_host,
            port=settings.api_port or None,
            local=[folder / SOCKET for folder in (settings.state_dir, *runtime_directories())],
            token=settings.api_token,
            language=settings.language,
            hub=self._hub,
            on_ready=self._ready,
            on_trouble=self._trouble,
        )

    @property
    def watched(self) -> bool:
        """Whether somebody reads the events now."""
        return self._hub.streams > 0

    def start(self) -> None:
        """Open the doors, in a thread of their own; a port that is taken is tried again."""
        self._server.start()

    def stop(self, go_on: Callable[[], bool]) -> None:
        """Let what the runs have in hand land as long as *go_on* says so, then close."""
        self.desk.close(go_on)
        self._server.stop(DOORS_SECONDS)

    def _ready(self, urls: Sequence[str]) -> None:
        _log.info("api.ready", urls=list(urls))

    def _trouble(self, reason: Reason) -> None:
        _log.error(
            "api.unavailable",
            code=reason.code,
            text=explain(reason, self._language()),
        )
