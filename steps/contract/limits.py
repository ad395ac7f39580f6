"""Every bound of the order path, in seconds, counts and bytes, derived from each other here and nowhere else.

From the inside out: one AWS call < one step < the machine < the dispatcher < the queue's visibility
time-out < the queue's retention. SES's events have a queue, too: one event < one batch < its visibility
time-out < the grace period. `tests/unit/contract/test_limits.py` runs each function into its worst case and
holds its time-out to what that takes.
"""

import math

DAY = 24 * 60 * 60

# --- one AWS call ---------------------------------------------------------------------------------

SDK_BACKOFF = 1
"""The SDK's longest wait before a second try (botocore's standard mode: one second after a throttle)."""

LEDGER_CONNECT_TIMEOUT = 1
LEDGER_READ_TIMEOUT = 1
LEDGER_ATTEMPTS = 2
LEDGER_CALL = LEDGER_ATTEMPTS * (LEDGER_CONNECT_TIMEOUT + LEDGER_READ_TIMEOUT) + SDK_BACKOFF

SES_CONNECT_TIMEOUT = 2
SES_READ_TIMEOUT = 6
SES_CALL = SES_CONNECT_TIMEOUT + SES_READ_TIMEOUT
"""SES is called once per step (it has no idempotency token), so this is all the time one mail gets."""

S3_CONNECT_TIMEOUT = 1
S3_READ_TIMEOUT = 3
S3_ATTEMPTS = 3
"""As many as the time for a mail's attachments may have: once its patience is over, a hiccup of S3's would make
links of them."""

QUEUE_CONNECT_TIMEOUT = 1
QUEUE_READ_TIMEOUT = 3
QUEUE_ATTEMPTS = 2
QUEUE_CALL = QUEUE_ATTEMPTS * (QUEUE_CONNECT_TIMEOUT + QUEUE_READ_TIMEOUT) + SDK_BACKOFF

# --- one step -------------------------------------------------------------------------------------

OWN_TIME = 4
"""What a function takes besides its calls: most of it is the first invocation's, which makes its clients
at the seventh of a core that 256 MB get."""

PURE_STEP_TIMEOUT = 12
"""Validate and render call nobody; the largest message takes about a second of a whole core."""

CLAIM_WRITES = 3
"""The put that claims, and two more for a record that changes at the same time."""
DEDUP_TIMEOUT = CLAIM_WRITES * LEDGER_CALL + OWN_TIME

SENDING_WRITES = 2
"""SENDING, and once more where the record knows of an earlier call."""
ATTACHMENTS_BUDGET = 6
"""How long a mail's attachments may take together, whatever S3 does: five of seven megabytes take less than one
second."""
SEND_TIMEOUT = ATTACHMENTS_BUDGET + SENDING_WRITES * LEDGER_CALL + SES_CALL + LEDGER_CALL + OWN_TIME
"""The attachments, SENDING, the mail, and back to CLAIMED where SES refused it."""

RECORD_WRITES = 2
"""What became of the mail, and once more on top of what the record says by then."""
RECORD_TIMEOUT = RECORD_WRITES * LEDGER_CALL + OWN_TIME

FOLD_ATTEMPTS = 3
"""How often an event is folded when its record changed between reading and writing; then it comes again."""
FEEDBACK_BATCH = 10
FEEDBACK_BUDGET = 5
"""How long events of a batch are begun: ten take a third of a second where the table is well."""
LAST_EVENT = FOLD_ATTEMPTS * 2 * LEDGER_CALL
"""The last event that is begun may be folded to no end."""
FEEDBACK_TIMEOUT = FEEDBACK_BUDGET + LAST_EVENT + QUEUE_CALL + OWN_TIME
"""Then it becomes a dead letter, or what stays gets its notice. Both at their slowest would let an event come
again after the grace period."""
FEEDBACK_WINDOW = 2
"""Seconds that Lambda gathers events for: of a mail the first two may share an invocation, of many mails ten
do. Where little comes it may be 20 (AWS Lambda Developer Guide, "Using Lambda with Amazon SQS")."""

TASK_MARGIN = 3
"""A task waits longer than its function runs, so that the function's own report comes first."""

STEP_RETRIES = 2
STEP_RETRY_INTERVAL = 1
STEP_RETRY_BACKOFF = 2.0

SEND_RETRIES = 3
SEND_RETRY_INTERVAL = 1
SEND_RETRY_BACKOFF = 2.0
"""A throttled send is tried again inside the execution before the mail goes back to the queue."""

# --- the machine and the claim --------------------------------------------------------------------

MACHINE_TIMEOUT = (
    2 * (PURE_STEP_TIMEOUT + TASK_MARGIN)
    + (DEDUP_TIMEOUT + TASK_MARGIN)
    + (SEND_TIMEOUT + TASK_MARGIN)
    + 2 * (RECORD_TIMEOUT + TASK_MARGIN)
)
"""Each step once, at its slowest, and what a failure adds. No path is longer, no healthy execution comes
near it, and Express stops at five minutes."""

CLAIM_LEASE = MACHINE_TIMEOUT + 15
"""A claim outlives the execution that made it, whatever its end."""

IN_DOUBT_GRACE = 5 * 60
"""How long a mail handed to SES without a recorded answer waits for SES's own event: the default of a
setting. SES publishes `Send` within seconds; more patience costs delay, less costs second mails."""
IN_DOUBT_GRACE_MIN = CLAIM_LEASE + 1
"""An execution that has SES's answer and is still trying to record it must not be taken for dead."""
IN_DOUBT_GRACE_LOCAL_MIN = SEND_TIMEOUT + TASK_MARGIN
"""The laptop's SES reports at once, and nobody wants to wait there; a send step must still be over."""
IN_DOUBT_GRACE_MAX = 12 * 60 * 60

# --- the dispatcher -------------------------------------------------------------------------------

DISPATCHER_BATCH = 10
PACING_BUDGET = 60
"""How long a mail may wait in a dispatcher for its sending slot, the slot's reservation included: five
batches at one mail a second."""
PACING_BURST = 0.5
"""A line that ran dry no longer ago than this goes on where it ended: SES's bucket holds about a second's
mails."""
PACING_IDLE = 5 * 60
"""After so long without a mail the functions may be cold again (Lambda does not say when)."""
PACING_COLD_START = 4
"""The first mail after that goes alone: the next would wait for the same cold starts, catch up with it, and
all would be at SES at once. A batch's slots at most stay empty behind it, since the faster the account the
larger is SES's bucket."""
PACING_REST = 2
"""A dispatcher that has started nothing for as long as all of them take for so many mails each starts the next
one unwritten: half the rate goes so at most."""
CLOCK_TOLERANCE = 3
"""By how much a dispatcher's clock may differ from the table's, which tells whole seconds, before the
table's counts."""

ACCOUNT_CACHE = 60
"""How long dispatchers believe what GetAccount said."""
ACCOUNT_RETRY = ACCOUNT_CACHE // 10
"""Likewise while the account does not send, or SES does not answer: each mail that is put off for an old
answer waits twice as long as the time before."""
ACCOUNT_AT_REST = 60 * 60
"""How long a dispatcher believes it for single mails. Where SES refuses one of these, it is asked at once."""
ACCOUNT_TURN = 1
"""Likewise while no dispatcher knows anything: SES answers once a second (SES Developer Guide, quotas)."""
ACCOUNT_POLL = (0.1, 0.4)
"""A dispatcher that knows nothing looks again after a time between these, while another asks SES."""
ACCOUNT_WAIT = 5
"""How long it looks before it puts its mails off."""

WORKFLOW_CONNECT_TIMEOUT = 2
WORKFLOW_READ_TIMEOUT = MACHINE_TIMEOUT + 5
WORKFLOW_CALL = WORKFLOW_CONNECT_TIMEOUT + WORKFLOW_READ_TIMEOUT

DISPATCHER_TIMEOUT = (
    ACCOUNT_WAIT
    + (LEDGER_CALL + SES_CALL + LEDGER_CALL)  # the turn to ask, GetAccount, and its answer kept
    + PACING_BUDGET
    + 2 * LEDGER_CALL  # the attempts so far, and one more
    + WORKFLOW_CALL
    + QUEUE_CALL
    + OWN_TIME
)
"""A batch runs in parallel: one of everything, at its slowest."""

# --- the queue and the record ---------------------------------------------------------------------

DISPATCHER_WINDOW_MAX = 5
"""The most of a setting: seconds that Lambda gathers orders for."""
QUEUE_VISIBILITY = 6 * DISPATCHER_TIMEOUT + DISPATCHER_WINDOW_MAX
"""AWS's advice for an SQS event source that gathers. Only a dispatcher that died leaves a message hidden so
long."""

RETRY_DELAY_MIN = 5
RETRY_DELAY_MAX = 30 * 60
"""A mail that waits for SES or for another execution comes back after 5 s, 10 s, 20 s, ... 30 min."""

ATTACHMENT_PATIENCE = 15 * 60
"""How long a mail waits for its attachments, from when its event was published. Then it goes without."""
ATTACHMENT_RETRY_MAX = 2 * 60
"""The longest delay meanwhile, so that the patience is kept."""
ATTACHMENT_RETRIES_FOR = ATTACHMENT_PATIENCE + 60 * 60
"""So long it is the longest for whatever else such a mail waits: it may have been received a dozen times for
its attachments, and one throttle more would be half an hour."""

QUEUE_RETENTION = 14 * DAY
QUEUE_MAX_RECEIVES = 200
"""About four days at `RETRY_DELAY_MAX`, with attachments half a day less: an outage of a weekend passes. Then
the order workflow gives up, and the dead letter that the dispatcher sends starts anew with two weeks."""
QUEUE_REDRIVE_RECEIVES = 300
"""When SQS itself moves a message, without a reason. Only a dispatcher that dies again and again lets it come
to that: within five days, since a dead letter that SQS moves keeps its age."""

SES_EVENTS_VISIBILITY = 6 * FEEDBACK_TIMEOUT + FEEDBACK_WINDOW
"""AWS's advice for an SQS event source that gathers. An event that could not be folded comes again after it:
within the grace period, so that SES's word about a mail in doubt is in time all the same."""
SES_EVENTS_OUTAGE = 12 * 60 * 60
"""How long the table, or the function, may be away before SQS itself moves what waits for it."""
SES_EVENTS_REDRIVE_RECEIVES = 1 + math.ceil(SES_EVENTS_OUTAGE / SES_EVENTS_VISIBILITY)
SES_EVENT_RECEIVES = 3
"""How often an event is tried that fails by its own fault: a record that somebody deleted may be back by then,
or a bad deployment mended."""

UNEXPECTED_MAX_ATTEMPTS = 5
"""A bug does not heal by waiting: after so many executions that failed by one the message goes to the dead
letters. Executions that were put off, or failed by what passes, do not count."""

RECORD_TTL = 90 * DAY

REJECTED_EVENT_TTL = 14 * DAY
"""An invalid event is kept as it came, a customer's order: as long as a dead letter, for whoever mends it."""

# --- the order event and what becomes of it -------------------------------------------------------

STATE_MAX_BYTES = 256 * 1024
"""Step Functions' limit for an execution's input and for what a task is given."""
TASK_ENVELOPE_BYTES = 512
"""What a task is given around the state: the execution's ARN above all."""
MESSAGE_MAX_BYTES = STATE_MAX_BYTES - TASK_ENVELOPE_BYTES
"""The largest input that still reaches Validate, counted after JSON escaping."""
LATER_STEPS_BYTES = 16 * 1024
"""What the steps after Validate and Render add to the state: claim, receipt, an error with its cause."""
ANSWER_MAX_BYTES = MESSAGE_MAX_BYTES - LATER_STEPS_BYTES
"""The largest state that Validate and Render leave, as JSON in UTF-8. An event may grow in Validate: each
Chinese character of a link becomes nine."""

ITEMS_MAX = 1_000
"""Items of an order, a parcel or a refund. Each wrong one costs a kilobyte of memory and more."""
SUMS_MAX = 20
"""Taxes, discounts, fees, gift cards: so many of each."""
OPTIONS_MAX = 10
"""Of an item: its size, its colour."""
TEXT_MAX_LENGTH = 2_000
"""Characters of a name, a title, a line of an address. A mail shows 200 of them."""
ID_MAX_LENGTH = 128
RESEND_TEXT_MAX_LENGTH = 200
"""Characters of a resend's reason and of its operator's name, which stay on the record."""
ADDRESS_MAX_LENGTH = 254
"""RFC 5321, 4.5.3.1.3, without the angle brackets."""
LINK_MAX_LENGTH = 2_048
"""Characters of a link that every browser and mail client takes, counted as it travels: in ASCII."""
LANGUAGE_TAG_MAX_LENGTH = 35
"""RFC 5646, 4.4.1."""
MOMENT_MAX_LENGTH = 40
FIRST_YEAR, LAST_YEAR = 2000, 2099
"""A date outside of these comes from a clock or a field that was never set: 0001, 1970, 9999."""
NESTING_MAX = 64
"""JSON's levels, those of unknown fields included. Python's own limit depends on who calls the parser."""
CLOCK_SKEW = 15 * 60
"""How far in the future an event may be: the shop's clock is not ours."""
ZONES_AHEAD = 14 * 60 * 60
"""How much more where it names no zone: it counts as UTC, and local time is ahead by that at most."""

ATTACHMENTS_LISTED_MAX = 20
"""As many files as an event may name; more than the next are links, all of them."""
ATTACHMENTS_MAX = 5
ATTACHMENTS_MAX_BYTES = 7_000_000
"""Of all attachments of a mail, as they are in S3. In Base64, a third larger, with the mail's parts they stay
below the 10 MB from which on SES takes its time (SES Developer Guide, "Service quotas in Amazon SES") and some
receivers take none. 256 MB send them with half of it left, and the send step has more."""
FILE_NAME_MAX_LENGTH = 255
"""SES API v2 Reference, Attachment."""
S3_KEY_MAX_BYTES = 1024
S3_URI_MAX_LENGTH = len("s3://") + 63 + 1 + S3_KEY_MAX_BYTES
"""A bucket's name has at most 63 characters, a key 1,024 bytes in UTF-8 (Amazon S3 User Guide)."""

REASONS_MAX, REASON_MAX_LENGTH = 100, 300
"""How many reasons of a rejection are kept, and how many characters of each path and each sentence."""
REASONS_NAMED, REASON_NAMED_LENGTH = 3, 100
"""Likewise in the log line of a rejection, whose bytes are paid for."""
KEPT_EVENT_BYTES = 64 * 1024
"""How much of a rejected message is kept, as JSON: an item of the table holds 400 KB, a state 256 KiB."""
MAIL_PART_MAX_BYTES = 100_000
"""Of each part of a mail. Gmail clips a mail at 102,400."""


def retry_delay(receives: int) -> int:
    """Seconds until a message that was received `receives` times (1 or more) is tried again."""
    return int(min(RETRY_DELAY_MAX, RETRY_DELAY_MIN * 2 ** min(receives - 1, 16)))


# --- what waits for AWS ---------------------------------------------------------------------------

LATE_NOTICE_AFTER = 15 * 60
"""When an outcome, or an event of SES's, has waited for so long that an operator is to look."""
LATE_NOTICE_EVERY = 60 * 60

# --- outcomes for the shop ------------------------------------------------------------------------

OUTCOME_BATCH = 100
"""Changes of records that one invocation gets at most."""
OUTCOME_WINDOW = 1
"""Seconds that Lambda gathers changes for: ten outcomes are published at the price of one."""
OUTCOMES_PER_PUBLISH = 10
"""SNS's limit for a PublishBatch."""
TOPIC_CONNECT_TIMEOUT = 1
TOPIC_READ_TIMEOUT = 3
TOPIC_ATTEMPTS = 2
TOPIC_CALL = TOPIC_ATTEMPTS * (TOPIC_CONNECT_TIMEOUT + TOPIC_READ_TIMEOUT) + SDK_BACKOFF
OUTCOMES_TIMEOUT = OUTCOME_BATCH // OUTCOMES_PER_PUBLISH * TOPIC_CALL + 2 * QUEUE_CALL + OWN_TIME
"""All of a batch, at its slowest, a change in it that is set aside, and the notice that the rest waits."""
OUTCOME_MAX_AGE = 23 * 60 * 60
"""So long what SNS does not take is tried again. A stream keeps it for 24 hours, and the letter that tells of
it leaves an hour to look."""
OUTCOME_RETRIES = 10_000
"""Lambda's most: one every eight seconds for all of that time. Lambda does not say how long it waits."""

# --- the scheduled reports ------------------------------------------------------------------------

REPORT_CONNECT_TIMEOUT = 3
REPORT_READ_TIMEOUT = 20
REPORT_ATTEMPTS = 2
"""The scheduled reports are in no hurry; Cost Explorer takes seconds."""
REPORT_CALL = REPORT_ATTEMPTS * (REPORT_CONNECT_TIMEOUT + REPORT_READ_TIMEOUT) + SDK_BACKOFF

REPORT_CALLS = 7
REPORT_FUNCTION_TIMEOUT = REPORT_CALLS * REPORT_CALL + OWN_TIME
"""The cost function asks all its sources one after the other, for a page each, and keeps two answers."""

REPORT_TASK_TIMEOUT = REPORT_FUNCTION_TIMEOUT + TASK_MARGIN
REPORT_RETRIES = 2
REPORT_RETRY_INTERVAL = 5
REPORT_RETRY_BACKOFF = 3.0

ALERT_TIMEOUT = 30
"""One publication to the alerts topic, by Step Functions itself."""

_RETRY_WAITS = sum(REPORT_RETRY_INTERVAL * REPORT_RETRY_BACKOFF**i for i in range(REPORT_RETRIES))
REPORT_MACHINE_TIMEOUT = round(
    3 * ((1 + REPORT_RETRIES) * REPORT_TASK_TIMEOUT + _RETRY_WAITS)
    + 2 * ((1 + REPORT_RETRIES) * ALERT_TIMEOUT + _RETRY_WAITS)
)
"""The check, the pause and the keeping, the alert, and the alert that one of them failed, each with all its
retries. It must end before the next run, an hour later."""

COST_REPORT_TTL = 400 * DAY
REPUTATION_REPORT_TTL = 90 * DAY
REJECTIONS_REPORT_TTL = 90 * DAY
PAUSE_REPORT_TTL = 400 * DAY
CANARY_REPORT_TTL = 30 * DAY
"""Well within `RECORD_TTL`: a canary that is looked for has not expired."""

# --- the nightly reconciliation -------------------------------------------------------------------

UNSETTLED_AFTER = 60 * 60
"""A mail that waits is claimed anew every `RETRY_DELAY_MAX` at the latest; twice that is too long."""
SILENT_AFTER = 20 * 60 * 60
"""SES tries for 14 hours, and Lambda keeps an event for email-feedback for 6: what comes later is in the
internal dead letters."""

SCAN_SEGMENTS = 8
"""At ten pages of 1 MB a second each, they leave the four partitions of a young index a seventh of their 3,000
read units a second ("Best practices for designing partition keys", Amazon DynamoDB Developer Guide)."""
SCAN_BUDGET = 4 * 60
"""How long one call goes on, at ten pages a second for ten million records; the workflow calls again from where
it ended."""
SCAN_DEADLINE = 6 * 60 * 60
"""After so long a segment that is not read to its end is reported as not read. The records of 90 days at ten
million mails a day take less than one."""
SCAN_OLDEST = 10
"""How many records are named. The others are counted."""

RECONCILIATION_TIMEOUT = SCAN_BUDGET + REPORT_CALL + OWN_TIME
"""The last page that is begun may take all the time of a call."""
RECONCILIATION_TASK_TIMEOUT = RECONCILIATION_TIMEOUT + TASK_MARGIN
_RECONCILIATION_TASK = (1 + REPORT_RETRIES) * RECONCILIATION_TASK_TIMEOUT + _RETRY_WAITS
RECONCILIATION_MACHINE_TIMEOUT = round(
    3 * _RECONCILIATION_TASK
    + (SCAN_DEADLINE + _RECONCILIATION_TASK)
    + 2 * ((1 + REPORT_RETRIES) * ALERT_TIMEOUT + _RETRY_WAITS)
)
"""The sources, the report and the keeping; the scan, whose last call may begin at the deadline; the alert, and
the alert that something failed. It must end before the next run, a day later."""

RECONCILIATION_REPORT_TTL = 90 * DAY

# --- the alert on rejections ----------------------------------------------------------------------

REJECTION_LINES = 1_000
"""How many log lines of rejections are read in one log group, the newest first: enough for a share."""
REJECTION_LOGS_BUDGET = 60
"""How long is looked for them: a page of FilterLogEvents may be empty and not the last."""
REJECTIONS_TIMEOUT = 5 * REPORT_CALL + REJECTION_LOGS_BUDGET + OWN_TIME
"""The metrics, what was alerted last, the last page of the logs that is begun, the alert, and its keeping."""

# --- the canary -----------------------------------------------------------------------------------

CANARY_TIMEOUT = 4 * REPORT_CALL + 2 * LEDGER_CALL + OWN_TIME
"""The last report, the record by either name, the order, the alert, and the report's keeping."""

# --- delayed mails that SES never reports on again ------------------------------------------------

OVERDUE_PAGE = 100
"""How many are read at once; what is read and not settled is read again by the next run."""
OVERDUE_BUDGET = 60
"""How long one run goes on: thousands of records, where there are so many. The next run, an hour later,
takes the rest."""
OVERDUE_TIMEOUT = OVERDUE_BUDGET + 2 * LEDGER_CALL + OWN_TIME
"""The last record that is begun may need a new page before its write."""
