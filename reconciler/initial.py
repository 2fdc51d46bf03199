"""`init`: a desired-state folder that works at once, for a newcomer."""

from pathlib import Path

from reconciler.errors import ShipstoneError

FLEET = """# What holds for every site.
domain: {domain}          # a site answers to <site>.{domain} unless it says otherwise (hosts:)
"""
SITE = """# yaml-language-server: $schema=../site.schema.json
# This file's name is the site's name: it answers to hello.{domain}
image: nginx:1.27-alpine
port: 80                                # where the container listens
files:
  /usr/share/nginx/html: hello          # a folder of this repository, mounted read-only; a changed file is a new release
"""
PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>hello</title>
<h1>It works</h1>
<p>Change this page, commit, push: Shipstone rolls it out, and no request is lost.</p>
</html>
"""


def initial_files(domain: str, schema: str) -> dict[str, str]:
    """Path → text."""
    return {
        "shipstone.yaml": FLEET.format(domain=domain),
        "sites/hello.yaml": SITE.format(domain=domain),
        "hello/index.html": PAGE,
        "site.schema.json": schema,
    }


def write_initial(folder: Path, files: dict[str, str]) -> None:
    """Refuses to overwrite anything. Raises ShipstoneError."""
    there = [name for name in files if (folder / name).exists()]
    if there:
        raise ShipstoneError(f"cannot make a desired state in {folder}: {there[0]} is there already. Choose an empty folder.")
    try:
        for name, text in files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ShipstoneError(f"cannot write below {folder}: {error.strerror}. Choose a folder that you may write to.") from None
