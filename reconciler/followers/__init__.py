"""Whoever is told of what happens. follower.py says what they hear; each other file is one of them, or what it says."""
