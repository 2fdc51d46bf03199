"""A real host for the demo, the tests and the bench: an engine, images without a registry, a Traefik, load. Nothing here is installed."""
