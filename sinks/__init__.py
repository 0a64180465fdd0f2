"""Sinks: the two stores. `warehouse` keeps facts in ClickHouse, `books` keeps accounts and money in SQL."""
