"""The JSON Schema says what the reader does, key by key."""

import json
import typing
from collections.abc import Iterator
from typing import Any

import pytest

from reconciler.desired.model import Model
from reconciler.desired.schema import fleet_schema, site_schema
from reconciler.desired.site import Fleet, Site


def models(annotation: Any) -> Iterator[type[Model]]:
    """Every model in it, and in their fields."""
    if isinstance(annotation, type) and issubclass(annotation, Model):
        yield annotation
        for field in annotation.model_fields.values():
            yield from models(field.annotation)
    for part in typing.get_args(annotation):
        yield from models(part)


MAPS = {model.__name__: model for top in (Site, Fleet) for model in models(top)}


def maps_of(schema: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {"": schema, **schema["$defs"]}


def test_it_is_json_with_a_title_and_a_draft() -> None:
    schema = json.loads(json.dumps(site_schema()))
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["title"].startswith("Shipstone: a site")
    assert fleet_schema()["title"].startswith("Shipstone: what holds for every site")


@pytest.mark.parametrize(("schema", "top"), [(site_schema(), Site), (fleet_schema(), Fleet)], ids=["site", "fleet"])
def test_every_map_has_exactly_its_keys_each_described_and_no_others(schema: dict[str, Any], top: type[Site] | type[Fleet]) -> None:
    for name, rows in maps_of(schema).items():
        model = MAPS[name] if name else top
        assert set(rows["properties"]) == set(model.model_fields)
        assert rows["additionalProperties"] is False
        assert rows["patternProperties"] == {"^x-": True}
        assert all(len(row["description"]) > 5 for row in rows["properties"].values())


def test_nothing_may_be_null_but_a_label() -> None:
    text = json.dumps({name: rows for name, rows in site_schema()["properties"].items() if name != "labels"})
    assert '"null"' not in text
    assert '"null"' in json.dumps(site_schema()["properties"]["labels"])


def test_values_have_their_form() -> None:
    rows = site_schema()["properties"]
    assert rows["port"]["minimum"] == 1
    assert rows["port"]["maximum"] == 65535
    assert rows["stop_grace_period"]["type"] == ["string", "integer"]
    assert rows["stop_grace_period"]["default"] == "10s"
    assert "ms|s|m|h" in rows["stop_grace_period"]["pattern"]
    assert rows["mem_limit"]["pattern"].startswith("^[0-9]+")
    assert rows["restart"]["enum"] == ["no", "always", "on-failure", "unless-stopped"]
    assert rows["drift"]["enum"] == ["heal", "report"]
    assert rows["hosts"]["minItems"] == 1
    assert rows["services"]["additionalProperties"] == {"$ref": "#/$defs/ServiceKeys"}
    assert rows["ulimits"]["additionalProperties"] == {"anyOf": [{"type": "integer"}, {"$ref": "#/$defs/Ulimit"}]}
    assert site_schema()["$defs"]["Rollout"]["properties"]["order"]["enum"] == ["start-first", "stop-first"]
