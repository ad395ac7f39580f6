"""The one frame around every step: log, metrics and errors are alike everywhere.

A step is a function of the workflow's state; the frame turns it into a Lambda handler.
"""

from __future__ import annotations

import functools
import traceback
from typing import TYPE_CHECKING, Any, TypedDict, cast

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

from steps.errors import OrderMailError, UnexpectedError

if TYPE_CHECKING:
    from collections.abc import Callable

    from aws_lambda_powertools.utilities.typing import LambdaContext

    from steps.model import State

logger = Logger(service="order-mail", utc=True, location=None)
metrics = Metrics(namespace="EmailNotification")


class StepEvent(TypedDict):
    """What the order workflow hands to every step. `outcome` goes to the record step alone."""

    execution: str
    state: State
    outcome: str


def count(metric: str, value: int = 1) -> None:
    """Count a business outcome: a metric without dimensions, unit Count."""
    metrics.add_metric(metric, MetricUnit.Count, value)


def step(
    run: Callable[[StepEvent, LambdaContext], Any],
) -> Callable[[StepEvent, LambdaContext], Any]:
    """Turn a step into a handler: every line it logs carries order and execution, nothing personal."""
    run_framed = framed(run)

    @functools.wraps(run)
    def handler(event: StepEvent, context: LambdaContext) -> object:
        state = event["state"]
        logger.append_keys(
            order_id=state.get("orderId"),
            execution_id=event["execution"],
            attempt=state.get("attempt"),
        )
        return run_framed(event, context)

    return handler


def framed(run: Callable[..., Any]) -> Callable[..., Any]:
    """Flush metrics, and let only errors of our own tree out.

    An unexpected exception's message may quote what it stumbled over, a name or an address; its class
    and the place where it happened do not.
    """

    @functools.wraps(run)
    def handler(event: Any, context: LambdaContext) -> object:
        try:
            return run(event, context)
        except OrderMailError as error:
            logger.warning("step failed", error=type(error).__name__, reason=str(error))
            raise
        except Exception as error:
            frames = [f"{f.name}:{f.lineno}" for f in traceback.extract_tb(error.__traceback__)]
            name = type(error).__name__
            logger.error("unexpected error", error=name, frames=frames)  # noqa: TRY400
            raise UnexpectedError(f"{name} in {frames[-1]}") from None
        finally:
            if metrics.metric_set:
                metrics.flush_metrics()
            logger.remove_keys(["order_id", "execution_id", "attempt"])

    return cast("Callable[..., Any]", handler)
