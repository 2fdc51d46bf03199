"""Errors that people read. Each message is one line: "cannot X: why. What to do next."."""


def printable(text: str) -> str:
    """Without what would command a terminal: a hand, a commit or a container may have written anything. Lines stay lines."""
    return "".join(sign if sign.isprintable() or sign == "\n" else " " for sign in text)


def in_one_line(text: str) -> str:
    return " ".join(printable(text).split())


class ShipstoneError(Exception):
    """Something that a person must mend; printed as one line, never as a traceback."""


class SettingsError(ShipstoneError):
    """The host's own settings are wrong."""


class SourceError(ShipstoneError):
    """The desired state cannot be fetched or read; what runs goes on running."""


class EngineError(ShipstoneError):
    """The Docker Engine refused a call or did not answer."""


class NotFoundError(EngineError):
    """What a call named is not on the engine."""


class TraefikError(ShipstoneError):
    """Traefik's API did not answer, or Traefik did not take what it was given."""


def said(error: Exception) -> str:
    """One line; an error that nobody thought of with its type."""
    return str(error) if isinstance(error, ShipstoneError) else f"{type(error).__name__}: {error}"
