"""Host names, path prefixes, and the names of sites and services."""

import ipaddress
import re
from collections.abc import Iterable

from reconciler.desired.problem import Problem
from reconciler.desired.refusal import Refusal, show
from reconciler.desired.scalars import text

LABEL = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?", re.ASCII)
MAX_SITE_NAME = 40
MAX_SERVICE_NAME = 40
NAME_RULE = "lower-case letters, digits and '-', beginning and ending with a letter or digit, at most 40 characters"


def host_name(value: object) -> str:
    """A DNS name in lower case, without trailing dot; raises Refusal."""
    written = text(value)
    name = written.lower()
    if not name.isascii():
        ascii_form = _punycode(name)
        instead = f"Write {show(ascii_form)} instead." if ascii_form else "Use letters, digits, - and dots, or a name's xn-- form."
        raise Refusal("SS-N05", f"{show(written)} is not ASCII. {instead}")
    _not_an_address(written, name)
    if "*" in name:
        raise Refusal("SS-N02", f"{show(written)} is a wildcard, which would take other sites' requests. List each host name.")
    if name.endswith("."):
        raise Refusal("SS-N03", f"{show(written)} ends in a dot. Write {show(name.rstrip('.'))}.")
    if odd := re.search(r"[^a-z0-9.-]", name):
        hint = " Use '-' instead." if odd[0] == "_" else ""
        raise Refusal(
            "SS-N01", f"{show(written)} has {_char(odd[0])}, which no host name has.{hint or ' Use letters, digits, - and dots.'}"
        )
    if name == "localhost":
        raise Refusal("SS-N08", "localhost is every machine's own name. Use a name of its own, as in web1.shipstone.local.")
    _check_labels(written, name)
    return name


def _char(char: str) -> str:
    return "a space" if char == " " else "a line break" if char in "\r\n" else show(char)


def _not_an_address(written: str, name: str) -> None:
    if "://" in name or "/" in name:
        raise Refusal("SS-N11", f"{show(written)} is a URL or has a path. Write the host name alone; a path prefix goes into path:.")
    try:
        ipaddress.ip_address(name.strip("[]").rstrip("."))
        is_address = True
    except ValueError:
        is_address = re.fullmatch(r"(.*\.)?[0-9]+", name) is not None
    if is_address:
        raise Refusal("SS-N07", f"{show(written)} is an address, not a name. Write a host name; which address it has is DNS's business.")
    if re.fullmatch(r"[^:]+:[0-9]*", name):
        raise Refusal("SS-N11", f"{show(written)} has a port. Write the host name alone; Traefik's entry point decides the port.")


def _check_labels(written: str, name: str) -> None:
    if len(name) > 253:
        raise Refusal("SS-N09", f"{show(written)} has {len(name)} characters. DNS allows 253.")
    for label in name.split("."):
        if not label:
            raise Refusal("SS-N09", f"{show(written)} has an empty part. Take the extra dot away.")
        if len(label) > 63:
            raise Refusal("SS-N09", f"{show(label)} has {len(label)} characters. DNS allows 63 between dots.")
        if not LABEL.fullmatch(label):
            raise Refusal("SS-N01", f"{show(label)} begins or ends with '-'. Begin and end with a letter or digit.")
        if label.startswith("xn--") and not _is_punycode(label[4:]):
            raise Refusal("SS-N06", f"{show(label)} is not a valid xn-- name. Convert the name again.")


def _is_punycode(label: str) -> bool:
    try:
        decoded = label.encode("ascii").decode("punycode")
        return not decoded.isascii() and decoded.isprintable() and decoded.encode("punycode").decode("ascii") == label
    except (ValueError, OverflowError):
        return False


def _punycode(name: str) -> str | None:
    try:
        written = name.encode("idna").decode("ascii")
    except (ValueError, IndexError):
        return None
    return written if re.fullmatch(r"[a-z0-9.-]+", written) else None


def fleet_domain(value: object) -> str:
    """The base domain: a host name that leaves room for `<site>.` before it."""
    name = host_name(value)
    if len(name) > 253 - MAX_SITE_NAME - 1:
        raise Refusal("SS-N09", f"{show(name)} leaves no room for a site's name before it. Use at most {252 - MAX_SITE_NAME} characters.")
    return name


def host_names(hosts: list[str]) -> list[str]:
    """Refuse an empty list and a name that is there twice."""
    if not hosts:
        raise Refusal("SS-N09", "the list is empty. Name a host, or leave hosts: out for <site>.<domain>.")
    for index, host in enumerate(hosts):
        if host in hosts[:index]:
            raise Refusal("SS-N04", f"{show(host)} is listed twice (case does not count). Keep one.", (index,))
    return hosts


def path_prefix(value: object) -> str:
    """A path prefix such as /api, without a slash at its end; raises Refusal."""
    written = text(value)
    if not re.fullmatch(r"/([A-Za-z0-9._~-]+/)*([A-Za-z0-9._~-]+)?", written) or len(written) > 200:
        raise Refusal(
            "SS-N14", f"{show(written)} cannot be routed. Write a prefix such as /api: letters, digits, . _ ~ - and single slashes."
        )
    if {".", ".."} & set(written.split("/")):
        raise Refusal("SS-N14", f"{show(written)} has '.' or '..' in it. Write the path itself.")
    return written.rstrip("/") or "/"


def service_name(value: object) -> str:
    """The name of a service: part of container names."""
    written = text(value)
    if len(written) > MAX_SERVICE_NAME or not LABEL.fullmatch(written):
        raise Refusal("SS-N15", f"{show(written)} cannot be a service's name. Use {NAME_RULE}.")
    return written


def site_name(path: str) -> str | Problem:
    """The site's name out of `sites/<name>.yaml` (or .yml), or what is wrong with the file's name."""
    file = path if path.isprintable() else show(path, limit=200)
    match = re.fullmatch(r"sites/([^/]*)\.ya?ml", path, re.ASCII | re.DOTALL)
    if not match:
        return Problem(file, 0, 0, "", "SS-N12", f"{show(path)} is not sites/<name>.yaml. Move or rename the file.")
    name = match[1]
    if len(name) > MAX_SITE_NAME or not LABEL.fullmatch(name):
        return Problem(file, 0, 0, "", "SS-N12", f"{show(name)} cannot be a site's name. Rename the file: {NAME_RULE}.")
    return name


def twins(paths: Iterable[str]) -> list[Problem]:
    """One problem for every file that means the same site as another: .yaml beside .yml, or a difference in case only."""
    first: dict[str, str] = {}
    problems = []
    for path in sorted(paths):
        key = re.sub(r"\.ya?ml$", "", path.casefold())
        other = first.setdefault(key, path)
        if other != path:
            for one, two in ((other, path), (path, other)):
                problems.append(Problem(one, 0, 0, "", "SS-N13", f"{show(two)} is a file for the same site. Delete or rename one of them."))
    return list(dict.fromkeys(problems))
