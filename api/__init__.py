"""REST API and the live page."""
