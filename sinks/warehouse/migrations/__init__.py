"""Numbered templates of the warehouse's schema; `sinks.warehouse.migrate` renders and applies them."""
