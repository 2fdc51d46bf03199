"""How a validator says no, and how it shows what a person wrote."""

import json


class Refusal(ValueError):  # noqa: N818 (the word of this house: what is refused is the person's input)  # noqa: N818  it is the name of the thing, as StopIteration is
    """One value is refused. `at` leads from the value that was checked to the part of it that is wrong."""

    def __init__(self, code: str, message: str, at: tuple[str | int, ...] = ()) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.at = at


def show(text: str, limit: int = 60) -> str:
    """`text` on one line, shortened, with everything that a terminal could act on escaped."""
    short = text if len(text) <= limit else text[: limit - 1] + "…"
    if short and short.isprintable() and not short.isspace() and short == short.strip():
        return short
    return json.dumps(short)
