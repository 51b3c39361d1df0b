"""Kernels beside what the machine can do."""
