"""The warehouse: samples, rating runs and rated lines in ClickHouse, on a server or embedded."""
