"""Workloads, one a file: each has a ``rows()`` that names its rows, contenders and goals."""
