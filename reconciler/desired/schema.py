"""JSON Schema of the files that people write, for editors; it comes out of the models that read them."""

from typing import Any

from reconciler.desired.model import Model
from reconciler.desired.site import Fleet, Site

DRAFT = "https://json-schema.org/draft/2020-12/schema"


def site_schema() -> dict[str, Any]:
    """The schema of `sites/*.yaml`."""
    return _schema(Site, "Shipstone: a site (sites/<name>.yaml)")


def fleet_schema() -> dict[str, Any]:
    """The schema of `shipstone.yaml`."""
    return _schema(Fleet, "Shipstone: what holds for every site (shipstone.yaml)")


def _schema(model: type[Model], title: str) -> dict[str, Any]:
    tidy = _tidy(model.model_json_schema(mode="validation"))
    return {"$schema": DRAFT, "title": title, **{key: value for key, value in tidy.items() if key != "title"}}


def _tidy(node: Any) -> Any:
    """Without pydantic's titles, and without null: a key with nothing after it is refused, except as a label."""
    if isinstance(node, list):
        return [_tidy(item) for item in node]
    if not isinstance(node, dict):
        return node
    tidy = {key: _tidy(value) for key, value in node.items() if not _is_noise(key, value)}
    if isinstance(tidy.get("default"), float):
        tidy["default"] = f"{tidy['default']:g}s"
    options = [option for option in tidy.get("anyOf", ()) if option != {"type": "null"}]
    if len(options) == 1:
        del tidy["anyOf"]
        return {**options[0], **tidy}
    return tidy


def _is_noise(key: str, value: Any) -> bool:
    return (key == "title" and isinstance(value, str)) or (key == "default" and value is None)
