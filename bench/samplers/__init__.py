"""Latency, throughput and memory of samplers, each side in its own process."""
