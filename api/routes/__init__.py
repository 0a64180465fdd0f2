"""Routers, one file for each thing the API shows; each route declares its scope through `api.auth.access`."""
