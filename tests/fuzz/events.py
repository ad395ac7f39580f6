"""Hostile order events: each known class once, by name, and mutations of the samples by seed.

All are texts as SQS delivers them. None is larger than what the dispatcher lets through.
"""

from __future__ import annotations

import functools
import json
import random
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from steps import kinds
from steps.contract import limits

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ROOM = limits.MESSAGE_MAX_BYTES - 1_000
"""Bytes that a message may take, escaped, beside what the dispatcher adds."""

CJK, EMOJI, ZERO_WIDTH = "\u6f22", "\U0001f389", "\u200b"
CUT = "\\ud83d"
"""Half of an emoji as JSON spells it: what JavaScript's `slice` leaves."""

RAW_NUMBERS = (
    *("1E+999999", "-1E+99999999999999999999", "1e-999999", "9" * 10_000, "1" * 4_299, "-0"),
    *("NaN", "Infinity", "0." + "1" * 9_000, "999999999999999.999999", "1e2"),
)
"""Numbers as they stand in the JSON, some of which are none."""


class Raw(str):
    """JSON that is put into a message as it stands."""

    __slots__ = ()


def fresh(sample: str = "order.confirmed", **fields: object) -> dict[str, Any]:
    """Return a sample as if it had just happened, with `fields` changed."""
    now = datetime.now(UTC).isoformat()
    return kinds.sample(sample) | {"orderTimestamp": now, "eventTimestamp": now} | fields


def written(event: object) -> str:
    """Write an event as JSON, raw values as they are."""
    raw: list[str] = []

    def marked(value: object) -> object:
        match value:
            case Raw():
                raw.append(str(value))
                return f"@raw{len(raw) - 1}@"
            case dict():
                return {name: marked(inner) for name, inner in value.items()}
            case list():
                return [marked(inner) for inner in value]
        return value

    text = json.dumps(marked(event), ensure_ascii=False, separators=(",", ":"))
    return re.sub('"@raw(\\d+)@"', lambda mark: raw[int(mark[1])], text)


def size(message: str) -> int:
    """Return the bytes that a message takes inside an execution's input."""
    return len(json.dumps(message, ensure_ascii=False).encode("utf-8", "surrogatepass"))


def filled(event: Callable[[int], object], room: int = ROOM) -> str:
    """Return about the largest message of `event(count)` that fits into `room` bytes, escaped."""
    few, more = size(written(event(1))), size(written(event(101)))
    count = max(1, (room - few) * 100 // (more - few))
    while size(message := written(event(count))) > room:
        count = count * 19 // 20
    return message


def text(raw: str) -> Raw:
    """Return a JSON string that holds `raw` as it stands, escapes and all."""
    return Raw(f'"{raw}"')


def _many(item: object) -> str:
    return filled(lambda n: fresh(orderItems=[item] * n))


def _endless(field: str, character: str) -> str:
    return filled(lambda n: fresh() | {field: character * n})


def _surrogates() -> Iterator[tuple[str, str]]:
    for field in ("orderId", "customerEmail", "customerName", "eventType", "locale", "currency"):
        yield f"surrogate in {field}", written(fresh(**{field: text(f"A{CUT}")}))
    for field in ("orderUrl", "orderTimestamp", "orderTotal", "shippingAddress", "orderItems"):
        yield f"surrogate in {field}", written(fresh(**{field: text(f"A{CUT}")}))
    yield "surrogate in an item", written(fresh(orderItems=[_item(name=text(f"A{CUT}"))]))
    yield "surrogate alone as name", written(fresh(customerName=text(CUT)))
    yield "surrogate as key", written(fresh())[:-1] + f',"{CUT}":{{"{CUT}":["{CUT}"]}}}}'
    keyed = Raw(f'{{"name":"A","price":1,"quantity":1,"{CUT}":1}}')
    yield "surrogate as an item's key", written(fresh(orderItems=[keyed]))
    yield "surrogates reversed", written(fresh(customerName=text("\\ude00\\ud83d")))
    yield "surrogates to the brim", filled(lambda n: fresh(customerName=text(CUT * n)))
    yield (
        "surrogate keys to the brim",
        filled(lambda n: fresh(note=Raw("{" + ",".join(f'"{CUT}{i}":1' for i in range(n)) + "}"))),
    )
    yield "surrogate in no order", f'"{CUT}"'
    yield "raw surrogate", written(fresh(customerName="A\ud83d", orderId="B\ud83d"))


def _sizes() -> Iterator[tuple[str, str]]:
    for what, item in (("empty items", Raw("{}")), ("null items", None), ("list items", [])):
        yield f"{what} to the brim", _many(item)
    yield "numbers as items", filled(lambda n: fresh(orderItems=[1] * n))
    yield "empty pieces to the brim", filled(lambda n: fresh("order.shipped", parcelItems=[{}] * n))
    parcel, order = _item(name="x", sku="S"), _item(name="x", sku="S", quantity=2)
    for what, inside, outside in (
        ("equal lines", parcel, order),
        ("lines matched by name", _item(name="x"), order),
        ("lines never matched", _item(name="y"), order),
        ("huge quantities", parcel | {"quantity": "9" * 15}, order | {"quantity": "9" * 15 + ".5"}),
    ):
        for part in ("order.shipped-part", "order.delivered-part"):
            yield (
                f"{what} in {part}",
                written(fresh(part, parcelItems=[inside] * 999, orderItems=[outside] * 1_000)),
            )
    named = [_item(name=f"{CJK * 190}{n}", sku=f"S-{n}") for n in range(200)]
    for lines in (named, [{**line, "url": "https://s.example/" + "a" * 400} for line in named]):
        yield (
            f"{len(lines[0])} fields in long lists of a part",
            written(fresh("order.shipped-part", parcelItems=lines[:100], orderItems=lines)),
        )
    for amount in ("0.000001", "9" * 15, "244.96"):
        yield f"refund of {amount}", written(fresh("order.refunded-part", refundAmount=amount))
    yield "refund of no total", written(fresh("order.refunded-part", orderTotal="-1"))
    yield "smallest items", filled(lambda n: fresh(orderItems=[_item(name="x")] * n))
    yield (
        "items with bad links",
        filled(lambda n: fresh(orderItems=[_item(name="x", url="https://", imageUrl=1)] * n)),
    )
    for what, character in (
        *(("letters", "x"), ("CJK", CJK), ("emoji", EMOJI), ("zero width", ZERO_WIDTH)),
        *(("quotes", '"'), ("backslashes", "\\"), ("tags", "<&>"), ("blanks", " \u00a0")),
        *(("controls", "\u0001"), ("tabs", "\t"), ("combining", "a\u0301")),
    ):
        for field in ("customerName", "customerEmail", "orderId", "locale", "eventType"):
            yield f"{what} in {field}", _endless(field, character)
        yield f"{what} in items", _many(_item(name=f"x{character * 150}", sku=f"x{character * 50}"))
    yield (
        "CJK links",
        filled(
            lambda n: fresh(orderItems=[_item(name="x", url=f"https://s.example/{CJK * 220}")] * n)
        ),
    )
    yield (
        "backslash links",
        filled(lambda n: fresh(orderItems=[_item(url="https://s.example/?" + "\\" * 1_900)] * n)),
    )
    yield (
        "long links",
        filled(lambda n: fresh(orderItems=[_item(url="https://s.example/" + "a" * 1_900)] * n)),
    )
    yield "one endless link", filled(lambda n: fresh(orderUrl="https://s.example/" + "a" * n))
    yield "one endless host", filled(lambda n: fresh(orderUrl=f"https://{'a.' * n}example/"))
    yield "one endless CJK host", filled(lambda n: fresh(orderUrl=f"https://{CJK * n}.example/"))
    yield "endless address domain", filled(lambda n: fresh(customerEmail=f"a@{'b.' * n}example"))
    yield "endless CJK domain", filled(lambda n: fresh(customerEmail=f"a@{CJK * n}.example"))
    yield (
        "all characters as address",
        filled(lambda n: fresh(customerEmail="".join(map(chr, range(200, 200 + min(n, 50_000)))))),
    )
    yield "many unknown fields", filled(lambda n: fresh() | {f"f{i}": 1 for i in range(n)})
    yield "endless key", filled(lambda n: fresh() | {"k" * n: 1})
    yield "endless timestamp", filled(lambda n: fresh(orderTimestamp="1" * n))
    yield "endless currency", filled(lambda n: fresh(currency="E" * n))
    yield "endless subtags", filled(lambda n: fresh(locale="en" + "-a" * n))


def _numbers() -> Iterator[tuple[str, str]]:
    for number in RAW_NUMBERS:
        for field in ("orderTotal", "shipping", "orderId", "unknown"):
            yield f"{number[:24]} as {field}", written(fresh(**{field: Raw(number)}))
        yield f"{number[:24]} as quantity", written(fresh(orderItems=[_item(quantity=Raw(number))]))
        yield (
            f"{number[:24]} as estimatedDelivery",
            written(fresh("order.shipped", estimatedDelivery=Raw(number))),
        )
    for wrong in ("NaN", "Infinity", "1E5", "\u0663", "1_000", "0x10", "", " 1", "1" * 5_000):
        yield f"{wrong[:24]!r} as a string", written(fresh(orderTotal=wrong))
    huge = _item(quantity="9" * 15, price="9" * 15 + "." + "9" * 6)
    yield "huge sums", filled(lambda n: fresh(orderItems=[huge] * n, shipping="9" * 15))
    round_sum = _item(quantity="9" * 15, price="9" * 15)
    yield "huge round sums", written(fresh(orderItems=[round_sum] * 1_000, tax="1"))
    yield "huge negative", written(fresh(orderItems=[_item(price="-" + "9" * 15)] * 9, tax="1"))
    yield (
        "booleans",
        written(fresh(orderTotal=True, orderItems=[_item(quantity=True, price=False)], tax=True)),
    )


def _json() -> Iterator[tuple[str, str]]:
    for depth in (60, 900, 100_000):
        for opening, closing in (("[", "]"), ('{"a":', "}")):
            reached = min(depth, ROOM // (2 * len(opening)))
            nested = Raw(opening * reached + "1" + closing * reached)
            yield f"{reached} x {opening} unknown", written(fresh(note=nested))
            yield f"{reached} x {opening} as name", written(fresh(customerName=nested))
            yield f"{reached} x {opening} unclosed", opening * reached
    yield "empty lists to the brim", filled(lambda n: fresh(note=[[]] * n))
    yield "duplicate keys", written(fresh())[:-1] + ',"orderId":"OTHER","customerName":7}'
    yield (
        "duplicate keys to the brim",
        filled(lambda n: Raw(written(fresh())[:-1] + ',"orderId":1' * n + "}")),
    )
    yield "byte order mark", "\ufeff" + written(fresh())
    yield "two byte order marks", "\ufeff\ufeff" + written(fresh())
    yield "bytes that are no UTF-8", written(fresh()).replace("Maya", "\ufffd\ufffd")
    for nothing in ("", " ", "null", "true", "1", "[]", "{}", "{", '"', "[{}]", "\x00", "NaN"):
        yield f"just {nothing!r}", nothing
    yield "nulls", written(dict.fromkeys(fresh()))
    yield "lists", written({name: [] for name in fresh()})
    yield "objects", written({name: {} for name in fresh()})


def _looks() -> Iterator[tuple[str, str]]:
    for link in (
        *("https://shop.example@evil.example/", "https://u:p@evil.example/", "https://@e.example/"),
        *("https://127.0.0.1/", "https://3232235777", "https://0x7f.1/", "https://[::1]/"),
        *("javascript:alert(1)", "https://\uff11\uff12\uff17.0.0.1/", "https://017700000001/"),
        *("//evil.example", "https:evil.example", "https://a\u202eb.example/", "ftp://s.example"),
    ):
        yield f"link {link}", written(fresh(orderUrl=link, orderItems=[_item(imageUrl=link)]))
    for name in ("\u200b", "\u202e", "\u3164", "\u115f", "\u2800", "\u00ad", "\ufe0f", "\u0301"):
        yield f"name {name!a}", written(fresh(customerName=name * 3))
    yield "override", written(fresh(customerName="\u202eayaM", orderItems=[_item(name="\u202ea")]))
    now = datetime.now(UTC)
    for moment in (
        *("9999-12-31T23:59:59-14:00", "0001-01-01T00:00:00+14:00", "0001-01-01T00:00:00"),
        *("1970-01-01", "2026-10-10", "2026-W41-6", "20261010T101010", "24:00"),
        *((now + timedelta(days=n)).isoformat() for n in (-9_000, -8, 1, 9_000)),
    ):
        for kind in kinds.names():
            yield f"{kind} at {moment}", written(fresh(kind, eventTimestamp=moment))
        yield f"ordered at {moment}", written(fresh(orderTimestamp=moment))
    for day in ("0001-01-01", "9999-12-31", "1700000000", "2026-10-12T00:00:00Z", 1700000000):
        yield f"expected on {day}", written(fresh("order.shipped", estimatedDelivery=day))


def _resends() -> Iterator[tuple[str, str]]:
    now = datetime.now(UTC)
    mark = {"of": "0" * 40, "reason": "Lost", "by": "jo", "at": now.isoformat()}
    yield "resend", written(fresh(resend=mark))
    for what, wrong in (("text", "again"), ("list", [mark]), ("true", True), ("empty", {})):
        yield f"resend that is {what}", written(fresh(resend=wrong))
    for field in mark:
        for what, value in (
            *(("surrogate", text(f"A{CUT}")), ("number", Raw("9" * 10_000)), ("deep", [[[]]])),
            *(("override", "\u202eA"), ("zero width", ZERO_WIDTH), ("missing", None)),
        ):
            yield f"{what} in resend.{field}", written(fresh(resend=mark | {field: value}))
        yield (
            f"endless resend.{field}",
            filled(lambda n, field=field: fresh(resend=mark | {field: "x" * n})),  # type: ignore[misc]
        )
    yield (
        "resend of the smallest items and one that is wrong",
        filled(lambda n: fresh(orderItems=[_item(name="x")] * n, orderTotal="x", resend=mark)),
    )
    for moment in (now - timedelta(days=8), now + timedelta(days=1)):
        at = mark | {"at": moment.isoformat()}
        yield (
            f"resend of many items at {moment}",
            filled(lambda n, at=at: fresh(orderItems=[_item(sku="x")] * n, resend=at)),  # type: ignore[misc]
        )


def _item(**fields: object) -> dict[str, object]:
    return {"name": "A mug", "quantity": 1, "price": 1} | fields


@functools.cache
def hostile() -> dict[str, str]:
    """Return every hostile class: its name, and a message of it."""
    return {
        name: message
        for make in (_surrogates, _sizes, _numbers, _json, _looks, _resends)
        for name, message in make()
    }


@functools.cache
def honest() -> dict[str, str]:
    """Return what real shops send and is easily taken for hostile: each must become a mail."""
    now = datetime.now(UTC)
    long_link = "https://shop.example/" + "p" * 1_979
    photo = "https://cdn.shop.example/" + "p" * 275
    titles = [_item(name="\u5546\u54c1" * 60, sku=f"S-{n}", imageUrl=photo) for n in range(300)]
    no_zone = (now + timedelta(hours=13)).replace(tzinfo=None).isoformat()
    return {
        "300 items with CJK titles and pictures": written(fresh(orderItems=titles)),
        "1,000 items": written(fresh(orderItems=[_item(sku="S")] * 1_000)),
        "40 links of 2,000 characters": written(
            fresh(orderItems=[_item(url=long_link, imageUrl=long_link)] * 40)
        ),
        "an emoji cut in half": written(fresh(customerName=text(f"Maya {CUT}"))),
        "marks of Arabic and Hebrew shops": written(
            fresh(customerName="\u200f\u0645\u0627\u064a\u0627\u200e", locale="ar-EG")
        ),
        "a shop's clock ten minutes ahead": written(
            fresh(eventTimestamp=(now + timedelta(minutes=10)).isoformat())
        ),
        "a time without a zone, far in the east": written(fresh(eventTimestamp=no_zone)),
        "a byte order mark": "\ufeff" + written(fresh()),
        "unknown fields, nested": written(fresh(cart={"a": [{"b": {"c": [[1]]}}]})),
        "a part of 1,000 lines": written(
            fresh(
                "order.shipped-part",
                orderItems=[_item(sku=f"S-{n}") for n in range(1_000)],
                parcelItems=[{"name": "A mug", "quantity": 1, "sku": f"S-{n}"} for n in range(500)],
            )
        ),
        "a parcel with a gift": written(
            fresh("order.delivered-part", parcelItems=[{"name": "A gift", "quantity": 1}])
        ),
        "a day told as a moment": written(
            fresh("order.shipped", estimatedDelivery="2026-12-01T00:00:00Z")
        ),
    }


# --- mutations ------------------------------------------------------------------------------------


def mutated(seed: int) -> str:
    """Return a sample with one to five random things wrong with it, the same ones for each seed."""
    dice = random.Random(seed)  # noqa: S311 - a repeatable sample
    event = fresh(dice.choice(kinds.samples()))
    for _ in range(dice.randint(1, 5)):
        _mutate(event, dice)
    message = written(event)
    if dice.random() < 0.1:
        cut = dice.randrange(len(message))
        message = message[:cut] + dice.choice(("", "\x00", "\ud800", "}", '"')) + message[cut + 1 :]
    while size(message) > ROOM:
        message = message[: len(message) * 9 // 10]
    return message


def _mutate(event: dict[str, Any], dice: random.Random) -> None:
    holders = [event]
    for items in (event.get(name) for name in ("orderItems", "parcelItems", "refundItems")):
        if isinstance(items, list):
            holders += [item for item in items if isinstance(item, dict)]
    holder = dice.choice(holders)
    name = dice.choice([*holder, "unknown", CUT])
    match dice.randrange(4):
        case 0:
            holder.pop(name, None)
        case 1 if isinstance(holder.get(name), list) and holder[name]:
            holder[name] = holder[name] * dice.choice((2, 400, 1_001, 5_000))
        case _:
            holder[name] = _value(dice)


def _value(dice: random.Random) -> object:
    characters = (
        "x",
        CJK,
        EMOJI,
        ZERO_WIDTH,
        '"',
        "\\",
        "<",
        "\u202e",
        "\u0001",
        "\ud83d",
        "9",
        ".",
    )
    endless = dice.choice(characters) * int(10 ** (5 * dice.random()))
    deep = int(10 ** (4.5 * dice.random()))
    values: tuple[object, ...] = (
        *(None, True, False, [], {}, "", Raw(dice.choice(RAW_NUMBERS)), endless, endless),
        *(f"a@{endless}", f"https://{endless}.example/", f"https://s.example/{endless}"),
        *([_item(name=endless)] * 3, [{}] * int(10 ** (4.5 * dice.random()))),
        *(Raw("[" * deep + "]" * deep), text(CUT), text(f"x{CUT}"), f"x{endless}"),
        *(dict.fromkeys(map(str, range(deep)), 1), datetime.now(UTC).isoformat()),
    )
    return dice.choice(values)
