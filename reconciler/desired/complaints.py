"""What pydantic says of a file → problems with a place, a code and what to do."""

import difflib
from typing import Any

from reconciler.desired.middlewares import middleware_at
from reconciler.desired.model import Model
from reconciler.desired.places import Path, Place, find, is_nothing
from reconciler.desired.problem import Problem
from reconciler.desired.refusal import Refusal, show
from reconciler.desired.refused_keys import REFUSED
from reconciler.desired.site import Fleet, Healthcheck, LoadBalancer, Rollout, ServiceKeys, Site, Sticky, Tls, Ulimit
from reconciler.desired.yaml_text import Node

MAX_KEY = 40
FEW = 10
WANTED = {"list_type": "a list", "dict_type": "a map of keys", "model_type": "a map of keys", "string_type": "one text"}
HOME: dict[type[Model], str] = {
    Fleet: "in shipstone.yaml",
    Healthcheck: "in healthcheck:",
    LoadBalancer: "in loadbalancer:",
    Rollout: "in rollout:",
    ServiceKeys: "in a site's file, in a service or at the top",
    Site: "at the top of a site's file",
}
MAPS: dict[str, type[Model]] = {"rollout": Rollout, "sticky": Sticky, "tls": Tls, "loadbalancer": LoadBalancer}


def complaint(file: str, top: Node, model: type[Model], error: Any) -> Problem:
    """One row of ValidationError.errors() as a problem; `model` is what the top of the file is."""
    path: Path = error["loc"]
    kind = error["type"]
    refusal = error.get("ctx", {}).get("error")
    if isinstance(refusal, Refusal):
        return problem_at(file, find(top, path + refusal.at), refusal.code, refusal.message)
    if kind == "extra_forbidden":
        return problem_at(file, find(top, path).at_key(), *unknown_key(str(path[-1]), model_at(model, path[:-1])))
    if kind == "missing":
        code = {"test": "SS-C20", "soft": "SS-C23", "hard": "SS-C23"}.get(str(path[-1]), "SS-Y17")
        return problem_at(file, find(top, path[:-1]).at_key(), code, f"{path[-1]} is missing. Write {path[-1]}: below it.")
    place = find(top, path)
    if kind in WANTED:
        return problem_at(file, place, "SS-Y16", _wrong_kind(place, WANTED[kind]))
    return problem_at(file, place, "SS-Y17", f"{show(str(error['msg']), 120)}. Write what docs/sites.md says of this key.")


def problem_at(file: str, place: Place, code: str, message: str) -> Problem:
    return Problem(file, place.line, place.column, place.key, code, message)


def _wrong_kind(place: Place, wanted: str) -> str:
    node = place.node
    if is_nothing(node):
        return "nothing is written here. Write a value, or delete the key."
    found = "a map" if node.entries is not None else "a list" if node.items is not None else "a text"
    example = {"a list": f"[{show(node.text or 'VALUE')}]", "one text": "a single value"}.get(wanted, "KEY: VALUE below it")
    return f"this is {found}, and {wanted} belongs here. Write {example}."


def model_at(model: type[Model], path: Path) -> type[Model]:
    """Which model reads the map at `path`."""
    match path:
        case (*_, "healthcheck"):
            return Healthcheck
        case (*_, "ulimits", _):
            return Ulimit
        case ("middlewares", int(), *rest):
            return middleware_at(rest)
        case (("rollout" | "sticky" | "tls" | "loadbalancer") as key,):
            return MAPS[key]
        case ("services", _) | ("defaults",):
            return ServiceKeys
    return model


def unknown_key(name: str, here: type[Model]) -> tuple[str, str]:
    """Code and message for a key that `here` does not have."""
    if name == "disable" and here is Healthcheck:
        return "SS-C02", "disable is not needed: to switch the image's check off write test: [NONE]."
    if here in (Site, ServiceKeys) and name in REFUSED:
        code, why = REFUSED[name]
        return code, f"{name} {why}"
    for home, where in HOME.items():
        if name in home.model_fields and not (home is ServiceKeys and issubclass(here, ServiceKeys)):
            return "SS-Y18", f"{name} is in the wrong place. It belongs {where}."
    folded = name.casefold().replace("-", "_")
    near = difflib.get_close_matches(folded, here.model_fields, 1, 0.7) if len(name) <= MAX_KEY else []
    if near:
        return "SS-Y15", f"{show(name)} is not a key. Did you mean `{near[0]}`?"
    few = f"Write one of: {', '.join(here.model_fields)}" if len(here.model_fields) <= FEW else "See docs/sites.md for those that there are"
    return "SS-Y15", f"{show(name)} is not a key here. {few}; what is your own begins with x-."
