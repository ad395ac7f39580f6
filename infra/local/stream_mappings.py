"""Lambda's event source mappings of DynamoDB streams, as AWS runs them: used by `emulator.py` alone.

MiniStack takes a batch whose function answers for done whatever the answer says, tries a failing batch as it
is for ever, and works on one mapping at a time. Here a mapping has a batch at work beside all others, and it
heeds `MaximumBatchingWindowInSeconds`, `ReportBatchItemFailures`, `BisectBatchOnFunctionError`,
`MaximumRetryAttempts` and `MaximumRecordAgeInSeconds` ("Using AWS Lambda with Amazon DynamoDB", Lambda
Developer Guide). A stream is one shard.
"""

import json
import time
from dataclasses import dataclass
from typing import Any

from ministack.services import dynamodb, lambda_svc

Json = dict[str, Any]

_RETRY_AFTER = 1.0
"""Seconds until a batch is tried again; AWS does not say."""


@dataclass
class _Shard:
    """How far a mapping has come with its stream, and what it is at.

    position: of the first record that is not done. attempts: how often the batch there has failed. most: the
    records that it may have, after it was bisected. since: when its first record was seen.
    """

    position: int
    attempts: int = 0
    most: int | None = None
    since: float | None = None

    def advance(self, position: int) -> None:
        self.position, self.attempts, self.most, self.since = position, 0, None, None


_shards: dict[str, _Shard] = {}


def poll() -> bool:
    """Start what is due on each mapping of a stream; return whether anything was."""
    started = False
    for account, region, mapping in lambda_svc._iter_all_esms():
        tokens = (
            lambda_svc._request_account_id.set(account),
            lambda_svc._request_region.set(region),
        )
        try:
            started |= mapping.get("Enabled", True) and _start(mapping)
        finally:
            lambda_svc._request_account_id.reset(tokens[0])
            lambda_svc._request_region.reset(tokens[1])
    return started


def _start(mapping: Json) -> bool:
    id_, source = mapping["UUID"], mapping.get("EventSourceArn", "")
    if ":dynamodb:" not in source or lambda_svc._esm_inflight.get(id_):
        return False
    if lambda_svc._esm_backoff_until.get(id_, 0) > time.time():
        return False
    table = source.split("/")[1]
    function, _ = lambda_svc._get_func_record_for_qualifier(
        mapping["FunctionName"], mapping.get("Qualifier")
    )
    if function is None or (dynamodb._tables.get(table) or {}).get("LatestStreamArn") != source:
        return False
    if id_ not in _shards:
        _shards[id_] = _Shard(lambda_svc._dynamodb_stream_positions[id_])
    shard = _shards[id_]
    if not (batch := _due(mapping, shard, table)):
        return False
    lambda_svc._dispatch_esm_batch(id_, _run, mapping, shard, function, batch)
    return True


def _due(mapping: Json, shard: _Shard, table: str) -> list[Json]:
    """Return the next records, once they are enough or the first of them has waited for the window."""
    shard.position = max(shard.position, dynamodb.stream_start_position(table))
    most = mapping.get("BatchSize", 100)
    batch: list[Json] = dynamodb.stream_records_since(table, shard.position, most)
    if not batch:
        return []
    shard.since = shard.since or time.monotonic()
    waited = time.monotonic() - shard.since
    if len(batch) < most and waited < mapping.get("MaximumBatchingWindowInSeconds", 0):
        return []
    return batch[: shard.most]


def _run(mapping: Json, shard: _Shard, function: Json, batch: list[Json]) -> None:
    """Invoke the function with what the filters leave of a batch, and go on after what it has done."""
    wanted = lambda_svc._apply_filter_criteria(batch, mapping)
    done, error = _invoke(function, wanted) if wanted else (None, "")
    position = shard.position
    if done is None and not error:
        shard.advance(position + len(batch))
        return
    lambda_svc._esm_backoff_until[mapping["UUID"]] = time.time() + _RETRY_AFTER
    if done:  # All before the first that it names.
        shard.advance(position + batch.index(wanted[done]))
        return
    if error and mapping.get("BisectBatchOnFunctionError") and len(batch) > 1:
        shard.most = len(batch) // 2
        return
    shard.attempts += 1
    if condition := _given_up(mapping, shard, batch):
        letter = {"function_error": error}
        lambda_svc._send_ddb_stream_failure_record(
            mapping, function, batch, mapping["EventSourceArn"], letter, condition
        )
        shard.advance(position + len(batch))


def _invoke(function: Json, records: list[Json]) -> tuple[int | None, str]:
    """Invoke the function; return the place of the first record that it names as failed, and its error."""
    result = lambda_svc._execute_function(function, {"Records": records})
    if result.get("error"):
        return 0, "Unhandled"
    answer = result.get("body") or {}
    answer = json.loads(answer) if isinstance(answer, str | bytes) else answer
    named = {f.get("itemIdentifier") for f in (answer or {}).get("batchItemFailures", ())}
    numbers = [record["dynamodb"]["SequenceNumber"] for record in records]
    if not named:
        return None, ""
    # An id that is in no record means that nothing was done.
    return (min(map(numbers.index, named)), "") if named <= set(numbers) else (0, "Unhandled")


def _given_up(mapping: Json, shard: _Shard, batch: list[Json]) -> str:
    """Say why a batch is not tried again; nothing while it is."""
    retries, age = (
        mapping.get("MaximumRetryAttempts", -1),
        mapping.get("MaximumRecordAgeInSeconds", -1),
    )
    oldest = min(record["dynamodb"]["ApproximateCreationDateTime"] for record in batch)
    if 0 <= retries < shard.attempts:
        return "RetryAttemptsExhausted"
    return "RecordAgeExceeded" if 0 < age < time.time() - oldest else ""
