"""Which host names a pattern of Traefik's `HostRegexp` fits. Pure, and bounded: whoever wrote it must not be able to hold up a pass.

Not by `re`, whose time may grow without end: each part of the pattern takes the set of places in the name where it may begin, and gives
the set of those where it may end.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache

LONGEST = 250
"""Characters of a pattern that is looked at."""
MOST = 300_000
"""Tries of one character, or of one round of a repetition, that a pattern may cost over all names."""
OFTEN = 1000
"""Go takes no larger number of repetitions."""
PIECE = re.compile(
    r"\(\?P?<\w+>|\(\?:|[()|^$]"  # groups, alternatives, ends
    r"|[*+?]\??|\{\d+(?:,\d*)?\}\??"  # how often
    r"|\[\^?\]?(?:\\.|[^\]\\])*\]|\\.|.",  # one character
    re.DOTALL,
)
UNLIKE = re.compile(r"\[:|\[.*\[|--|&&|~~|\|\||\\[^\WdDwWsS]", re.DOTALL)
"""In the text of one character: what does not mean the same in Go and here."""
Places = frozenset[int]


@dataclass
class Work:
    """The name that is looked at, and how much more may be tried."""

    name: str = ""
    left: int = MOST

    def costs(self, tries: int) -> None:
        self.left -= tries
        if self.left < 0:
            raise ValueError("too slow")


Part = Callable[[Work, Places], Places]


@lru_cache(maxsize=64)
def fitting(pattern: str, hosts: tuple[str, ...]) -> tuple[str, ...]:
    """Those of the `hosts` that it fits anywhere, as Traefik asks it; none of a pattern that cannot be read, or is too slow."""
    work = Work()
    found = []
    try:
        part = _parsed(pattern)
        for host in hosts:
            work.name = host
            if part(work, frozenset(range(len(host) + 1))):
                found.append(host)
    except (ValueError, re.error, RecursionError):
        return ()
    return tuple(found)


def _parsed(pattern: str) -> Part:
    if len(pattern) > LONGEST:
        raise ValueError("too long")
    pieces = PIECE.findall(pattern.removeprefix("(?i)"))[::-1]
    part = _either(pieces, re.IGNORECASE if pattern.startswith("(?i)") else re.NOFLAG)
    if pieces:
        raise ValueError("a parenthesis too many")
    return part


def _either(pieces: list[str], flags: re.RegexFlag) -> Part:
    """Alternatives, up to the end of their group; taken from the end of `pieces`."""
    ways: list[list[Part]] = [[]]
    while pieces and pieces[-1] != ")":
        piece = pieces.pop()
        if piece == "|":
            ways.append([])
        elif bounds := _bounds(piece):
            if not ways[-1]:
                raise ValueError("nothing to repeat")
            ways[-1].append(_repeated(ways[-1].pop(), *bounds))
        elif piece[0] == "(":
            ways[-1].append(_either(pieces, flags))
            if not pieces:
                raise ValueError("a parenthesis is missing")
            pieces.pop()
        else:
            ways[-1].append(_end(piece) if piece in ("^", "$") else _one(piece, flags))
    return lambda work, places: frozenset().union(*(_in_turn(way, work, places) for way in ways))


def _in_turn(parts: Iterable[Part], work: Work, places: Places) -> Places:
    for part in parts:
        places = part(work, places)
    return places


def _bounds(piece: str) -> tuple[int, int] | None:
    """How often at least and at most; None where it is no repetition."""
    if piece[0] in "*+?":
        return (1 if piece[0] == "+" else 0), (1 if piece[0] == "?" else MOST)
    if piece[0] != "{" or len(piece) == 1:
        return None
    least, comma, most = piece.rstrip("?").strip("{}").partition(",")
    if int(most or least) > OFTEN:
        raise ValueError("too often")
    return int(least), int(most) if most else MOST if comma else int(least)


def _repeated(part: Part, least: int, most: int) -> Part:
    def many(work: Work, places: Places) -> Places:
        for _ in range(least):
            work.costs(1)
            places = part(work, places)
        found = new = places
        for _ in range(most - least):
            work.costs(1)
            new = part(work, new) - found
            if not new:
                break
            found |= new
        return found

    return many


def _end(piece: str) -> Part:
    return lambda work, places: places & {0 if piece == "^" else len(work.name)}


def _one(piece: str, flags: re.RegexFlag) -> Part:
    """One character: itself, any, or one of a class."""
    if len(piece) > 1 and UNLIKE.search(piece):
        raise ValueError(f"{piece} is not read")
    fits = re.compile(piece if len(piece) > 1 or piece == "." else re.escape(piece), flags).fullmatch

    def one(work: Work, places: Places) -> Places:
        work.costs(1 + len(places))
        return frozenset(at + 1 for at in places if at < len(work.name) and fits(work.name[at]))

    return one
