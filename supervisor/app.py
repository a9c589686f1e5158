"""The web application: guards, routes and the life of the services behind them."""

import itertools
import logging
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from types import ModuleType

from fastapi import APIRouter, Depends, FastAPI
from fastapi.routing import APIRoute
from fastapi.security import APIKeyHeader, HTTPBearer
from starlette.middleware.cors import CORSMiddleware

from supervisor import __version__
from supervisor.api.compat import rembg_routes, removebg_routes
from supervisor.api.compat.removebg_errors import removebg_error_response
from supervisor.api.dependencies import EventStream
from supervisor.api.error_handlers import METHODS, ErrorBody, ErrorFormats, install_error_handlers
from supervisor.api.middleware.security import SecurityMiddleware, TrustedHostMiddleware
from supervisor.api.routes import env, files, metrics, options, removals, status, tasks
from supervisor.container import Address, Container
from supervisor.environment.requirements import PackageLists
from supervisor.settings import Settings
from supervisor.web.page import page_routes
from supervisor.web.swagger import docs_routes

API = "/api/v1"
log = logging.getLogger("supervisor")
# For the reference alone: the guard has checked the token before any route is reached.
_WHEN = "the service's token, where one is set; the health needs none"
TOKEN = [
    Depends(HTTPBearer(auto_error=False, description=_WHEN)),
    Depends(APIKeyHeader(name="X-API-Key", auto_error=False, description=_WHEN)),
]


def create_app(
    settings: Settings, address: Address | None = None, lists: PackageLists | None = None
) -> FastAPI:
    """Return a FastAPI application of its own; nothing is shared between two of them.

    `address` is where the server listens, for `/status`; without it the settings' own is told. `lists`
    are the packages that the environment is to hold; without them, the project's own.
    """
    where = address or Address(settings.host, settings.port)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        services = Container(settings, where, lists)
        app.state.services = services
        await services.open()
        yield
        await services.close()

    app = FastAPI(
        title="bgremove",
        summary="Removes the background of photos, on this machine.",
        version=__version__,
        lifespan=lifespan,
        docs_url=None,  # FastAPI's own two pages load scripts from another host
        redoc_url=None,
        dependencies=TOKEN,
        responses={"4XX": {"model": ErrorBody}, "5XX": {"model": ErrorBody}},
        generate_unique_id_function=_operation,
    )
    dialects = {removebg_routes.PATH: removebg_error_response}
    install_error_handlers(app, dialects)
    routers = (status, options, removals, tasks, files, env, metrics)
    for resource in routers:
        app.include_router(resource.router, prefix=API)
    app.include_router(_heads(routers), prefix=API, include_in_schema=False)
    for router in (metrics.router, _heads([metrics])):  # where Prometheus looks by default
        app.include_router(router, include_in_schema=False)
    for drop_in in (rembg_routes, removebg_routes):
        app.include_router(drop_in.router)
    app.router.routes.extend([*page_routes(), *docs_routes()])
    _guard(app, settings, dialects)
    return app


def _operation(route: APIRoute) -> str:
    """Return what generated clients call a route, such as `remove_upload`; FastAPI would add its path."""
    return "_".join([*map(str, route.tags), route.name]).replace("-", "_")


def _heads(modules: Iterable[ModuleType]) -> APIRouter:
    """Return routes for HEAD beside those for GET, which FastAPI makes none of: health checks ask by it.

    A stream would answer no sooner than at its end, and so is left out.
    """
    heads = APIRouter()
    for route in itertools.chain.from_iterable(module.router.routes for module in modules):
        if route.methods == {"GET"} and route.response_class is not EventStream:
            heads.add_api_route(
                route.path, route.endpoint, methods=["HEAD"], response_class=route.response_class
            )
    return heads


def _guard(app: FastAPI, settings: Settings, dialects: ErrorFormats) -> None:
    """Put the guards around the routes; the last one added is the outermost."""
    app.add_middleware(
        SecurityMiddleware,
        allowed_origins=settings.allowed_origins,
        token=None if settings.token is None else settings.token.get_secret_value(),
        max_upload_bytes=settings.max_upload_bytes,
        base64_paths={removebg_routes.PATH},
        dialects=dialects,
    )
    if "null" in settings.allowed_origins and settings.token is None:
        log.warning("any website may use this service: the origin null is allowed without a token")
    # Around the guard, for an allowed page to read its refusals: a wrong token is no dead service.
    if settings.allowed_origins:
        app.add_middleware(
            CORSMiddleware,
            allow_origins=settings.allowed_origins,
            allow_methods=METHODS,
            allow_headers=[
                "Authorization",
                "X-API-Key",
                "Content-Type",
                "Cache-Control",
                "Last-Event-ID",
                "Range",
            ],
            expose_headers=["Content-Disposition", "Retry-After", *removebg_routes.RESULT_HEADERS],
        )
    app.add_middleware(TrustedHostMiddleware, allowed_hosts=settings.allowed_hosts, dialects=dialects)
