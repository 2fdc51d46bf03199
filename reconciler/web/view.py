"""What the page shows, from what is known now and the history. Pure: no clock, no store, no HTML."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from reconciler.desired.desired import DesiredSite
from reconciler.desired.problem import Problem
from reconciler.planning.describe import SitePlan
from reconciler.planning.diff import Difference
from reconciler.planning.events import Event
from reconciler.web.latest import Now

TONES = {
    "synced": "good",
    "healthy": "good",
    "progressing": "busy",
    "out-of-sync": "warn",
    "held": "warn",
    "suspended": "warn",
    "degraded": "bad",
    "missing": "bad",
}
SHORT = 10
"""Characters of a commit that are shown."""


@dataclass(frozen=True)
class Ports:
    """Where sites answer; 0: there is no such entry point."""

    http: int = 80
    https: int = 0


@dataclass(frozen=True)
class Link:
    text: str
    url: str


@dataclass(frozen=True)
class SiteRow:
    """One site. `group` is what the overview counts: "attention", "moving" or "rest". `find` is what the filter looks at."""

    name: str
    sync: str
    health: str
    group: str
    links: tuple[Link, ...]
    release: str
    commit: str
    author: str
    subject: str
    ready: int
    wanted: int
    message: str
    drift: tuple[Difference, ...]
    find: str


@dataclass(frozen=True)
class Overview:
    """`asked`: the newest commit as the source gave it. `number`: see Now. Times are in seconds since 1970, 0 where there is none."""

    number: int
    asked: Event
    looked_at: float
    sites: tuple[SiteRow, ...]
    counts: Mapping[str, int]
    problems: tuple[Problem, ...]
    notices: tuple[str, ...]
    failing: str
    not_fetched: str
    waits: str
    host: tuple[Difference, ...] = ()
    """What somebody changed around the sites: generated files, the network."""


def commits(now: Now) -> set[str]:
    """Those that the page names: of each site, and the newest."""
    return {site.commit for site in now.sites.values()} | ({now.desired.revision} if now.desired else set())


def overview(now: Now, revisions: Mapping[str, Event], ports: Ports, notices: Iterable[str] = ()) -> Overview:
    """All sites, those that want attention counted."""
    written = now.desired.sites if now.desired else {}
    claims = [(claim.site, claim.difference) for claim in (now.done.plan.foreign if now.done else ())]
    rows = tuple(
        site_row(site, written.get(name), revisions, ports, tuple(row for of, row in claims if of == name))
        for name, site in sorted(now.sites.items())
    )
    counts = {group: sum(row.group == group for row in rows) for group in ("attention", "moving", "rest")}
    commit = now.desired.revision if now.desired else ""
    made = now.revision
    asked = revisions.get(commit) or Event(0.0, "revision", commit=commit, what=made.subject if made and made.id == commit else "")
    problems = now.desired.problems if now.desired else ()
    looked = now.done.at if now.done else 0.0
    waits = made.waits if made else ""
    host = now.done.plan.host if now.done else ()
    return Overview(now.number, asked, looked, rows, counts, problems, tuple(notices), now.failing, now.not_fetched, waits, host)


def site_row(
    site: SitePlan,
    written: DesiredSite | None,
    revisions: Mapping[str, Event],
    ports: Ports,
    claims: tuple[Difference, ...] = (),
) -> SiteRow:
    """`claims`: what others claim of it."""
    drift = (*site.drift, *claims)
    made = revisions.get(site.commit)
    links = links_of(site, written, ports)
    author, subject = (str(made.more.get("author", "")), made.what) if made else ("", "")
    words = [site.name, site.sync, site.health, *site.hosts, site.release, site.commit[:SHORT], author, *(["drift"] if drift else [])]
    return SiteRow(
        site.name,
        site.sync,
        site.health,
        group_of(site),
        links,
        site.release,
        site.commit,
        author,
        subject,
        site.ready,
        site.wanted,
        site.message,
        drift,
        " ".join(words).lower(),
    )


def group_of(site: SitePlan) -> str:
    """What moves comes to rest by itself; what is held, or not as it should be, wants a person's eyes."""
    if site.health == "progressing" and site.sync != "held":
        return "moving"
    return "rest" if site.sync in ("synced", "suspended") and site.health == "healthy" else "attention"


def links_of(site: SitePlan, written: DesiredSite | None, ports: Ports) -> tuple[Link, ...]:
    """Each host name with its path, as a browser asks for it."""
    path = written.route.path if written else "/"
    tls = written.route.tls if written else False
    scheme, port, usual = ("https", ports.https or 443, 443) if tls else ("http", ports.http, 80)
    shown = "" if path == "/" else path
    at = "" if port == usual else f":{port}"
    return tuple(Link(f"{host}{shown}", f"{scheme}://{host}{at}{path}") for host in site.hosts)


def chosen(rows: Iterable[SiteRow], words: str, group: str) -> tuple[SiteRow, ...]:
    """Rows with every word of the filter, of one group where one is named."""
    wanted = words.lower().split()
    return tuple(row for row in rows if all(word in row.find for word in wanted) and group in ("", row.group))


def problems_of(site: str, problems: Iterable[Problem]) -> tuple[Problem, ...]:
    """Those of a site's own file."""
    return tuple(problem for problem in problems if problem.file.rpartition("/")[2].rpartition(".")[0] == site)
