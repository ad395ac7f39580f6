"""The one wrapper around every function: log, metrics and errors are alike everywhere."""

from __future__ import annotations

import functools
import gc
import traceback
from typing import TYPE_CHECKING, TypeVar

from aws_lambda_powertools import Logger, Metrics
from aws_lambda_powertools.metrics import MetricUnit

from steps.contract.errors import OrderMailError, UnexpectedError
from steps.contract.order_id import shown
from steps.contract.recipient import is_simulated, recipient
from steps.contract.state import encoded_size

if TYPE_CHECKING:
    from collections.abc import Callable

    from aws_lambda_powertools.utilities.typing import LambdaContext

    from steps.contract.metrics import Metric
    from steps.contract.state import StepEvent

Event = TypeVar("Event")
Answer = TypeVar("Answer")

logger = Logger(
    service="order-mail",
    utc=True,
    location=None,
    xray_trace_id=None,
    # The form that Lambda takes for a line's own time (AWS Lambda Developer Guide, "Log-level filtering").
    datefmt="%Y-%m-%dT%H:%M:%S.%FZ",
)
logger.remove_keys(["service"])
"""Each byte of each line is paid for: what is the same in all lines, or what nobody asks for, is in none."""
metrics = Metrics()
"""The namespace comes from `POWERTOOLS_METRICS_NAMESPACE`, which every function's environment has."""


def count(metric: Metric, value: int = 1) -> None:
    """Count a business outcome: a metric without dimensions, unit Count."""
    metrics.add_metric(metric, MetricUnit.Count, value)


def log_unexpected(error: Exception) -> str:
    """Log a bug by its class and place; return both in short.

    Its message and its trace stay out: they may quote a customer.
    """
    frames = [f"{f.name}:{f.lineno}" for f in traceback.extract_tb(error.__traceback__)]
    name = type(error).__name__
    logger.error("unexpected error", error=name, frames=frames)
    return f"{name} in {frames[-1]}"


def step_handler(
    run: Callable[[StepEvent, LambdaContext], Answer],
) -> Callable[[StepEvent, LambdaContext], Answer]:
    """Make a Lambda handler of a step.

    Every line it logs carries the execution, the order once Validate has read it, and the attempt where it is
    not the first; nothing personal.
    A mail to SES's mailbox simulator is counted nowhere, and its lines say that it is one.
    """

    @functools.wraps(run)
    def counted(event: StepEvent, context: LambdaContext) -> Answer:
        simulated = is_simulated(recipient(event["state"]))
        if simulated:
            logger.append_keys(simulated=True)
        try:
            return run(event, context)
        finally:
            if simulated:
                metrics.clear_metrics()

    wrapped = lambda_handler(counted)

    @functools.wraps(run)
    def handler(event: StepEvent, context: LambdaContext) -> Answer:
        state = event["state"]
        order_id, attempt = state.get("orderId"), state.get("attempt", 1)
        logger.append_keys(
            order_id=order_id and shown(order_id),
            execution_id=event["execution"],
            attempt=attempt if attempt > 1 else None,
        )
        return wrapped(event, context)

    return handler


def lambda_handler(
    run: Callable[[Event, LambdaContext], Answer],
) -> Callable[[Event, LambdaContext], Answer]:
    """Make a Lambda handler: flush metrics, let out only errors of our own tree and answers that can be sent.

    An unexpected exception's message may quote what it stumbled over, a name or an address; its class
    and the place where it happened do not.
    """

    @functools.wraps(run)
    def handler(event: Event, context: LambdaContext) -> Answer:
        try:
            answer = run(event, context)
            encoded_size(answer)
            return answer  # noqa: TRY300 - what cannot be encoded is a bug like any other
        except OrderMailError as error:
            logger.warning("step failed", error=type(error).__name__, reason=str(error))
            raise
        except Exception as error:
            raise UnexpectedError(log_unexpected(error)) from None
        finally:
            if metrics.metric_set:
                metrics.flush_metrics()
            logger.remove_keys(["order_id", "execution_id", "attempt", "simulated"])
            if not gc.isenabled():  # The first invocation: see `steps`.
                gc.freeze()
                gc.enable()

    return handler
