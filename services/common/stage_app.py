"""The application factory of a stage."""

from collections.abc import Sequence

from fastapi import FastAPI, Request, Response
from starlette.middleware import Middleware

from services.common.app import new_app
from services.common.cross_origin import CrossOriginMiddleware
from services.common.error_handlers import log_server_error, problem_response
from services.common.inference_routes import router
from services.common.problems import Problem
from services.common.runners import Runner
from services.common.settings import StageSettings
from services.common.shared_memory_routes import router as shared_memory_router
from services.common.stage import Stage, StageModel


def stage_app(
    title: str, models: Sequence[StageModel], settings: StageSettings, runner: Runner, engine: str | None = None
) -> FastAPI:
    """The application of one stage. It has no OpenAPI document: the protocol documents its routes.

    Parameters
    ----------
    engine : name and version of the engine that runs the models, for `/livez`
    """
    stage = Stage(models, settings, runner)
    browser_checks = [Middleware(CrossOriginMiddleware)]
    app = new_app(title=title, ready=stage.ready, drain_s=settings.drain_s, openapi_url=None, middleware=browser_checks)
    app.state.stage = stage
    app.state.livez |= {"engine": engine} if engine else {}
    app.include_router(router)
    if stage.regions.enabled:
        app.include_router(shared_memory_router)
    app.exception_handler(Problem)(_answer_problem)
    return app


async def _answer_problem(request: Request, error: Problem) -> Response:
    """A problem with the protocol's member `error`."""
    log_server_error(request, error)
    return problem_response(error, error=error.detail)
