"""The `shipstone.*` labels of a container: what it was made of, read back whenever it is looked at."""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache

from reconciler.desired.desired import DesiredService, DesiredSite, Timing
from reconciler.desired.spec import ContainerSpec, Route, canonical, known_fields, route_from_json, spec_from_json
from reconciler.desired.traefik_v3 import rank_in, routing_labels
from reconciler.planning.observed import Container

SCHEME = "1"
"""The version of this label scheme; a newer Shipstone reads older ones."""


SEAL = "shipstone.labels"
"""The label with a digest of all others of ours and of Traefik's: whether a hand gave a container others later."""
UNSEALED = (SEAL, "shipstone.pids")
"""Without what comes to them when the container is made."""


@dataclass(frozen=True)
class Applied:
    """What a container was made of."""

    spec: ContainerSpec
    route: Route
    timing: Timing
    heal: bool = True


def container_labels(
    instance: str,
    network: str,
    entry_point: str,
    site: DesiredSite,
    service: DesiredService,
    replica: int,
    digest: str,
    rank: int | None = None,
) -> dict[str, str]:
    """All labels of one replica: the user's own, the routing ones and ours; `rank` as in ranks.py."""
    routing = routing_labels(
        instance,
        site.name,
        site.release,
        service.name,
        replica,
        service.spec,
        site.route,
        network=network,
        entry_point=entry_point,
        rank=rank,
    )
    applied = Applied(service.spec, site.route, site.timing, site.heal)
    ours = {
        "shipstone.instance": instance,
        "shipstone.site": site.name,
        "shipstone.service": service.name,
        "shipstone.release": site.release,
        "shipstone.replica": str(replica),
        "shipstone.commit": site.commit,
        "shipstone.digest": digest,
        "shipstone.grace": f"{service.spec.stop_grace_period:g}",
        "shipstone.scheme": SCHEME,
        "shipstone.spec": _text_of(applied),
    }
    return sealed({**dict(service.spec.labels), **routing, **ours})


@lru_cache(maxsize=256)
def _text_of(applied: Applied) -> str:
    """Once for all replicas: of a thousand variables it takes a millisecond."""
    return canonical(applied)


def joining_labels(sibling: Container, labels: dict[str, str], names: tuple[str, str]) -> dict[str, str]:
    """Labels of a replica that joins `sibling`: the `traefik.*` ones are copied, so that all of a release agree whatever version made
    them; `names` are the Traefik services of the sibling and of the newcomer by themselves."""
    theirs, mine = (f".{name}." for name in names)
    routing = {key.replace(theirs, mine): value for key, value in sibling.labels.items() if key.startswith("traefik.")}
    return sealed({**{key: value for key, value in labels.items() if not key.startswith("traefik.")}, **routing})


def sealed(labels: Mapping[str, str]) -> dict[str, str]:
    """With the digest of them."""
    return {**labels, SEAL: _digest(labels)}


def _digest(labels: Mapping[str, str]) -> str:
    rows = sorted((key, value) for key, value in labels.items() if key.startswith(("traefik.", "shipstone.")) and key not in UNSEALED)
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()[:16]


def changed_labels(instance: str, network: str, entry_point: str, labels: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    """Key, desired, actual of labels that are not as they were made; nothing where their digest is right, or none was taken: another
    version of Shipstone may well have made others."""
    if labels.get(SEAL) in (None, _digest(labels)):
        return
    applied, get = applied_in(labels.get("shipstone.spec", "")), labels.get
    service = DesiredService(get("shipstone.service", ""), applied.spec, 1)
    site = DesiredSite(
        get("shipstone.site", ""),
        get("shipstone.release", ""),
        applied.route,
        (service,),
        applied.timing,
        applied.heal,
        get("shipstone.commit", ""),
    )
    replica, digest = get("shipstone.replica", ""), get("shipstone.digest", "")
    number = int(replica) if replica.isascii() and replica.isdigit() else 0
    made = container_labels(instance, network, entry_point, site, service, number, digest, _rank(labels))
    wrong = [key for key in sorted(made.keys() | labels.keys()) if key.startswith("traefik.") and made.get(key) != labels.get(key)]
    yield from ((key, made.get(key, ""), labels.get(key, "")) for key in wrong or [SEAL])


def _rank(labels: Mapping[str, str]) -> int | None:
    """Of the release, where there are no pins; see ranks.py."""
    for key, rule in labels.items():
        priority = labels.get(f"{key.removesuffix('.rule')}.priority", "") if key.endswith(".rule") else ""
        if priority.isdigit() and (rank := rank_in(rule, int(priority))) is not None:
            return rank
    return None


def applied_of(container: Container) -> Applied:
    return applied_in(container.labels.get("shipstone.spec", ""))


def route_of(container: Container) -> Route:
    return applied_of(container).route


def weight_of(container: Container) -> int:
    return applied_of(container).spec.weight


def site_from_labels(name: str, containers: Iterable[Container]) -> DesiredSite | None:
    """The site as these containers of one release were made, with as many replicas of each service as there are."""
    rows = tuple(containers)
    if not rows:
        return None
    by_service = {c.service: c for c in rows}
    services = tuple(
        DesiredService(service, applied_of(c).spec, sum(r.service == service for r in rows), c.labels.get("shipstone.digest", ""))
        for service, c in sorted(by_service.items())
    )
    applied = applied_of(rows[0])
    return DesiredSite(
        name, rows[0].release, applied.route, services, applied.timing, applied.heal, rows[0].labels.get("shipstone.commit", "")
    )


def router_names(labels: Mapping[str, str]) -> set[str]:
    """The routers of Traefik that these labels write."""
    return {key.split(".")[3] for key in labels if key.startswith("traefik.http.routers.")}


def sites_from_labels(containers: Iterable[Container]) -> dict[str, DesiredSite]:
    """What is there of each site: of several releases the one with the most containers."""
    releases: dict[str, dict[str, list[Container]]] = {}
    for c in containers:
        releases.setdefault(c.site, {}).setdefault(c.release, []).append(c)
    most = {name: max(rows.values(), key=len) for name, rows in releases.items()}
    found = {name: site_from_labels(name, rows) for name, rows in most.items()}
    return {name: site for name, site in found.items() if site is not None}


@lru_cache(maxsize=4096)
def applied_in(text: str) -> Applied:
    """What the text of a label `shipstone.spec` says."""
    try:
        data = json.loads(text)
        timing = Timing(**known_fields(Timing, data.get("timing", {})))
        return Applied(spec_from_json(data["spec"]), route_from_json(data["route"]), timing, data.get("heal", True))
    except (ValueError, KeyError, TypeError, AttributeError):
        return Applied(ContainerSpec("", 0), Route(()), Timing())
