"""Every bound of the order path, in seconds and counts, derived from each other here and nowhere else.

From the inside out: one AWS call < one step < the machine < the dispatcher < the queue's visibility
time-out < the queue's retention. `tests/unit/test_limits.py` holds them to it.
"""

from steps import errors

DAY = 24 * 60 * 60

SES_CONNECT_TIMEOUT = 2
SES_READ_TIMEOUT = 6
"""SES is called once per step (it has no idempotency token), so this is all the time one mail gets."""

STEP_FUNCTION_TIMEOUT = 12
"""A step's Lambda: two ledger writes of at most `LEDGER_CALL` around one SES call."""

LEDGER_CONNECT_TIMEOUT = 1
LEDGER_READ_TIMEOUT = 1
LEDGER_ATTEMPTS = 2

STEP_TASK_TIMEOUT = STEP_FUNCTION_TIMEOUT + 3
"""The task waits longer than the function runs, so that the function's own report comes first."""

STEP_RETRIES = 2
STEP_RETRY_INTERVAL = 1
STEP_RETRY_BACKOFF = 2.0

SEND_RETRIES = 3
SEND_RETRY_INTERVAL = 1
SEND_RETRY_BACKOFF = 2.0
"""A throttled send is tried again inside the execution before the mail goes back to the queue."""

MACHINE_TIMEOUT = 60
"""No healthy execution comes near it; Express stops at five minutes."""

CLAIM_LEASE = MACHINE_TIMEOUT + 15
"""A claim outlives the execution that made it, whatever its end."""

IN_DOUBT_GRACE = 5 * 60
"""How long a mail handed to SES without a recorded answer waits for SES's own event: the default of a
setting. SES publishes `Send` within seconds; more patience costs delay, less costs second mails."""
IN_DOUBT_GRACE_MIN = CLAIM_LEASE + 1
"""An execution that has SES's answer and is still trying to record it must not be taken for dead."""
IN_DOUBT_GRACE_MAX = 12 * 60 * 60

DISPATCHER_BATCH = 10
PACING_BUDGET = 60
"""How long a mail may wait in a dispatcher for its sending slot: five batches at one mail a second."""

DISPATCHER_TIMEOUT = PACING_BUDGET + MACHINE_TIMEOUT + 15
"""A batch runs in parallel: the longest wait, one execution's longest time, and the answers."""

ACCOUNT_CACHE = 60
"""How long a dispatcher believes what GetAccount said (SES answers it about once a second)."""
ACCOUNT_RETRY = ACCOUNT_CACHE // 10
"""Likewise while the account does not send, or SES does not answer: each mail that is put off for an old
answer waits twice as long as the time before."""

QUEUE_VISIBILITY = 6 * DISPATCHER_TIMEOUT
"""AWS's advice for an SQS event source. Only a dispatcher that died leaves a message hidden so long."""

RETRY_DELAY_MIN = 5
RETRY_DELAY_MAX = 30 * 60
"""A mail that waits for SES or for another execution comes back after 5 s, 10 s, 20 s, ... 30 min."""

QUEUE_RETENTION = 14 * DAY
QUEUE_MAX_RECEIVES = 200
"""About four days at `RETRY_DELAY_MAX`: an outage of a weekend passes, and ten days remain for an
operator, since a dead letter keeps the age it had on the queue."""

UNEXPECTED_MAX_ATTEMPTS = 5
"""A bug does not heal by waiting: after so many receives the message goes to the dead letters."""

RECORD_TTL = 90 * DAY

MESSAGE_MAX_BYTES = 256 * 1024
"""Step Functions' limit for an execution's input, counted after JSON escaping."""


LAMBDA_SERVICE_ERRORS = (
    "Lambda.TooManyRequestsException",
    "Lambda.ServiceException",
    "Lambda.AWSLambdaException",
    "Lambda.SdkClientException",
    "Lambda.ClientExecutionTimeoutException",
)
"""Lambda itself was at fault, not the function (Step Functions Developer Guide, Lambda best practices)."""

FUNCTION_DIED = (
    "States.Timeout",
    "Lambda.Unknown",
    "Sandbox.Timedout",
    "Runtime.ExitError",
    "Runtime.OutOfMemory",
)
"""A function that timed out, ran out of memory or was killed, under each name it is reported by."""

PASSING_ERRORS = frozenset(
    {e.__name__ for e in (*errors.DEFERRED, errors.LedgerUnavailable, errors.ClaimLost)}
    | {errors.WorkflowUnavailable.__name__, errors.SendOutcomeUnknown.__name__}
    | {*LAMBDA_SERVICE_ERRORS, *FUNCTION_DIED}
)
"""What passes by waiting."""


def retry_delay(receives: int) -> int:
    """Seconds until a message that was received `receives` times (1 or more) is tried again."""
    return int(min(RETRY_DELAY_MAX, RETRY_DELAY_MIN * 2 ** min(receives - 1, 16)))


def gives_up(error: str, receives: int) -> bool:
    """Whether a message whose execution failed with `error` goes to the dead letters now.

    Errors that pass by themselves wait as long as the queue lets them; a bug gets a few attempts.
    """
    limit = QUEUE_MAX_RECEIVES if error in PASSING_ERRORS else UNEXPECTED_MAX_ATTEMPTS
    return receives >= limit


WATCH_CALL_CONNECT_TIMEOUT = 3
WATCH_CALL_READ_TIMEOUT = 20
WATCH_CALL_ATTEMPTS = 2
"""The scheduled reports are in no hurry; Cost Explorer takes seconds."""

WATCH_FUNCTION_TIMEOUT = (
    4 * WATCH_CALL_ATTEMPTS * (WATCH_CALL_CONNECT_TIMEOUT + WATCH_CALL_READ_TIMEOUT)
)
"""Invoked alone, the cost step asks its four sources one after the other."""

WATCH_TASK_TIMEOUT = WATCH_FUNCTION_TIMEOUT + 3
WATCH_RETRIES = 2
WATCH_RETRY_INTERVAL = 5
WATCH_RETRY_BACKOFF = 3.0

WATCH_MACHINE_TIMEOUT = 30 * 60
"""Two tasks in a row with all their retries, and room for the rest; the next run is an hour away."""

COST_REPORT_TTL = 400 * DAY
REPUTATION_REPORT_TTL = 90 * DAY
