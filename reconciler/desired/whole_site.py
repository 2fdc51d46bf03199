"""What can be said of a site only when its defaults are filled in: what is missing, what collides, what goes nowhere."""

from reconciler.desired.bind_mounts import inside
from reconciler.desired.complaints import problem_at
from reconciler.desired.container_rules import floating
from reconciler.desired.merge import ONLY_SERVICE, merged_services
from reconciler.desired.mounts import overlapping
from reconciler.desired.places import Path, Place, find
from reconciler.desired.problem import Problem
from reconciler.desired.refusal import show
from reconciler.desired.site import Fleet, ServiceKeys, Site
from reconciler.desired.yaml_text import Node

REQUIRED = (
    ("image", "SS-C18", "no image. Say which one to run: image: nginx:1.27-alpine"),
    ("port", "SS-C19", "no port. Say where the container listens: port: 80"),
)


def missing_keys(file: str, top: Node, fleet: Fleet, found: list[Problem]) -> list[Problem]:
    """Services without image or port. Looks at the nodes, so that other errors do not hide it; a key that is there but wrong,
    or that was mistyped (`found` names it), is not missing."""
    given = fleet.defaults.model_fields_set if fleet.defaults else frozenset[str]()
    problems = []
    for name, code, message in REQUIRED:
        mistyped = any(problem.code == "SS-Y15" and f"`{name}`" in problem.message for problem in found)
        if name in given or name in (top.entries or {}) or mistyped:
            continue
        for path in service_paths(top):
            service = find(top, path).node
            if not path or (service.entries is not None and name not in service.entries):
                place = find(top, path).at_key() if path else _top(top)
                problems.append(problem_at(file, place, code, message))
    return problems


def service_paths(top: Node) -> list[Path]:
    """Where the services are written; the top itself for a site that has no `services`."""
    entry = (top.entries or {}).get("services")
    return [()] if entry is None else [("services", name) for name in entry[1].entries or {}]


def floating_images(file: str, top: Node, paths: list[Path]) -> list[Problem]:
    """A warning for every image, written below one of `paths`, whose name can mean something else tomorrow."""
    problems = []
    for path in paths:
        place = find(top, (*path, "image"))
        if place.whole and place.node.text is not None and (message := floating(place.node.text)):
            problems.append(Problem(file, place.line, place.column, place.key, "SS-C11", message, "warning"))
    return problems


def shared_volumes(file: str, top: Node, paths: list[Path]) -> list[Problem]:
    """A warning for every volume, written below one of `paths`, for whose sake a deploy stops the old release first."""
    problems: list[Problem] = []
    if find(top, ("rollout", "order")).whole:
        return problems
    for path in paths:
        for index, item in enumerate(find(top, (*path, "volumes")).node.items or []):
            source, *rest = (item.text or "").split(":")
            if rest and rest[-1] != "ro":
                message = (
                    f"{show(source)} is written to, so a deploy stops the old release before the new one starts: nobody answers meanwhile. "
                    "Write :ro after it if it is only read, or say which you want: rollout: {order: stop-first} or {order: start-first}."
                )
                place = find(top, (*path, "volumes", index))
                problems.append(Problem(file, place.line, place.column, place.key, "SS-C26", message, "warning"))
    return problems


def across(file: str, top: Node, site: Site, fleet: Fleet) -> list[Problem]:
    """What only the whole shows: two mounts at one path, and no replica that gets requests."""
    services = merged_services(site, fleet)
    problems = [problem for name, keys in services.items() if (problem := _collision(file, top, name, keys))]
    problems += [problem for name, keys in services.items() if (problem := _no_place_for_secrets(file, top, name, keys))]
    place = find(top, ("services",)).at_key() if site.services else _top(top)
    if not any(keys.replicas for keys in services.values()):
        message = "replicas is 0 everywhere, so nobody answers. Write at least 1; to take the site away delete its file."
        problems.append(problem_at(file, _written(top, "replicas") or place, "SS-C22", message))
    elif not any(keys.replicas * keys.weight for keys in services.values()):
        message = "every service that has replicas has weight 0, so nobody gets a request. Give one of them a weight."
        problems.append(problem_at(file, _written(top, "weight") or place, "SS-C22", message))
    return problems


def _collision(file: str, top: Node, name: str, keys: ServiceKeys) -> Problem | None:
    targets = [(path, "files") for path in keys.files]
    targets += [(row.split(":")[1], "volumes") for row in keys.volumes]
    targets += [(row.partition(":")[0], "tmpfs") for row in keys.tmpfs]
    clash = overlapping(targets)
    if clash is None:
        return None
    path, first, second = clash
    both = f"twice in {first}" if first == second else f"in {first} and in {second}"
    place = _written(top, second, name) or _written(top, first, name) or _top(top)
    return problem_at(file, place, "SS-C21", f"{path} is mounted {both}. Keep one of them.")


def _no_place_for_secrets(file: str, top: Node, name: str, keys: ServiceKeys) -> Problem | None:
    """What else would be at their place."""
    place = written_at(top, "secrets", name)
    if both := sorted(keys.secrets.keys() & keys.environment.keys()):
        return problem_at(file, place, "SS-C35", f"{show(both[0])} is in environment too. Keep one of them.")
    files = [target for target in keys.secrets if target.startswith("/")]
    if files and keys.read_only:
        message = f"{files[0]} cannot be put into a read_only container. Have the secret as a variable, or delete read_only."
        return problem_at(file, place, "SS-C35", message)
    targets = [*keys.files, *(row.split(":")[1] for row in keys.volumes), *(row.partition(":")[0] for row in keys.tmpfs)]
    over = [target for target in targets if inside("/run/secrets", target) or inside(target, "/run/secrets")]
    if files and over:
        message = f"{over[0]} is mounted over {files[0]}. Mount it elsewhere, or have the secret as a variable."
        return problem_at(file, place, "SS-C35", message)
    return None


def written_at(top: Node, key: str, service: str = ONLY_SERVICE) -> Place:
    """The place of `key`; the top of the file where it comes from shipstone.yaml or is left out."""
    return _written(top, key, service) or _top(top)


def _written(top: Node, key: str, service: str = ONLY_SERVICE) -> Place | None:
    """The place of `key` in the service, or at the top of the site; None where it comes from shipstone.yaml."""
    places: list[Path] = [("services", service, key), (key,)]
    return next((place.at_key() for path in places if (place := find(top, path)).whole), None)


def _top(top: Node) -> Place:
    return Place(1, 1, "", top, top, whole=True)
