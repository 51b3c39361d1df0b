"""Regret of samplers on the development suite."""
