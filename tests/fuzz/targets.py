# ruff: noqa: PT017  a target expects either outcome; it is no test itself
"""What is fed with anything: each target takes bytes, and fails by an exception that is not one of ours; bounds.py says what it may cost.

Hypothesis runs them in every test run, and Atheris for some seconds; for long behind `scripts/test --soak`. Both begin with corpus/.
"""

import hashlib
import json
import re
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path

from reconciler.desired.codes import CODES
from reconciler.desired.compile import Compiler
from reconciler.desired.file_text import MAX_BYTES
from reconciler.desired.hosts_file import block_in, hosts_block, with_block
from reconciler.desired.names import host_name
from reconciler.desired.parse import merged_services, parse_fleet, parse_site, site_name
from reconciler.desired.policy import Policy
from reconciler.desired.problem import MOST, Problem
from reconciler.desired.refusal import Refusal
from reconciler.desired.revision import Entry, Revision
from reconciler.desired.site import Fleet, ServiceKeys, Site
from reconciler.desired.traefik_toml import TraefikStatic, traefik_toml
from reconciler.errors import ShipstoneError, SourceError
from reconciler.planning.observed import Pin
from reconciler.planning.pin_file import parse_pins, render_pins
from reconciler.web.payloads import hint_of
from reconciler.web.signatures import SIGNED_BY, RefusedError, claim_of, verify
from reconciler.world.git_address import address
from reconciler.world.git_signatures import split

CORPUS = Path(__file__).parent / "corpus"
FLEET = Fleet(domain="shipstone.local", defaults=ServiceKeys(image="nginx:1.27-alpine", port=80))
CLOSED = Policy()
LONGEST = 1000
"""Characters of a problem, whatever was written."""
FILES = {"shipstone.yaml": b"domain: shipstone.local\n", "b": b"x", **{f"d/{n}": b"x" * 130 for n in range(2000)}}


def site(data: bytes) -> None:
    """The loader: known problems at places that exist, of one line each."""
    parsed, problems = parse_site("sites/a.yaml", data, FLEET, CLOSED)
    _check(parsed, problems, data)
    if parsed is not None:
        assert merged_services(parsed, FLEET)


def fleet(data: bytes) -> None:
    parsed, problems = parse_fleet("shipstone.yaml", data)
    _check(parsed, problems, data)


def _check(parsed: Site | Fleet | None, problems: tuple[Problem, ...], data: bytes) -> None:
    assert (parsed is None) == any(problem.severity == "error" for problem in problems)
    for problem in problems:
        assert str(problem).isprintable()
        assert len(str(problem)) < LONGEST
        assert problem.code in CODES
        assert 1 <= problem.line <= data.count(b"\n") + data.count(b"\r") + 1
        assert json.dumps(problem.as_json())


def compiled(data: bytes) -> None:
    """A whole revision with one file of anything: few problems."""
    files = {**FILES, "sites/a.yaml": _grown(data)}
    entries = {path: Entry(hashlib.sha256(text).hexdigest(), "file", len(text)) for path, text in files.items()}
    desired = Compiler(CLOSED).compile(Revision("r", entries, files.__getitem__))
    assert len(desired.problems) <= MOST + 1
    assert ("a" in desired.sites) != ("a" in desired.held)
    assert all(str(problem).isprintable() and len(str(problem)) < LONGEST for problem in desired.problems)


def _grown(data: bytes) -> bytes:
    """`@9{text}@` stands for nine times the text, with a number for each #: how often is what makes a compile slow."""

    def repeat(match: re.Match[bytes]) -> bytes:
        return b"".join(match[2].replace(b"#", b"%d" % n) for n in range(int(match[1])))

    return re.sub(rb"@([0-9]{1,4})\{(.*?)\}@", repeat, data[:MAX_BYTES])[: MAX_BYTES + 1]


def names(data: bytes) -> None:
    """Names of site files and of hosts: what is taken is safe in a hosts file and in a rule."""
    text = data.decode("utf-8", "surrogateescape")
    if isinstance(problem := site_name(f"sites/{text}"), Problem):
        assert problem.message.isprintable()
    try:
        name = host_name(text)
    except Refusal as refusal:
        assert refusal.message.isprintable()
        return
    assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789.-")
    block = hosts_block("shipstone", ["127.0.0.1", "::1"], [name])
    assert block.splitlines()[1:-1] == [f"127.0.0.1 {name}", f"::1 {name}"]


def hosts(data: bytes) -> None:
    """A hosts file that was already there: what is written is read, what was outside stays."""
    text = data.decode("utf-8", "surrogateescape")
    block = hosts_block("shipstone", ["127.0.0.1"], ["a.shipstone.local"])
    try:
        written = with_block(text, "shipstone", block)
        without = with_block(text, "shipstone", "")
    except ShipstoneError:
        return
    assert block_in(written, "shipstone") == block
    assert with_block(written, "shipstone", block) == written
    back = with_block(written, "shipstone", "")
    assert back in (without, without + "\n", without + "\r\n")


def toml(data: bytes) -> None:
    """traefik.toml: every value is read as it was given."""
    text = data.decode("utf-8", "replace")
    static = TraefikStatic(text, {text: text, "web": ":80"}, text, text, text, text)
    read = tomllib.loads(traefik_toml(static))
    if text != "traefik":
        assert read["entryPoints"][text] == {"address": ":80" if text == "web" else text}
    docker = read["providers"]["docker"]
    assert (docker["network"], docker["endpoint"]) == (text, text)
    assert ("file" in read["providers"]) == bool(text)


def pins(data: bytes) -> None:
    """The pin file: rules survive it, no template in them does; and anything may lie there."""
    text = data.decode("utf-8", "replace")
    parse_pins("shop", text)
    pin = Pin(((text, (("shop-a-1", 1),)),), ((text, 7),))
    written, _ = render_pins("shop", ["web"], {"a": pin})
    assert parse_pins("shop", written)[0] == {"a": pin}
    assert "{{" not in written.replace('{{"{{"}}', "")


def webhook(data: bytes) -> None:
    """Headers, signature and payload in one: a line for each header, an empty one, the body."""
    head, _, body = data.partition(b"\n\n")
    headers = [(name.lower(), value.strip()) for name, _, value in (line.partition(b":") for line in head.split(b"\n"))]
    for provider in SIGNED_BY:
        try:
            verify(claim_of(provider, headers), b"secret", body, 1_700_000_000.0)
        except RefusedError as refused:
            assert 400 <= refused.status < 500
    try:
        hint_of(body).concerns("https://git.example.com/team/desired-state.git", "main")
    except RefusedError as refused:
        assert refused.status == 400


def ref(data: bytes) -> None:
    """Address, branch and folder of a repository, a line each: refused in one printable line, or no option for git."""
    url, branch, path, *_ = [*data.decode("utf-8", "surrogateescape").split("\n"), "", ""]
    for given in ((url, "main", ""), ("https://host/x", branch, ""), ("https://host/x", "main", path)):
        try:
            where = address(*given, allow_file=False)
        except SourceError as refused:
            assert str(refused).isprintable()
            continue
        assert not where.url.startswith("-")
        assert not re.match(r"[A-Za-z0-9+.-]+::", where.url), "git would run a helper of that name"
        assert not where.branch.startswith("-")
        assert ".." not in where.path.split("/")


def signature(data: bytes) -> None:
    """A commit or tag: nothing of what was signed is lost."""
    text, signed = split(data)
    assert len(text) + len(signed) <= len(data) + 1 or not signed
    assert signed or text == data


TARGETS: Mapping[str, Callable[[bytes], None]] = {
    target.__name__: target for target in (site, fleet, compiled, names, hosts, toml, pins, webhook, ref, signature)
}


def seeds(name: str) -> list[bytes]:
    """The corpus of a target."""
    folder = CORPUS / name
    return [path.read_bytes() for path in sorted(folder.iterdir())] if folder.is_dir() else []
