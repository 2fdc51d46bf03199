"""What the keys of a container may say: images, labels, capabilities, environment. Each gives the value or raises Refusal."""

import ipaddress
import re
import shlex
from fnmatch import fnmatchcase
from typing import Any

from reconciler.desired.policy import CLOSED, Policy, Rules, ask, matches
from reconciler.desired.refusal import Refusal, show
from reconciler.desired.rights import allowed_label
from reconciler.desired.scalars import scalar, text
from reconciler.desired.yaml_text import Plain

CAPABILITY_NAMES = (
    "AUDIT_CONTROL AUDIT_READ AUDIT_WRITE BLOCK_SUSPEND BPF CHECKPOINT_RESTORE CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID "
    "IPC_LOCK IPC_OWNER KILL LEASE LINUX_IMMUTABLE MAC_ADMIN MAC_OVERRIDE MKNOD NET_ADMIN NET_BIND_SERVICE NET_BROADCAST NET_RAW "
    "PERFMON SETFCAP SETGID SETPCAP SETUID SYSLOG SYS_ADMIN SYS_BOOT SYS_CHROOT SYS_MODULE SYS_NICE SYS_PACCT SYS_PTRACE SYS_RAWIO "
    "SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG WAKE_ALARM ALL"
)
CAPABILITIES = frozenset(CAPABILITY_NAMES.split())
ULIMIT_NAMES = "core cpu data fsize locks memlock msgqueue nice nofile nproc rss rtprio rttime sigpending stack"
ULIMITS = frozenset(ULIMIT_NAMES.split())
RESERVED = ("traefik.", "shipstone.", "com.docker.")
DOCKER = ("docker.io", "index.docker.io")
"""Two names of one registry, which is meant where none is named."""
COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
DOMAIN = r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*"
IMAGE = re.compile(
    rf"(?P<name>(?:(?P<registry>(?:{DOMAIN}|\[[0-9a-fA-F:]+\])(?::[0-9]{{1,5}})?)/)?{COMPONENT}(?:/{COMPONENT})*)"
    r"(?::(?P<tag>[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}))?(?P<digest>@sha256:[0-9a-f]{64})?",
    re.ASCII,
)


def image(value: object) -> str:
    """An image's reference as `docker pull` takes it; raises Refusal."""
    written = text(value)
    match = IMAGE.fullmatch(written) if len(written) <= 512 else None
    if match is None or re.fullmatch(r"[0-9a-f]{64}|sha256", match["name"]) or len(match["name"]) > 255:
        wanted = "Write NAME:TAG in lower case, as in nginx:1.27-alpine or registry.example.com/team/app:3."
        raise Refusal("SS-C10", f"{show(written)} is not an image's name. {wanted}")
    first, slash, _ = written.partition("/")
    if slash and not _is_host(first) and first != first.lower():
        wanted = f"Write {show(first.lower())}, or a host with a dot or a port."
        raise Refusal("SS-C10", f"{show(first)} is a host to some engines and part of a name to others. {wanted}")
    return written


def registry_of(written: str) -> str:
    """Where an image comes from: docker.io, or the host that its name begins with."""
    first, slash, _ = written.partition("/")
    return first if slash and _is_host(first) and first not in DOCKER else DOCKER[0]


def _is_host(first: str) -> bool:
    return re.search(r"[.:]|^localhost$", first) is not None


def check_image(written: str, rules: Rules) -> str:
    """Refuse an image that the policy does not allow."""
    policy, registry = rules.policy, registry_of(written)
    if policy.registries and registry not in policy.registries:
        allowed = ", ".join(policy.registries)
        raise Refusal("SS-C12", f"images from {registry} are not allowed here. Use one from {allowed}, or {ask('registries', rules.site)}.")
    if policy.images and not any(matches(name, policy.images) for name in _spellings(written, registry)):
        raise Refusal(
            "SS-C32", f"{show(written)} is none of {', '.join(policy.images)}. Use such an image, or {ask('images', rules.site)}."
        )
    _check_private(written, _spellings(written, registry), rules)
    if policy.require_tag and (problem := floating(written)):
        raise Refusal("SS-C11", problem)
    if policy.require_digest and "@sha256:" not in written:
        raise Refusal(
            "SS-C11",
            f"{show(written)} has no digest, and this host wants one. Write NAME:TAG@sha256:…, as `docker buildx imagetools` says.",
        )
    return written


def _check_private(written: str, names: set[str], rules: Rules) -> None:
    """Refuse an image that the policy keeps for other sites. In shipstone.yaml none is: each site is asked for itself."""
    folded = {name.lower() for name in names}
    policy = rules.policy
    owners = [grant.site for grant in policy.grants if _any(folded, grant.private_images)]
    private = owners or _any(folded, policy.private_images)
    if rules.site and private and not any(fnmatchcase(rules.site, owner) for owner in owners):
        kept = f"is kept for {owners[0]} by the host's policy" if owners else "is private, and the host's policy gives it to no site"
        where = f"[policy.sites.{rules.site}] private_images"
        raise Refusal("SS-C32", f"{show(written)} {kept}. Use another image, or ask the host's administrator for {where}.")


def _any(names: set[str], patterns: tuple[str, ...]) -> bool:
    return any(matches(name, tuple(pattern.lower() for pattern in patterns)) for name in names)


def _spellings(written: str, registry: str) -> set[str]:
    """As patterns may name it: without tag and digest and with the tag, with the registry and, of Docker's own, without."""
    name, tag = written.partition("@")[0], ""
    if ":" in name.rsplit("/", 1)[-1]:
        name, _, tag = name.rpartition(":")
    names = {name}
    if registry == DOCKER[0]:
        path = next((name.removeprefix(f"{host}/") for host in DOCKER if name.startswith(f"{host}/")), name)
        short = path.removeprefix("library/")
        names = {short, f"docker.io/{path}" if "/" in path else f"docker.io/library/{path}"}
    return names | {f"{one}:{tag}" for one in names if tag}


def floating(written: str) -> str | None:
    """What to say of an image whose name means something else tomorrow; None where it has a tag of its own or a digest."""
    match = IMAGE.fullmatch(written)
    if match is None or match["digest"] or match["tag"] not in (None, "latest"):
        return None
    said = "has no tag" if match["tag"] is None else "is 'latest'"
    return f"{show(written)} {said}: what it means can change without a commit. Name a version, as in {show(match['name'])}:1.2.3."


def label_name(value: object, policy: Policy = CLOSED) -> str:
    """A container label's name, outside what Shipstone and Docker read, and what Traefik does unless the policy names it."""
    written = text(value)
    if allowed_label(written, policy) and re.fullmatch(r"[!-<>-~]{1,256}", written):
        return written
    folded = written.casefold() + "."
    for reserved in RESERVED:
        if folded.startswith(reserved):
            instead = "Use a prefix of your own"
            if reserved == "traefik.":
                instead = f"Use hosts:, path:, middlewares: and the like, or {ask('labels')}"
            raise Refusal("SS-C09", f"{show(written)} is reserved ({reserved}*): it would change what others rely on. {instead}.")
    if not re.fullmatch(r"[!-~]{1,256}", written) or "=" in written:
        raise Refusal("SS-C24", f"{show(written)} cannot be a label's name. Use letters, digits, '.', '_', '/' and '-'.")
    return written


def label_value(value: object) -> str:
    """A label without a value is an empty one, as in Compose."""
    return "" if value is None else text(value)


def environment_name(value: object) -> str:
    written = text(value)
    if not re.fullmatch(r"[!-<>-~]{1,256}", written):
        raise Refusal("SS-C14", f"{show(written)} cannot be a variable's name. Use letters, digits and '_', as in LOG_LEVEL.")
    return written


def environment_value(value: object) -> str:
    if value is None:
        raise Refusal("SS-C14", 'no value is written, and there is no shell to take it from. Write a value, or "" for an empty one.')
    return text(value)


def capability(value: object) -> str:
    """A Linux capability, in upper case and without CAP_."""
    written = text(value)
    name = written.upper().removeprefix("CAP_")
    if name not in CAPABILITIES:
        raise Refusal("SS-C04", f"{show(written)} is not a Linux capability. Write one such as NET_BIND_SERVICE.")
    return name


def added_capability(value: object, rules: Rules) -> str:
    name = capability(value)
    if name not in {one.upper().removeprefix("CAP_") for one in rules.policy.capabilities}:
        instead = f"Do without it, or {ask('capabilities', rules.site)}."
        raise Refusal("SS-C04", f"{name} is not among the capabilities that sites may have. {instead}")
    return name


def ulimit_name(value: object) -> str:
    written = text(value)
    if written not in ULIMITS:
        raise Refusal("SS-C23", f"{show(written)} is not a ulimit. Write one of: {', '.join(sorted(ULIMITS))}.")
    return written


def extra_host(value: object) -> str:
    """NAME:ADDRESS, also written NAME=ADDRESS; the address may be host-gateway."""
    written = text(value)
    name, _, address = written.partition("=") if "=" in written else written.partition(":")
    if not re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?", name, re.ASCII):
        raise Refusal("SS-C24", f"{show(written)} is not NAME:ADDRESS. Write one such as db:10.0.0.5.")
    if address != "host-gateway":
        try:
            ipaddress.ip_address(address.removeprefix("[").removesuffix("]"))
        except ValueError:
            raise Refusal("SS-C24", f"{show(address)} is not an address. Write NAME:ADDRESS, as in db:10.0.0.5.") from None
    return f"{name}:{address.removeprefix('[').removesuffix(']')}"


def host_lines(value: Any) -> Any:
    """Reads a map NAME: ADDRESS as the list of NAME:ADDRESS that it stands for."""
    return [f"{name}:{scalar(address)}" for name, address in value.items()] if isinstance(value, dict) else value


def check_test(value: Any) -> Any:
    """A healthcheck's test: CMD, CMD-SHELL or NONE and what belongs to it; a text is for the shell."""
    if isinstance(value, str):
        if not value.strip():
            raise Refusal("SS-C20", "the test is empty. Write a command, or [NONE] to switch the image's check off.")
        return ["CMD-SHELL", text(value)]
    if not isinstance(value, list):
        scalar(value)
    first = value[0] if value else None
    if first not in ("CMD", "CMD-SHELL", "NONE"):
        raise Refusal(
            "SS-C20", "the list must begin with CMD, CMD-SHELL or NONE. Write [CMD, PROGRAM, ARGUMENT…], or the command as one text."
        )
    if (len(value) == 1) != (first == "NONE") or (first == "CMD-SHELL" and len(value) != 2):
        wanted = {"CMD": "[CMD, PROGRAM, ARGUMENT…]", "CMD-SHELL": '[CMD-SHELL, "the command"]', "NONE": "[NONE]"}[first]
        raise Refusal("SS-C20", f"{first} has the wrong number of words after it. Write {wanted}.")
    return value


def words(value: Any) -> Any:
    """A command: a list as it is, or one text split as a shell would split it."""
    if not isinstance(value, str):
        return value
    try:
        return shlex.split(text(value))
    except ValueError as error:
        raise Refusal("SS-C24", f'cannot split this into words: {error}. Close the quote, or write a list: ["a", "b c"].') from None


def pairs(separator: str) -> Any:
    """Reads a list of `KEY<separator>VALUE` as the map that it stands for; a map is given back as it is."""

    def read(value: Any) -> Any:
        if not isinstance(value, list):
            return value
        found: dict[str, str | None] = {}
        for index, item in enumerate(value):
            name, sign, rest = scalar(item).partition(separator)
            if name in found:
                raise Refusal("SS-Y02", f"{show(name)} is written twice in this list. Keep one of them.", (index,))
            found[Plain(name) if isinstance(item, Plain) and not sign else name] = rest if sign else None
        return found

    return read
