"""The documentation of the HTTP routes at /docs: FastAPI's page, with Swagger UI from this machine and no other."""

from __future__ import annotations

from fastapi import FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse
from fastapi.staticfiles import StaticFiles

FILES = "/docs/files"


def add_docs(app: FastAPI) -> None:
    """Add /docs to an app that was made with `docs_url=None`."""
    assert app.openapi_url is not None
    page = get_swagger_ui_html(
        openapi_url=app.openapi_url,
        title=app.title,
        swagger_js_url=f"{FILES}/swagger-ui-bundle.js",
        swagger_css_url=f"{FILES}/swagger-ui.css",
        swagger_favicon_url="/favicon.ico",
    )

    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        return page

    app.mount(FILES, StaticFiles(packages=[("fastapi_offline", "static")]), name="docs")
