"""`shipstone run`: the loop, whoever follows what it does, and what is served beside it, put together."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from reconciler import wiring
from reconciler.apply import Outcome
from reconciler.daemon import Daemon
from reconciler.journal import Journal
from reconciler.metrics import Metrics
from reconciler.settings import Settings
from reconciler.supervised import Supervised
from reconciler.web.app import build_app
from reconciler.web.hooks import hook_routes
from reconciler.web.latest import Latest
from reconciler.web.metrics import metrics_route
from reconciler.web.server import serving
from reconciler.world.systemd import notifier_of


@contextmanager
def service(settings: Settings) -> Iterator[Daemon]:
    """A daemon that is ready to run; what it serves is served while the block runs."""
    latest, metrics, notifier = Latest(), Metrics(), notifier_of(os.environ, os.getpid())
    store = wiring.store_of(settings)
    tellers = wiring.tellers_of(settings, store)
    followers = (Journal(), wiring.history_of(settings, store), latest, metrics, Supervised(notifier), *tellers)
    daemon: Daemon | None = None

    def told(_outcome: Outcome) -> None:
        if daemon is not None:
            daemon.wake()

    reconciler = wiring.reconciler_of(settings, told, followers, metrics.engine_call, store)
    source = wiring.source_of(settings)
    daemon = Daemon(reconciler, source, settings.source.poll, lambda r: wiring.write_generated(settings, r), notifier)
    routes = [*hook_routes(settings, daemon.fetch_now), metrics_route(metrics.registry)]
    with serving(build_app(latest, routes), settings.http.listen) if settings.http.listen else nullcontext():
        yield daemon
