"""Findings as text, JSON, Markdown and HTML."""
