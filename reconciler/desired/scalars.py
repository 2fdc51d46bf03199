"""Texts → typed values: what one scalar of a file may be. Each function gives the value or raises Refusal."""

import re
from collections.abc import Callable
from typing import Any

import yaml

from reconciler.desired.refusal import Refusal, show
from reconciler.desired.yaml_text import Plain

UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
SIZES = {"b": 1, "k": 1024, "m": 1024**2, "g": 1024**3, "t": 1024**4}
TAG = "tag:yaml.org,2002:"


def yaml11_reading(value: str) -> str | None:
    """What YAML 1.1 makes of the unquoted `value`, where that is not the same text again; else None."""
    if len(value) > 100 or not value:
        return None
    node = yaml.ScalarNode("", value)
    node.tag = yaml.resolver.Resolver().resolve(yaml.ScalarNode, value, (True, False))  # type: ignore[no-untyped-call]
    kind = node.tag.removeprefix(TAG)
    if kind == "str" or value in ("true", "false"):
        return None
    if kind == "timestamp":
        return "a date"
    if kind in ("value", "merge"):
        return "a key of its own"
    try:
        read = str(yaml.constructor.SafeConstructor().construct_object(node))
    except (ValueError, OverflowError, yaml.YAMLError):
        return f"a{'n' if kind[0] in 'aeiou' else ''} {kind}"
    return None if read == value else read.lower() if kind == "bool" else read


def scalar(value: object) -> str:
    """A text as it is written, quoted or not."""
    if isinstance(value, str):
        return str(value)
    if value is None:
        raise Refusal("SS-Y16", 'nothing is written here. Write a value, or "" for an empty text.')
    kind = "a map" if isinstance(value, dict) else "a list" if isinstance(value, list) else type(value).__name__
    raise Refusal("SS-Y16", f"this is {kind}, and one text belongs here. Write a single value.")


def text(value: object) -> str:
    """A text; an unquoted one only where every YAML tool reads the same."""
    written = scalar(value)
    if isinstance(value, Plain) and (reading := yaml11_reading(written)) is not None:
        raise Refusal("SS-Y03", f'YAML read {show(written)} as {show(reading)}. Quote it: "{show(written)}"')
    return written


def boolean(value: object) -> bool:
    """`true` or `false`, nothing else."""
    if isinstance(value, bool):
        return value
    written = scalar(value)
    if written in ("true", "false"):
        return written == "true"
    raise Refusal("SS-Y17", f"{show(written)} is not true or false. Write true or false.")


def whole(low: int, high: int) -> Callable[[object], int]:
    """Reads plain ASCII digits between `low` and `high`, both included."""

    def read(value: object) -> int:
        if isinstance(value, int) and not isinstance(value, bool):
            number = value
        else:
            written = scalar(value)
            if not re.fullmatch(r"-?(0|[1-9][0-9]*)", written):
                raise Refusal("SS-Y17", _not_whole(written))
            if len(written) > 18:
                raise Refusal("SS-C13", f"{show(written)} has {len(written)} digits. Write a number from {low} to {high}.")
            number = int(written)
        if not low <= number <= high:
            raise Refusal("SS-C13", f"{number} is out of range. Write a number from {low} to {high}.")
        return number

    return read


def _not_whole(written: str) -> str:
    reading = yaml11_reading(written)
    if reading is not None and re.fullmatch(r"-?[0-9]{1,18}", reading):
        return f"YAML 1.1 reads {show(written)} as {reading}. Write plain digits, as in {reading}."
    return f"{show(written)} is not a whole number. Write plain digits, as in 80."


def decimal(low: float, high: float) -> Callable[[object], float]:
    """Reads a decimal number such as 0.5 between `low` and `high`, both included."""

    def read(value: object) -> float:
        if isinstance(value, int | float) and not isinstance(value, bool):
            number = float(value)
        else:
            written = scalar(value)
            if not re.fullmatch(r"(0|[1-9][0-9]{0,8})(\.[0-9]{1,9})?", written):
                raise Refusal("SS-Y17", f"{show(written)} is not a number. Write one such as 0.5 or 2.")
            number = float(written)
        if not low <= number <= high:
            raise Refusal("SS-C13", f"{number:g} is out of range. Write a number from {low:g} to {high:g}.")
        return number

    return read


def duration(low: float, high: float) -> Callable[[object], float]:
    """Reads a Compose duration such as 1m30s or 500ms as seconds, between `low` and `high` seconds, both included."""

    def read(value: object) -> float:
        given = isinstance(value, int | float) and not isinstance(value, bool)
        seconds = float(str(value)) if given else _seconds(scalar(value))
        if not low <= seconds <= high:
            raise Refusal("SS-C15", f"{seconds:g} s is out of range. Write a time from {low:g}s to {high:g}s.")
        return seconds

    return read


def _seconds(written: str) -> float:
    if written == "0":
        return 0.0
    if len(written) <= 40 and re.fullmatch(r"([0-9]+(\.[0-9]+)?(us|ms|s|m|h))+", written):
        return round(sum(float(amount) * UNITS[unit] for amount, unit in re.findall(r"([0-9.]+)(us|ms|s|m|h)", written)), 6)
    if re.fullmatch(r"[0-9]{1,9}", written):
        raise Refusal("SS-C15", f"{written} has no unit. Write {written}s for seconds, or a time such as 1m30s.")
    raise Refusal("SS-C15", f"{show(written)} is not a duration. Write one such as 500ms, 10s or 1m30s, without spaces.")


def size(low: int) -> Callable[[object], int]:
    """Reads a size such as 64m or 1gb as bytes (k is 1024), at least `low`."""

    def read(value: object) -> int:
        if isinstance(value, int) and not isinstance(value, bool):
            count = value
        else:
            written = scalar(value)
            match = re.fullmatch(r"([0-9]{1,12}(?:\.[0-9]{1,3})?)([bkmgt]?)(b?)", written.lower())
            if not match or not written.isascii() or (match[2] in ("", "b") and match[3]):
                raise Refusal("SS-C16", f"{show(written)} is not a size. Write bytes, or a number with b, k, m, g or t, as in 64m.")
            count = int(float(match[1]) * SIZES[match[2] or "b"])
        if not low <= count < 2**60:
            raise Refusal("SS-C16", f"{count} bytes is out of range. Write at least {low // 1024**2}m.")
        return count

    return read


def pattern(regex: str, code: str, wanted: str, limit: int = 4096) -> Callable[[object], str]:
    """Reads a text that matches `regex` as a whole and has at most `limit` characters; `wanted` says what to write."""
    compiled = re.compile(regex, re.ASCII)

    def read(value: object) -> str:
        written = text(value)
        if len(written) > limit or not compiled.fullmatch(written):
            raise Refusal(code, f"{show(written)} cannot stand here. Write {wanted}.")
        return written

    return read


def one_of(*choices: str) -> Callable[[object], str]:
    """Reads one of a few words; unquoted is fine, because no other reading of them is possible here."""

    def read(value: object) -> str:
        written = scalar(value)
        if written not in choices:
            raise Refusal("SS-Y17", f"{show(written)} is not known here. Write one of: {', '.join(choices)}.")
        return written

    return read


def listed(value: Any) -> Any:
    """A single text stands for a list of one."""
    return [value] if isinstance(value, str) else value


def at_most(most: int) -> Callable[[Any], Any]:
    """A list or map of so many entries. Among the readers of a key the last one is asked first."""

    def read(value: Any) -> Any:
        if isinstance(value, list | dict) and len(value) > most:
            raise Refusal("SS-C13", f"{len(value)} entries are too many. Write at most {most}.")
        return value

    return read
