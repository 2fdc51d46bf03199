"""What an option of a middleware takes, and how its value is read."""

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema, create_model, model_validator

from reconciler.desired import scalars
from reconciler.desired.keys import bounded, written
from reconciler.desired.model import Model
from reconciler.desired.refusal import Refusal, show

NEEDS_NOTHING = ("compress", "contentType")
"""Kinds that do something without any option."""
MAX_TEXT = 2000
FEW = 3


def _line(value: object) -> str:
    """A text that a label can carry and no template engine reads."""
    written = scalars.text(value)
    if not written.isprintable() or "{{" in written or len(written) > MAX_TEXT:
        raise Refusal("SS-C27", f"{show(written)} cannot be handed to Traefik. Write one line without {{{{, at most {MAX_TEXT} characters.")
    return written


def _item(value: object) -> str:
    """One of a list: Traefik splits it at commas."""
    written = _line(value)
    if "," in written or not written.strip() or written != written.strip():
        raise Refusal("SS-C27", f"{show(written)} cannot stand in a list: Traefik splits it at commas. Write each item by itself.")
    return written


def _user(form: str, wanted: str) -> BeforeValidator:
    """One of users; what is wrong is said without showing it."""

    def read(value: object) -> str:
        written = scalars.text(value)
        if not re.fullmatch(form, written) or not written.isprintable() or "{{" in written:
            raise Refusal("SS-C27", f"this is not {wanted}. Write the line that it prints, never the password itself.")
        return written

    return BeforeValidator(read)


def _items(value: Any) -> Any:
    if value == []:
        raise Refusal("SS-C27", "the list is empty. Write what belongs into it, or delete the key.")
    return scalars.listed(value)


def _tree(value: Any) -> Any:
    """Texts in maps, as deep as a plugin wants them."""
    if not isinstance(value, dict):
        return _line(value)
    if not value:
        raise Refusal("SS-C27", "nothing is set here. Write a NAME: VALUE.")
    return {_name(key): _tree(below) for key, below in value.items()}


def _map(value: Any) -> Any:
    if value == {}:
        raise Refusal("SS-C27", "nothing is set here. Write NAME: VALUE.")
    return value


def _duration(value: object) -> str:
    """Seconds as Go writes them."""
    return f"{round(scalars.duration(0, 86400)(value) * 1000)}ms"


_name = scalars.pattern(r"[A-Za-z0-9_-]+", "SS-C27", "a name of letters, digits, - and _", 100)
_TEXT = {"type": "string"}
FLAG = Annotated[bool, BeforeValidator(scalars.boolean)]
NUMBER = Annotated[int, BeforeValidator(scalars.whole(-1, 10**15)), WithJsonSchema({"type": "integer"})]
HELD = Annotated[int, *bounded(0, 16 * 2**20)]
"""Bytes that Traefik holds in memory for each request: all sites share what it has."""
TRIES = Annotated[int, *bounded(1, 10)]
TIME = Annotated[str, BeforeValidator(_duration), WithJsonSchema({**_TEXT, "examples": ["500ms", "10s"]})]
TEXT = Annotated[str, BeforeValidator(_line), WithJsonSchema({"type": ["string", "number"]})]
LIST = Annotated[
    list[Annotated[str, BeforeValidator(_item)]],
    BeforeValidator(_items),
    WithJsonSchema({"anyOf": [_TEXT, {"type": "array", "items": {"type": ["string", "number"]}, "minItems": 1}]}),
]
_LINES = WithJsonSchema({"anyOf": [_TEXT, {"type": "array", "items": _TEXT, "minItems": 1}]})
BASIC = Annotated[
    list[Annotated[str, _user(r"[^:,\s]+:(\$(apr1|1|2[abxy]?)\$|\{SHA\})[^,\s]+", "NAME:HASH of htpasswd")]],
    BeforeValidator(_items),
    _LINES,
]
DIGEST = Annotated[list[Annotated[str, _user(r"[^:,\s]+:[^:,]+:[^:,\s]+", "NAME:REALM:HASH of htdigest")]], BeforeValidator(_items), _LINES]
MAP = Annotated[
    dict[Annotated[str, BeforeValidator(_name)], Annotated[str, BeforeValidator(_line)]],
    BeforeValidator(_map),
    WithJsonSchema({"type": "object", "additionalProperties": {"type": ["string", "number"]}}),
]
TREE = Annotated[dict[str, Any], BeforeValidator(_tree), WithJsonSchema({"type": "object"})]


class Options(Model):
    """What one kind takes; nothing set is a mistake."""

    @model_validator(mode="after")
    def something_set(self) -> "Options":
        if not self.model_fields_set and type(self).__name__ not in NEEDS_NOTHING:
            few = list(type(self).model_fields)[:FEW]
            raise Refusal("SS-C27", f"nothing is set here. Write an option, as {' or '.join(few)}.")
        return self


def options(name: str, needed: str = "", /, **takes: Any) -> type[Options]:
    """A model of these options; those named in `needed` must be there."""
    fields: dict[str, Any] = {}
    for option, kind in takes.items():
        default = ... if option in needed.split() else None
        given = Annotated[kind | None, BeforeValidator(written)]  # type: ignore[valid-type]
        fields[option] = given, Field(default=default, description=f"Traefik's {name}.{option}.")
    return create_model(name, __base__=Options, **fields)
