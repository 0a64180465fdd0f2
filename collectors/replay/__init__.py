"""Replays recorded VM traces as a collector, with totals of its own arithmetic to compare with."""

from collectors.replay.collector import TraceReplay

__all__ = ["TraceReplay"]
