"""Trials per second, end to end."""
