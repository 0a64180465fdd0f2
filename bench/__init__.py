"""Throughput, end to end and part by part, beside baselines in the same run: `python -m bench`."""
