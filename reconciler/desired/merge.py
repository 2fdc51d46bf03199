"""Defaults: the fleet's, then the site's, then each service's own keys. Only what was written counts."""

from typing import Any

from reconciler.desired.model import Model
from reconciler.desired.site import Fleet, ServiceKeys, Site

ONLY_SERVICE = "web"
"""The name of the one service of a site that has no `services`."""


def merged_services(site: Site, fleet: Fleet) -> dict[str, ServiceKeys]:
    """Each service with its defaults filled in: maps merge key by key, lists and single values are replaced."""
    base = _service(fleet.defaults or ServiceKeys(), site)
    services = {ONLY_SERVICE: ServiceKeys()} if site.services is None else site.services
    return {name: _service(base, service) for name, service in services.items()}


def _service(under: ServiceKeys, over: ServiceKeys) -> ServiceKeys:
    """Both were validated, so this is not done again."""
    return ServiceKeys().model_copy(update=_merged(under, over, ServiceKeys))


def _merged(under: Model, over: Model, kind: type[Model]) -> dict[str, Any]:
    """The keys of `kind` that were written in `over`, else in `under`."""
    values: dict[str, Any] = {}
    below, above = under.model_fields_set, over.model_fields_set
    for name in kind.model_fields:
        if name in above:
            value = getattr(over, name)
            values[name] = _merged_value(name, getattr(under, name), value) if name in below else value
        elif name in below:
            values[name] = getattr(under, name)
    return values


def _merged_value(name: str, under: Any, over: Any) -> Any:
    if isinstance(under, dict) and isinstance(over, dict):
        return under | over
    if isinstance(under, Model) and isinstance(over, Model):
        return over.model_copy(update=_merged(under, over, type(over)))
    if name == "extra_hosts":
        named = {line.partition(":")[0] for line in over}
        return [line for line in under if line.partition(":")[0] not in named] + over
    return over
