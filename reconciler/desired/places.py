"""Where a value stands in its file, and how its key is printed."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

from reconciler.desired.refusal import show
from reconciler.desired.yaml_text import Node, read_yaml

Path = tuple[str | int, ...]
KEY = "[key]"
"""At the end of a path: the key itself, not its value (pydantic's own mark)."""


@dataclass(frozen=True)
class Place:
    """`line` and `column` of a value, or of the key that leads to it; `key` as a person would write it: services.a.command[0]."""

    line: int
    column: int
    key: str
    node: Node
    key_node: Node
    whole: bool
    """Every part of the path is there."""

    def at_key(self) -> "Place":
        return Place(self.key_node.line, self.key_node.column, self.key, self.node, self.key_node, self.whole)


def find(top: Node, path: Path) -> Place:
    """The place of `path` below `top`; of its nearest ancestor where it is not there."""
    node = key_node = top
    key, at_key, whole = "", False, True
    for part in path:
        step = _step(node, part)
        if step is None:
            at_key = whole = part == KEY
            break
        name, key_node, node = step
        key += name if name.startswith("[") or not key else f".{name}"
    place = Place(node.line, node.column, key, node, key_node, whole)
    return place.at_key() if at_key or is_nothing(node) else place


def _step(node: Node, part: str | int) -> tuple[str, Node, Node] | None:
    """The printed name, the node to point at for the key, and the value."""
    if node.entries is not None:
        name = list(node.entries)[part] if isinstance(part, int) and part < len(node.entries) else part
        if isinstance(name, str) and name in node.entries:
            return (show(name), *node.entries[name])
    elif node.items is not None:
        index = part if isinstance(part, int) else _pair(node.items, part)
        if index is not None and index < len(node.items):
            return f"[{index}]", node.items[index], node.items[index]
    return None


def _pair(items: list[Node], name: str) -> int | None:
    """Which item of a list of NAME=VALUE has this name."""
    return next((index for index, item in enumerate(items) if (item.text or "").partition("=")[0] == name), None)


def is_nothing(node: Node) -> bool:
    """The value of a key with nothing after it."""
    return node.text is not None and node.data() is None


class Places:
    """Of one file, for problems found after parsing; it is read once, and only when the first place is asked for."""

    def __init__(self, read: Callable[[], bytes]) -> None:
        self._read = read

    @cached_property
    def _top(self) -> Node | None:
        return read_yaml("", self._read(), empty="")[0]

    def of(self, *paths: Path) -> tuple[int, int]:
        """Line and column of the first of `paths` that is in the file; (0, 0) if none is."""
        places = (find(self._top, path) for path in paths) if self._top is not None else ()
        return next(((place.line, place.column) for place in places if place.whole), (0, 0))
