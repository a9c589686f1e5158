"""The web application: middleware, routes, and the lifespan of the container behind them."""

import itertools
import logging
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from fastapi import APIRouter, Depends, FastAPI
from fastapi.routing import APIRoute
from fastapi.security import APIKeyHeader, HTTPBearer
from starlette.middleware.cors import CORSMiddleware

from shared.presets import load_presets
from supervisor import __version__
from supervisor.api.compat import rembg_routes, removebg_account, removebg_routes
from supervisor.api.compat.removebg_errors import render_removebg_error
from supervisor.api.compat.removebg_response import RESULT_HEADERS
from supervisor.api.error_handlers import METHODS, ErrorBody, ErrorFormats, install_error_handlers
from supervisor.api.middleware.auth import AuthMiddleware
from supervisor.api.middleware.body_limit import BodyLimitMiddleware
from supervisor.api.middleware.request_target import RequestTargetMiddleware
from supervisor.api.middleware.shutdown import ShutdownMiddleware
from supervisor.api.middleware.trusted_host import TrustedHostMiddleware
from supervisor.api.openapi import adjust_openapi
from supervisor.api.rate_limit import RateLimiter
from supervisor.api.routes import env, files, models, removals, status, task_list
from supervisor.api.sse import EventStream, StreamEnded, answer_no_content
from supervisor.container import Address, Container
from supervisor.environment.requirements import PackageLists
from supervisor.settings import Settings
from supervisor.web.page import make_page_routes
from supervisor.web.swagger import make_docs_routes

API = "/api/v1"
# The service's own routes, in the order of the OpenAPI page.
ROUTERS = (
    status.router,
    models.worker_router,
    models.models_router,
    removals.options_router,
    removals.router,
    models.router,
    task_list.router,
    files.router,
    env.router,
    status.metrics_router,
)
log = logging.getLogger("supervisor")
# For OpenAPI alone: the middleware has checked the token before any route is reached.
_WHEN = "the service's token, where one is set; the health needs none"
TOKEN = [
    Depends(HTTPBearer(auto_error=False, description=_WHEN)),
    Depends(APIKeyHeader(name="X-API-Key", auto_error=False, description=_WHEN)),
]


def create_app(
    settings: Settings, address: Address | None = None, lists: PackageLists | None = None
) -> FastAPI:
    """Return a new FastAPI application, which shares no state with another one.

    `address` is where the server listens, for `/status`; by default that of the settings. `lists` are the
    packages that the environment must have; by default the project's own. Raises InvalidPresets.
    """
    where = address or Address(settings.host, settings.port)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        container = Container(settings, where, lists)
        app.state.container = container
        await container.open()
        yield
        await container.close()

    app = FastAPI(
        title="bgremove",
        summary="Removes the background of photos, on this machine.",
        version=__version__,
        lifespan=lifespan,
        docs_url=None,  # FastAPI's own two pages load scripts from another host
        redoc_url=None,
        dependencies=TOKEN,
        responses={"4XX": {"model": ErrorBody}, "5XX": {"model": ErrorBody}},
        generate_unique_id_function=_make_operation_id,
    )
    app.state.rate_limiter = RateLimiter(settings.rate_limit_mp_per_min)
    app.state.presets = load_presets(settings.presets)
    formats = {removebg_routes.PREFIX: render_removebg_error}
    install_error_handlers(app, formats)
    app.add_exception_handler(StreamEnded, answer_no_content)
    _add_routes(app)
    _add_middleware(app, settings, formats)
    adjust_openapi(app, has_token=settings.token is not None)
    return app


def _add_routes(app: FastAPI) -> None:
    """Add the service's own routes, the compatible ones, the page and the API reference."""
    for router in ROUTERS:
        app.include_router(router, prefix=API)
    app.include_router(_make_head_routes(ROUTERS), prefix=API, include_in_schema=False)
    # At /metrics too, the path that Prometheus scrapes by default.
    for router in (status.metrics_router, _make_head_routes([status.metrics_router])):
        app.include_router(router, include_in_schema=False)
    for compatible in (rembg_routes, removebg_routes, removebg_account):
        app.include_router(compatible.router)
    app.router.routes.extend([*make_page_routes(), *make_docs_routes()])


def _make_operation_id(route: APIRoute) -> str:
    """Return a route's operation id, such as `remove_upload`; FastAPI's own would include the path."""
    return "_".join([*map(str, route.tags), route.name]).replace("-", "_")


def _make_head_routes(routers: Iterable[APIRouter]) -> APIRouter:
    """Return a HEAD route for each GET route: FastAPI adds none, and health checks use HEAD.

    Streams have none: the response to HEAD would wait for their end.
    """
    heads = APIRouter()
    for route in itertools.chain.from_iterable(router.routes for router in routers):
        if not isinstance(route, APIRoute):
            continue
        if route.methods == {"GET"} and route.response_class is not EventStream:
            heads.add_api_route(
                route.path,
                route.endpoint,
                methods=["HEAD"],
                response_class=route.response_class,
                response_model=None,  # there is no body to validate
            )
    return heads


def _add_middleware(app: FastAPI, settings: Settings, formats: ErrorFormats) -> None:
    """Add the middleware; the last one added is the outermost."""
    app.add_middleware(
        BodyLimitMiddleware,
        max_upload_bytes=settings.max_upload_bytes,
        base64_paths={removebg_routes.PATH, removebg_account.IMPROVE_PATH},
        formats=formats,
    )
    app.add_middleware(
        AuthMiddleware,
        allowed_origins=settings.allowed_origins,
        token=None if settings.token is None else settings.token.get_secret_value(),
        formats=formats,
    )
    if "null" in settings.allowed_origins and settings.token is None:
        log.warning("origin null allowed without a token: any website can call this API")
    # Outside of the authentication, so that an allowed page can read a refusal.
    if settings.allowed_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.allowed_origins,
            allow_methods=METHODS,
            allow_headers=[
                "Authorization",
                "X-API-Key",
                "X-Client-Id",
                "Idempotency-Key",
                "Content-Type",
                "Cache-Control",
                "Last-Event-ID",
                "Range",
            ],
            expose_headers=["Content-Disposition", "Retry-After", *RESULT_HEADERS],
        )
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=settings.allowed_hosts, formats=formats)
    app.add_middleware(ShutdownMiddleware, formats=formats)
    app.add_middleware(RequestTargetMiddleware)
