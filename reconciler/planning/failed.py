"""A release that failed: not tried again until its content changes or a person says so."""

from dataclasses import dataclass


@dataclass(frozen=True)
class FailedRelease:
    """`reason` is one line, then the last lines of its containers' logs; `at` is the time of day in seconds since 1970."""

    site: str
    release: str
    reason: str
    at: float
