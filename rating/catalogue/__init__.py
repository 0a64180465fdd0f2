"""The price list document: reading, checking, comparing, joining."""
