"""The books: accounts, mapping rules, price lists, ledger and keys in SQL (SQLite or PostgreSQL)."""
