"""Decisions about running trials: stop early, pause, continue."""
