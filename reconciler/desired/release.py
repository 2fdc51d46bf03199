"""A release: the routed part of a site at one content, and the names that carry it."""

import hashlib
from collections.abc import Mapping

from reconciler.desired.spec import ContainerSpec, Route, canonical

LENGTH = 10
"""Hexadecimal digits of a fingerprint: 40 bits, among the handful of releases that one site ever has at a time."""


def fingerprint(services: Mapping[str, ContainerSpec], route: Route) -> str:
    """The same for the same text-level content: replica counts, rollout times, labels of ours and digests play no part."""
    text = canonical({"services": dict(services), "route": route})
    return hashlib.sha256(text.encode()).hexdigest()[:LENGTH]


def counted(content: str, counter: int) -> str:
    """The release of this content that a restart made: each is one more. The first one is the content's fingerprint alone."""
    return f"{content}r{counter}" if counter else content


def content_of(release: str) -> tuple[str, int]:
    """The fingerprint in a release, and its counter."""
    content, _, counter = release.partition("r")
    return content, int(counter) if counter.isascii() and counter.isdigit() else 0


def release_name(instance: str, site: str, release: str) -> str:
    """The Traefik service of a whole release."""
    return f"{instance}-{site}-{release}"


def replica_name(instance: str, site: str, release: str, service: str, replica: int) -> str:
    """The Traefik service of one replica by itself."""
    return f"{release_name(instance, site, release)}-{service}-{replica}"


def container_name(instance: str, site: str, service: str, release: str, replica: int) -> str:
    return f"{instance}-{site}-{service}-{release}-{replica}"
