"""Benchmarks: every workload side by side with its competitors. Start with ``bench/run.py``."""
