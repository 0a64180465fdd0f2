"""Rating: pure functions from usage and prices to rated lines. No I/O, no clock, no float."""
