"""Shipstone: a git repository of per-site YAML becomes running, routed containers on a Docker host. Read reconcile.py first."""
