"""Contracts: what travels between parts, and nothing that does I/O."""
