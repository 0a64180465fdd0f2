"""Tests of what starts the test servers."""
