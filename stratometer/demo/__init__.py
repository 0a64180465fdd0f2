"""The demo: a provider's simulated month, metered, rated, debited and checked, then a live stream to look at."""
