"""The command line."""


def main() -> None:
    raise SystemExit("cannot run: the command line is not built yet")
