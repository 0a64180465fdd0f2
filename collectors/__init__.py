"""Collectors: they poll a platform, fold what they see to cells, and hand batches to a durable spool."""
