"""An event on the laptop: however old it is, what is wrong with it is said with the file's name."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from infra.local.events import EventError, read, unknown_fields, validated
from steps import kinds

if TYPE_CHECKING:
    from pathlib import Path

OLD = {"orderTimestamp": "2019-01-01T10:00:00Z", "eventTimestamp": "2019-01-02T10:00:00Z"}
SENT_AGAIN = {"of": "0" * 40, "reason": "lost", "by": "me", "at": "2020-05-01T12:00:00Z"}


@pytest.mark.parametrize("kind", kinds.names())
@pytest.mark.parametrize(
    "more", [{}, {"resend": SENT_AGAIN}, {"eventTimestamp": "2019-01-02T10:00:00"}]
)
def test_no_event_is_too_old(kind: str, more: dict[str, object]) -> None:
    order = validated(kinds.sample(kind) | OLD | more, "order.json")
    assert order["orderTimestamp"] == "2019-01-01T10:00:00Z"


def test_every_wrong_field_is_said_with_the_file_s_name() -> None:
    event = kinds.sample("order.shipped") | {"orderTotal": "many", "carrier": "", "resend": 5}
    del event["customerName"]
    with pytest.raises(EventError) as caught:
        validated(event, "mine.json")
    lines = str(caught.value).splitlines()
    assert [line.split(": ")[:2] for line in lines] == [
        ["mine.json", field] for field in ("customerName", "orderTotal", "resend", "carrier")
    ]


@pytest.mark.parametrize("moment", ["yesterday", None, 5, ["x"]])
def test_a_time_that_is_none_is_a_wrong_field_like_others(moment: object) -> None:
    with pytest.raises(EventError, match="x: orderTimestamp: "):
        validated(kinds.sample("order.confirmed") | {"orderTimestamp": moment}, "x")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"orderId": 1,}', "order.json: is not JSON: .*line 1"),
        ("[1]", "order.json: must be a JSON object"),
        (None, "order.json: No such file"),
    ],
)
def test_a_file_without_an_event_is_said_to_be_one(
    tmp_path: Path, text: str | None, said: str
) -> None:
    file = tmp_path / "order.json"
    if text is not None:
        file.write_text(text)
    with pytest.raises(EventError, match=said):
        read(file)


def test_a_file_from_windows_is_read(tmp_path: Path) -> None:
    file = tmp_path / "order.json"
    file.write_text(json.dumps({"orderId": "1"}), "utf-8-sig")
    assert read(file) == {"orderId": "1"}


def test_misspelt_fields_are_named_with_what_they_may_mean_in_lists_and_objects_too() -> None:
    event = kinds.sample("order.shipped")
    event["trackingNumbr"] = "1"
    event["parcelItems"][1]["imgUrl"] = "https://shop.example/i.png"
    event["shippingAddress"]["postalcode"] = "97209"
    event["warehouse"] = {"carrier": "none of ours"}
    assert unknown_fields(event) == [
        "shippingAddress.postalcode is no field of order.shipped: did you mean postalCode?",
        "parcelItems[1].imgUrl is no field of order.shipped: did you mean imageUrl?",
        "trackingNumbr is no field of order.shipped: did you mean trackingNumber?",
        "warehouse is no field of order.shipped",
    ]


@pytest.mark.parametrize("sample", kinds.samples())
def test_no_sample_has_a_field_that_no_mail_knows(sample: str) -> None:
    assert unknown_fields(kinds.sample(sample)) == []
