"""What the policy says of a site as a whole: how much it may take, which name it has when it writes none, what defaults bring in."""

from collections.abc import Iterator

from reconciler.desired.complaints import problem_at
from reconciler.desired.container_rules import check_image
from reconciler.desired.merge import merged_services
from reconciler.desired.middlewares import flat
from reconciler.desired.policy import Rules, ask, check_host
from reconciler.desired.problem import Problem
from reconciler.desired.refusal import Refusal
from reconciler.desired.site import Fleet, ServiceKeys, Site
from reconciler.desired.whole_site import written_at
from reconciler.desired.yaml_text import Node

MOST_CONTAINERS = 1023
"""Of one site: as many as a Linux bridge takes."""
MIB = 2**20
HELD_IN_ALL = 32 * MIB
"""Bytes that Traefik holds of one request for one site: as many as one `buffering` may want."""
HELD = {
    "buffering": {"memrequestbodybytes": MIB, "memresponsebodybytes": MIB},
    "compress": {"minresponsebodybytes": 0},
    "retry": {"maxrequestbodybytes": 2 * MIB},
}
"""Options that say so, and how much it is where they are not written (Traefik 3.7), or 0; a kilobyte of `compress` is nothing."""
KEYS = {"replicas": "replicas", "memory": "mem_limit", "cpus": "cpus", "pids": "pids_limit"}
"""Of a limit: the key of a service that counts."""


def beyond_policy(file: str, top: Node, site: Site, fleet: Fleet, rules: Rules) -> list[Problem]:
    """Problems that only the whole shows, where its keys by themselves are right."""
    services = merged_services(site, fleet)
    problems = [*_too_many(file, top, services), *_limits(file, top, services, rules), *_shared_ports(file, top, services)]
    problems += _held_by_traefik(file, top, site)
    try:
        if site.hosts is None and rules.site and rules.domain is not None:
            check_host(f"{rules.site}.{rules.domain}", rules)
    except Refusal as refusal:
        problems.append(problem_at(file, written_at(top, "hosts"), refusal.code, refusal.message))
    for name, keys in services.items():
        place = written_at(top, "image", name)
        try:
            if place.key == "" and keys.image:
                check_image(keys.image, rules)
        except Refusal as refusal:
            problems.append(problem_at(file, place, refusal.code, f"image of shipstone.yaml: {refusal.message}"))
    return list(dict.fromkeys(problems))


def _too_many(file: str, top: Node, services: dict[str, ServiceKeys]) -> Iterator[Problem]:
    """Whatever the policy says: so many could never run, and planning them is work in every pass."""
    total = sum(keys.replicas for keys in services.values())
    if total > MOST_CONTAINERS:
        most = max(services, key=lambda name: services[name].replicas)
        message = f"all replicas together are {total} containers, and one network takes {MOST_CONTAINERS}. Write fewer."
        yield problem_at(file, written_at(top, "replicas", most), "SS-C13", message)


def _limits(file: str, top: Node, services: dict[str, ServiceKeys], rules: Rules) -> Iterator[Problem]:
    """Every container of the site counts; one without a limit of its own could take everything."""
    for limit, key in KEYS.items():
        most = getattr(rules.policy.limits, limit)
        if most is None:
            continue
        total: float = 0
        for name, keys in services.items():
            each = 1 if key == "replicas" else getattr(keys, key) or (rules.policy.limits.default_pids if key == "pids_limit" else 0)
            if not each and keys.replicas:
                message = f"this host allows {_amount(limit, most)} to a site, so each container needs a limit. Write {key}:."
                yield problem_at(file, written_at(top, key, name), "SS-C33", message)
                break
            total += keys.replicas * (each or 0)
        else:
            if total > most:
                key_of = next((name for name in services if written_at(top, key, name).key), next(iter(services)))
                message = (
                    f"all replicas together may take {_amount(limit, total)}, and this host allows {_amount(limit, most)} to a site. "
                    f"Take less, or {ask(f'max_{limit}', rules.site)}."
                )
                yield problem_at(file, written_at(top, key, key_of), "SS-C33", message)


def _held_by_traefik(file: str, top: Node, site: Site) -> Iterator[Problem]:
    """Every middleware holds its own copy, and all sites share the memory."""
    rows = [(HELD.get(kind, {}), dict(options)) for kind, options in map(flat, site.middlewares)]
    total = sum(int(options.get(name, 0)) or usual for usuals, options in rows for name, usual in usuals.items())
    if total > HELD_IN_ALL:
        message = (
            f"all middlewares together hold {total // MIB} MiB of each request in Traefik's memory, which is for all sites. "
            f"Write fewer of buffering and retry, or smaller sizes: {HELD_IN_ALL // MIB} MiB in all."
        )
        yield problem_at(file, written_at(top, "middlewares"), "SS-C13", message)


def _amount(limit: str, value: float) -> str:
    if limit == "memory":
        return f"{value / 2**20:,.0f} MiB of memory"
    return f"{value:g} {'processes' if limit == 'pids' else limit}"


def _shared_ports(file: str, top: Node, services: dict[str, ServiceKeys]) -> Iterator[Problem]:
    """A port of the host is one container's, on each of its addresses."""
    seen: dict[str, list[tuple[str, str]]] = {}
    for name, keys in services.items():
        for port in keys.ports:
            address, _, number = port.rpartition(":")[0].rpartition(":")
            others = seen.setdefault(f"{number}/{port.rpartition('/')[2]}", [])
            other = next((who for at, who in others if at == address or not (at and address)), None)
            others.append((address, name))
            if keys.replicas > 1:
                message = f"{keys.replicas} replicas cannot share a port of the host. Write replicas: 1, or delete ports:."
                yield problem_at(file, written_at(top, "ports", name), "SS-C31", message)
            elif other is not None:
                who = "twice" if other == name else f"by the service {other} too"
                message = f"port {number} is published {who}. Use another one."
                yield problem_at(file, written_at(top, "ports", name), "SS-C31", message)
