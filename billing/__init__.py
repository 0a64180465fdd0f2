"""Billing: pure rules and services over the books: ledger, wallets, settlement."""
