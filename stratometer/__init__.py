"""The front door: command line, settings, composition, and what plugins import."""
