"""The REST API and the live page: FastAPI, `/v1`. `api.app.create_app` puts it together; nobody imports this package.

`services` what the composition hands in · `keys`, `auth`, `scope` who may see what · `problems` every error ·
`parameters` instants, cursors, limits · `models`, `present`, `prices` what goes out · `live` one feed for all viewers ·
`routes/` one small file for each thing · `openapi` finishes the document · `static/` the live page.
"""
