"""A page over data in memory: what a browser is shown in tests, measurements and screenshots, without an engine."""

import contextlib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from lab.ports import Ports as FreePorts
from reconciler.desired.desired import Desired
from reconciler.desired.problem import Problem
from reconciler.desired.revision import Revision
from reconciler.followers.follower import Pass
from reconciler.planning.describe import SitePlan
from reconciler.planning.diff import Difference
from reconciler.planning.events import Event
from reconciler.planning.failed import FailedRelease
from reconciler.planning.memory import Memory
from reconciler.planning.plan import Plan
from reconciler.planning.steps import Wait
from reconciler.web.actions import Actions
from reconciler.web.app import build_app
from reconciler.web.data import data_routes
from reconciler.web.latest import Latest
from reconciler.web.page import Page
from reconciler.web.server import serving
from reconciler.web.sessions import Sessions
from reconciler.web.shield import Shield
from reconciler.web.view import Ports
from reconciler.world.store import Store

C1, C2 = "0d0741a995331c7f4a7a5f2f0a1b2c3d4e5f6071", "75cc1f551d37aa01f2e4b8d9c0b1a2938475a6b7"
NAMES = ("blog", "docs", "shop", "wiki", "status", "mail", "search", "billing", "intranet", "forum")
HELD = "sites/wiki.yaml:7:3 ports[0]: YAML read 22:22 as 1342. Quote it."


@dataclass
class Served:
    """`looked` says how often an action woke the daemon."""

    url: str
    latest: Latest
    store: Store
    looked: list[float]


@contextlib.contextmanager
def a_page(folder: Path, token: str = "", hosts: tuple[str, ...] = (), wall: Callable[[], float] = time.time) -> Iterator[Served]:
    """Served at a free port; nothing is known yet."""
    ports = FreePorts()
    latest, looked, path = Latest(), [], folder / "page.db"
    store = Store(path)
    sessions = Sessions(token)
    actions = Actions(latest, sessions, lambda: Store(path), lambda: looked.append(time.time()))
    listen = f"127.0.0.1:{ports.take()}"
    page = Page(latest, store, sessions, "shipstone", Ports(), wall)
    routes = [*page.routes(), *data_routes(latest, store), *actions.routes()]
    try:
        with serving(Shield(build_app(latest, routes), listen, hosts), listen):
            try:
                yield Served(f"http://{listen}", latest, store, looked)
            finally:
                latest.close()
    finally:
        store.close()
        ports.close()


def healthy(n: int) -> SitePlan:
    name = NAMES[n] if n < len(NAMES) else f"site-{n:03}"
    hosts = (f"{name}.example.org", *((f"www.{name}.example.org",) if n % 4 == 0 else ()))
    return SitePlan(name, "synced", "healthy", f"{(n + 7) * 2654435761 % 2**40:010x}", C1 if n % 3 else C2, hosts, 2, 2)


def fleet(count: int) -> tuple[SitePlan, ...]:
    """Of everything something: held, suspended, drifted, moving, failed; the rest is as it should be."""
    sites = {site.name: site for site in map(healthy, range(count))}
    drift = Difference("web", "shipstone-docs-web-2a-1", "mem_limit", "67108864", "134217728", "drift", "2026-11-24T21:04:11+00:00")
    wait = Wait("bb33cc44dd", "until every replica is ready (1 of 2) and Traefik lists it")
    changed = {
        "wiki": {"sync": "held", "message": HELD},
        "docs": {"sync": "out-of-sync", "differences": (drift,)},
        "shop": {"sync": "out-of-sync", "health": "progressing", "steps": (wait,), "message": "bb33cc44dd is coming up, 1 of 2 ready"},
        "status": {"sync": "suspended", "message": "suspended: it stays as it runs. `shipstone resume status` goes on."},
        "mail": {
            "sync": "out-of-sync",
            "health": "degraded",
            "ready": 1,
            "message": "release 9f00aa11bb failed: exited with 1: cannot open the database",
            "asked": "9f00aa11bb",
        },
    }
    return tuple(replace(site, **changed.get(name, {})) for name, site in sites.items())  # type: ignore[arg-type]


def tell(
    latest: Latest, sites: tuple[SitePlan, ...], *, problems: bool = False, notices: tuple[str, ...] = (), now: float | None = None
) -> None:
    """As a fetch and a pass do."""
    now = time.time() if now is None else now
    wrong = (Problem("sites/wiki.yaml", 7, 3, "ports[0]", "SS-Y03", 'YAML read 22:22 as 1342. Quote it: "22:22"'),) if problems else ()
    desired = Desired(C1, {}, {"wiki": HELD} if problems else {}, wrong, notices=notices)
    latest.fetched(Revision(C1, {}, lambda _: b"", "Ada Lovelace", "A new front page for the shop", now - 40), desired)
    latest.passed(Pass(Plan({site.name: site for site in sites}, Memory(), network=True), desired, now, 0.01))


def remember(store: Store, now: float) -> None:
    """A history of the shop, of mail, which failed, and of docs, which somebody changed by hand."""
    history = store.history
    day = 86_400.0
    commits = ((C2, now - day, "Grace Hopper", "Larger limits"), (C1, now - 35, "Ada Lovelace", "A new front page for the shop"))
    for commit, at, who, what in commits:
        history.record([Event(at, "revision", commit=commit, what=what, more={"author": who, "committed_at": at - 4})])
    for site, release, at in (("shop", "aa11bb22cc", now - day), ("docs", "77aa88bb99", now - day), ("mail", "31415926ab", now - day)):
        history.record(motion(site, release, at + 0.3, C2))
    history.record(motion("shop", "bb33cc44dd", now - 34.7, C1)[:6])
    history.record(motion("mail", "9f00aa11bb", now - 34.7, C1)[:5])
    log = ("reading the settings", "connecting to db.example.org:5432", "cannot open the database")
    history.record(
        [Event(now - 20, "failed", "mail", C1, "9f00aa11bb", "exited with 1: cannot open the database", more={"log": list(log)})]
    )
    store.remember_failed(FailedRelease("mail", "9f00aa11bb", "\n".join(["exited with 1: cannot open the database", *log]), now - 20))
    key = ("docs", "web", "shipstone-docs-web-77aa88bb99-1")
    for field, desired, actual, opened, closed in (
        ("state", "running", "exited", 20 * 3600, 20 * 3600 - 400),
        ("networks", "shipstone_net", "", 9 * 3600, 8 * 3600),
        ("mem_limit", "67108864", "134217728", 2 * 3600, 0),
    ):
        history.record_drift({(*key, field, desired, actual): ""}, {}, now - opened)
        if closed:
            history.record_drift({}, {(*key, field, desired, actual): "healed: another one takes its place"}, now - closed)
    history.record([Event(now - 50_000, "said", "status", what="suspend, by ada", more={"said": "suspend", "by": "ada"})])


def motion(site: str, release: str, at: float, commit: str) -> list[Event]:
    """The rows of one deploy, from the first plan to the rest."""

    def plan(after: float, *steps: str) -> Event:
        return Event(at + after, "plan", site, commit, release, f"{release} is coming up", more={"steps": list(steps)})

    def step(after: float, word: str, seconds: float, reason: str) -> Event:
        more = {"step": word, "target": site, "reason": reason}
        return Event(at + after, "step", site, what=f"{word} {site}", seconds=seconds, more=more)

    return [
        plan(0, f"pull app:{release}"),
        step(0.1, "pull", 0.9, f"for {site}"),
        plan(1.1, f"pin {site}", f"start {site}-1"),
        step(1.2, "pin", 0.02, f"requests only to the old one while {release} starts"),
        step(1.3, "start", 0.6, f"{release} is missing"),
        plan(2.0, f"wait {release}"),
        plan(3.4, f"pin {site}", "wait Traefik", f"stop {site}-1"),
        step(3.5, "pin", 0.02, f"the switch: requests to {release}"),
        plan(3.8, "wait drain", f"stop {site}-1"),
        step(9.0, "stop", 1.4, f"replaced by {release}"),
        step(10.6, "unpin", 0.02, "labels route again"),
        Event(at + 10.8, "rest", site, commit, release, "as it should be"),
    ]
