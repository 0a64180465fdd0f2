"""Integer keys: one rule for turning a name into the key that facts carry.

A key is xxh3-64 over the UTF-8 parts joined by NUL, so the same thing has the same key on every worker, in every
deployment and after every replay, without asking a database. With a million resources the chance of any collision
is below 3e-8 (birthday bound n²/2^65); the dimension tables keep the names, and ``stratometer doctor`` looks for two
names under one key.
"""

import xxhash


def key64(*parts: str) -> int:
    """Return the unsigned 64-bit key of the given name parts."""
    return xxhash.xxh3_64_intdigest("\0".join(parts).encode())


def key32(name: str) -> int:
    """Return the unsigned 32-bit key of a name from a small closed set (meters)."""
    return xxhash.xxh32_intdigest(name.encode())


def derived_id(kind: str, *parts: str) -> str:
    """Return an id derived from what it names, so that a retry makes the same one.

    The form is ``kind-`` and 32 hexadecimal digits (xxh3-128 over the parts joined by NUL).
    """
    joined = "\0".join((kind, *parts))
    return f"{kind}-{xxhash.xxh3_128_hexdigest(joined.encode())}"


def site_id(site: str) -> int:
    """Return the key of a site."""
    return key64("site", site)


def resource_id(site: str, resource: str) -> int:
    """Return the key of a resource: (site instance uuid, kind/native uuid)."""
    return key64("resource", site, resource)


def tenant_id(site: str, tenant: str) -> int:
    """Return the key of a platform's tenant; the empty tenant has a key of its own."""
    return key64("tenant", site, tenant)


def attributes_id(attributes_json: str) -> int:
    """Return the key of an attribute set in its canonical JSON form."""
    return key64("attributes", attributes_json)


def account_id(account: str) -> int:
    """Return the warehouse key of an account."""
    return key64("account", account)


def price_id(price_list: str, version: int, price: str) -> int:
    """Return the warehouse key of one price of one version of a price list."""
    return key64("price", price_list, str(version), price)
