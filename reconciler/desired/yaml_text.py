"""Bytes → nodes: a YAML reader that gives texts only, keeps every place, and is bounded whatever it is given.

Types are not YAML's business here: `port: 80` is the text "80" until the schema makes a number of it.
"""

from dataclasses import dataclass, field
from typing import Any

import yaml

from reconciler.desired.file_text import decode
from reconciler.desired.problem import Problem
from reconciler.desired.refusal import show
from reconciler.desired.yaml_syntax import syntax_problem

MAX_DEPTH = 32
MAX_WEIGHT = 1024 * 1024
"""Characters of all texts plus 16 for every node, aliases counted as often as they are used."""
MERGE = "<<"
NULLS = frozenset(["", "~", "null", "Null", "NULL"])
LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Plain(str):
    """A text without quotes: the schema may want to know what YAML 1.1 makes of it."""

    __slots__ = ()


@dataclass(slots=True)
class Node:
    """A scalar (`text`), a list (`items`) or a map (`entries`); line and column count from 1."""

    line: int
    column: int
    text: str | None = None
    items: "list[Node] | None" = None
    entries: "dict[str, tuple[Node, Node]] | None" = None
    weight: int = 16
    height: int = 1

    def data(self) -> Any:
        """Texts, lists, dicts, and None where nothing was written."""
        if self.entries is not None:
            return {key.text: value.data() for key, value in self.entries.values()}
        if self.items is not None:
            return [item.data() for item in self.items]
        return None if isinstance(self.text, Plain) and self.text in NULLS else self.text


@dataclass(slots=True)
class _Open:
    """A list or map whose end has not been read; a map's `key` waits for its value."""

    node: Node
    anchor: str | None
    key: Node | None = None
    merges: list[Node] = field(default_factory=list)
    merge_lines: list[int] = field(default_factory=list)


class _Stop(Exception):  # noqa: N818 (a signal, not an error)  # noqa: N818  no error: the end of reading
    """Reading on makes no sense."""


def read_yaml(file: str, data: bytes, *, empty: str, loader: Any = LOADER) -> tuple[Node | None, tuple[Problem, ...]]:
    """The top map of `data`, if it can be read at all, and every problem. `empty` is what to say of a file without content."""
    text, problem = decode(file, data)
    if text is None or problem:
        return None, (problem,) if problem else ()
    return _Composer(file, empty).compose(text, loader)


class _Composer:
    """Events → nodes, without recursion: its own stack is bounded, C's would not be."""

    def __init__(self, file: str, empty: str) -> None:
        self.file = file
        self.empty = empty
        self.problems: list[Problem] = []
        self.stack: list[_Open] = []
        self.anchors: dict[str, Node | None] = {}
        self.top: Node | None = None
        self.documents = 0
        self.places: set[tuple[int, int]] = set()

    def compose(self, text: str, loader: Any) -> tuple[Node | None, tuple[Problem, ...]]:
        try:
            for event in yaml.parse(text, Loader=loader):
                self._take(event)
        except _Stop:
            return None, tuple(self.problems)
        except (yaml.YAMLError, ValueError, OverflowError) as error:
            self.problems.append(syntax_problem(self.file, text, error))
            return None, tuple(self.problems)
        top = self.top
        if top is None or (top.text is not None and top.data() is None):
            self._say(top if top is not None and top.text else Node(1, 1), "SS-Y07", self.empty)
        elif top.entries is None:
            kind = "a list" if top.items is not None else "a text"
            self._say(top, "SS-Y08", f"the file is {kind}, not a map. Begin with keys, as in image: nginx:1.27.")
        else:
            return top, tuple(self.problems)
        return None, tuple(self.problems)

    def _say(self, node: Node, code: str, message: str) -> None:
        """One problem for one place: what follows from the first is noise."""
        if (node.line, node.column) in self.places:
            return
        self.places.add((node.line, node.column))
        self.problems.append(Problem(self.file, node.line, node.column, "", code, message))

    def _take(self, event: Any) -> None:
        node = Node(event.start_mark.line + 1, event.start_mark.column + 1)
        if isinstance(event, yaml.DocumentStartEvent):
            self.documents += 1
            if self.documents > 1:
                self._say(node, "SS-Y06", "a second document begins here. Keep one document in a file: delete the --- or make two files.")
                raise _Stop
        elif isinstance(event, yaml.AliasEvent):
            self._add(self._alias(node, event.anchor or ""))
        elif isinstance(event, yaml.NodeEvent):
            self._node(node, event)
        elif isinstance(event, yaml.CollectionEndEvent):
            self._close()

    def _node(self, node: Node, event: Any) -> None:
        if event.tag is not None:
            self._say(node, "SS-Y04", f"the tag {show(event.tag)} is refused: every value here is a text, a list or a map. Delete the tag.")
        if isinstance(event, yaml.ScalarEvent):
            node.text = Plain(event.value) if event.implicit[0] else event.value
            node.weight += len(event.value)
            node.height = 0
            if "\0" in event.value or any(0xD800 <= ord(char) <= 0xDFFF for char in event.value if not char.isascii()):
                self._say(node, "SS-Y11", "the text holds a NUL or half a character. Delete the escape.")
                node.text = "?"
            if event.anchor:
                self.anchors[event.anchor] = node
            self._add(node)
            return
        if isinstance(event, yaml.SequenceStartEvent):
            node.items = []
        else:
            node.entries = {}
        if len(self.stack) >= MAX_DEPTH:
            self._too_deep(node)
        if event.anchor:
            self.anchors[event.anchor] = None
        self.stack.append(_Open(node, event.anchor))

    def _too_deep(self, node: Node) -> None:
        self._say(node, "SS-Y09", f"nested more than {MAX_DEPTH} levels deep. No key needs that: look for brackets that are not closed.")
        raise _Stop

    def _alias(self, node: Node, name: str) -> Node:
        if name not in self.anchors:
            self._say(
                node, "SS-Y05", f"the alias *{show(name)} has no anchor before it in this file. Write &{show(name)} where the value is."
            )
        elif (target := self.anchors[name]) is None:
            self._say(node, "SS-Y05", f"the alias *{show(name)} is inside the value that it stands for. Write the value out.")
        else:
            return target
        node.text = "?"
        return node

    def _add(self, node: Node) -> None:
        if not self.stack:
            self.top = node
            return
        parent = self.stack[-1]
        if parent.node.items is not None:
            parent.node.items.append(node)
            self._grow(parent.node, node)
        elif parent.key is None:
            parent.key = self._key(node)
            self._grow(parent.node, node)
        else:
            key, parent.key = parent.key, None
            self._entry(parent, key, node)
            self._grow(parent.node, node)

    def _grow(self, parent: Node, child: Node) -> None:
        parent.weight += child.weight
        parent.height = max(parent.height, child.height + 1)
        if parent.weight > MAX_WEIGHT:
            self._say(child, "SS-Y05", f"with its aliases written out the file is more than {MAX_WEIGHT} characters. Use fewer aliases.")
            raise _Stop
        if parent.height + len(self.stack) > MAX_DEPTH + 1:
            self._too_deep(child)

    def _key(self, node: Node) -> Node:
        if node.text is not None:
            return node
        while self.problems and self.problems[-1].code == "SS-Y14" and (node.line, node.column) < _place(self.problems[-1]):
            self.problems.pop()  # {{ name }} is one mistake, not two
        self._say(node, "SS-Y14", "a key must be a text, not a map or a list. A text that begins with { or [ needs quotes.")
        return Node(node.line, node.column, text=f"?{node.line}:{node.column}")

    def _entry(self, parent: _Open, key: Node, value: Node) -> None:
        entries, name = parent.node.entries, key.text
        if entries is None or name is None:
            return
        if name == MERGE and isinstance(name, Plain):
            parent.merge_lines.append(key.line)
            if len(parent.merge_lines) > 1:
                self._twice(key, name, parent.merge_lines[0])
            parent.merges.extend(self._merged(value))
        elif name in entries:
            self._twice(key, name, entries[name][0].line)
        else:
            entries[name] = (key, value)

    def _twice(self, key: Node, name: str, first: int) -> None:
        self._say(key, "SS-Y02", f"{show(name)} is written twice: in line {first} and in line {key.line}. Keep one of them.")

    def _merged(self, value: Node) -> list[Node]:
        maps = value.items if value.items is not None else [value]
        wrong = [node for node in maps if node.entries is None]
        for node in wrong:
            self._say(node, "SS-Y14", "<< takes an alias of a map, or a list of them, as in <<: *defaults.")
        return [node for node in maps if node.entries is not None]

    def _close(self) -> None:
        done = self.stack.pop()
        if done.node.entries is not None:
            for source in done.merges:
                for name, entry in (source.entries or {}).items():
                    done.node.entries.setdefault(name, entry)
        if done.anchor:
            self.anchors[done.anchor] = done.node
        self._add(done.node)


def _place(problem: Problem) -> tuple[int, int]:
    return problem.line, problem.column
