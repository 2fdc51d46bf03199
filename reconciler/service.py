"""`shipstone run`: the loop, whoever follows what it does, and what is served beside it, put together."""

import os
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, nullcontext

from starlette.routing import Route

from reconciler import wiring
from reconciler.daemon import Daemon
from reconciler.followers.journal import Journal
from reconciler.followers.metrics import Metrics
from reconciler.followers.supervised import Supervised
from reconciler.reports.drift import drift_summary
from reconciler.settings import Settings
from reconciler.web.actions import Actions
from reconciler.web.app import build_app
from reconciler.web.data import data_routes
from reconciler.web.hooks import hook_routes
from reconciler.web.latest import Latest
from reconciler.web.metrics import metrics_route
from reconciler.web.page import Page
from reconciler.web.server import serving
from reconciler.web.sessions import Sessions
from reconciler.web.shield import Shield
from reconciler.web.view import Ports
from reconciler.world.store import Store
from reconciler.world.systemd import notifier_of


@contextmanager
def service(settings: Settings) -> Iterator[Daemon]:
    """A daemon that is ready to run; what it serves is served while the block runs."""
    latest, metrics, notifier = Latest(), Metrics(), notifier_of(os.environ, os.getpid())
    store = wiring.store_of(settings, spare=True)
    tellers = wiring.tellers_of(settings, store, drift_summary)
    followers = (Journal(), wiring.history_of(settings, store), latest, metrics, Supervised(notifier), *tellers)
    reconciler = wiring.reconciler_of(settings, followers, metrics.engine_call, store)
    metrics.queue = lambda: reconciler.queue
    source = wiring.source_of(settings)
    daemon = Daemon(reconciler, source, settings.source.poll, lambda r: wiring.write_generated(settings, r), notifier)
    routes = [*hook_routes(settings, daemon.fetch_now), metrics_route(metrics.registry)]
    with closing(wiring.store_of(settings, spare=True)) as shown:
        routes += page_routes(settings, latest, shown, daemon.look)
        app = Shield(build_app(latest, routes), settings.http.listen, settings.http.hosts)
        with serving(app, settings.http.listen) if settings.http.listen else nullcontext():
            yield daemon


def page_routes(settings: Settings, latest: Latest, store: Store, look: Callable[[], None]) -> list[Route]:
    """The page, its API, and what people may ask for on it; `store` is only read: who writes opens it anew."""
    sessions = Sessions(settings.http.token.get_secret_value())
    actions = Actions(latest, sessions, lambda: wiring.store_of(settings), look)
    ports = Ports(settings.traefik.http_port, settings.traefik.https_port)
    page = Page(latest, store, sessions, settings.instance, ports)
    return [*page.routes(), *data_routes(latest, store), *actions.routes()]
