"""Competitors, a process each: `python -m bench.peers NAME serve|drive`; see README.md here."""
