"""What an order holds besides a parcel: matched by sku, else by name, whatever the parcel says."""

from __future__ import annotations

import time
from collections import Counter
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steps.mail.rest import Piece, rest


def piece(name: str, quantity: object = 1, sku: str | None = None) -> Piece:
    return {"name": name, "quantity": str(quantity)} | ({"sku": sku} if sku else {})


def line(name: str, quantity: object = 1, sku: str | None = None, price: str = "5.00") -> Piece:
    return piece(name, quantity, sku) | {"price": price}


@pytest.mark.parametrize(
    ("ordered", "parcel", "left"),
    [
        pytest.param([line("Mug")], [piece("Mug")], [], id="all of it"),
        pytest.param([line("Mug", 4)], [piece("Mug", 1)], [piece("Mug", 3)], id="some of it"),
        pytest.param(
            [line("Mug"), line("Bed")], [piece("Bed")], [piece("Mug")], id="a line of two"
        ),
        pytest.param([line("Mug")], [piece("Mug", 9)], [], id="more than ordered"),
        pytest.param([line("Mug")], [piece("Gift")], [piece("Mug")], id="nothing of the order"),
        pytest.param(
            [line("Rope", "2.50")], [piece("Rope", "0.75")], [piece("Rope", "1.75")], id="metres"
        ),
        pytest.param([line("Mug", "2.0")], [piece("Mug", 2)], [], id="2.0 is 2"),
        pytest.param(
            [line("Mug, blue", 1, "B"), line("Mug", 1, "R")],
            [piece("Mug", 1, "B")],
            [piece("Mug", 1, "R")],
            id="where both have a sku the name is not asked",
        ),
        pytest.param([line("Mug", 1, "B")], [piece("Mug")], [], id="the parcel tells no sku"),
        pytest.param([line("Mug")], [piece("Mug", 1, "B")], [], id="the order tells no sku"),
        pytest.param(
            [line("Mug", 1, "B"), line("Mug", 1, "R")],
            [piece("Mug"), piece("Mug", 1, "B")],
            [],
            id="a name takes what the skus leave",
        ),
        pytest.param(
            [line("Mug", 1, "B"), line("Mug")],
            [piece("Mug"), piece("Mug", 1, "R")],
            [],
            id="an unknown sku goes to the line without one",
        ),
        pytest.param(
            [line("Mug", 2, "B"), line("Mug", 3, "B")],
            [piece("Mug", 1, "B"), piece("Mug", 3, "B")],
            [piece("Mug", 1, "B")],
            id="several lines of one sku",
        ),
        pytest.param(
            [line("Mug"), line("Voucher", 1, None, "-5.00")],
            [piece("Mug")],
            [],
            id="a discount travels in no parcel",
        ),
        pytest.param(
            [line("Mug"), line("Sample", 1, None, "0")],
            [piece("Mug")],
            [piece("Sample")],
            id="what is free does",
        ),
    ],
)
def test_the_rest_is_what_a_parcel_does_not_hold(
    ordered: list[Piece], parcel: list[Piece], left: list[Piece]
) -> None:
    assert rest(ordered, parcel) == left


def test_the_rest_keeps_what_a_line_says_of_itself_but_its_price() -> None:
    ordered = line("Mug", 2, "B") | {"url": "https://shop.example/mug", "imageUrl": "https://s/i"}
    without_price = {k: v for k, v in ordered.items() if k != "price"}
    assert rest([ordered], [piece("Mug")]) == [without_price | {"quantity": "1"}]


NAMES, SKUS = st.sampled_from(["Mug", "Bed", "Rope"]), st.sampled_from([None, "M", "B", "R"])
QUANTITIES = st.decimals("0.01", "9", places=2)
LINES = st.lists(st.builds(line, NAMES, QUANTITIES, SKUS), min_size=1, max_size=8)
PIECES = st.lists(st.builds(piece, NAMES, QUANTITIES, SKUS), max_size=8)
PRODUCTS = st.sampled_from([("Mug", None), ("Mug", "M"), ("Mug", "B"), ("Bed", None), ("Bed", "D")])
"""As a parcel knows them: of one sku, one name."""
SENSIBLE_PIECES = st.lists(
    st.builds(lambda product, n: piece(product[0], n, product[1]), PRODUCTS, QUANTITIES), max_size=8
)


def quantity(pieces: list[Piece]) -> Decimal:
    return sum((Decimal(p["quantity"]) for p in pieces), Decimal())


@given(ordered=LINES, parcel=PIECES)
def test_no_more_goes_than_was_ordered_or_sent(ordered: list[Piece], parcel: list[Piece]) -> None:
    left = rest(ordered, parcel)
    assert max(Decimal(), quantity(ordered) - quantity(parcel)) <= quantity(left)
    assert quantity(left) <= quantity(ordered)
    assert all(Decimal(p["quantity"]) > 0 and "price" not in p for p in left)


@given(ordered=LINES, parcel=SENSIBLE_PIECES, data=st.data())
def test_the_order_of_the_parcel_s_lines_says_nothing(
    ordered: list[Piece], parcel: list[Piece], data: st.DataObject
) -> None:
    assert rest(ordered, data.draw(st.permutations(parcel))) == rest(ordered, parcel)


@given(ordered=LINES, parcel=SENSIBLE_PIECES, data=st.data())
def test_a_line_may_come_in_two(
    ordered: list[Piece], parcel: list[Piece], data: st.DataObject
) -> None:
    def halves(lines: list[Piece]) -> list[Piece]:
        return [
            half for p in lines for half in [p | {"quantity": f"{Decimal(p['quantity']) / 2}"}] * 2
        ]

    def by_product(pieces: list[Piece]) -> Counter[Any]:
        counted: Counter[Any] = Counter()
        for p in pieces:
            counted[p["name"], p.get("sku")] += Decimal(p["quantity"])  # type: ignore[assignment]
        return counted

    assert by_product(rest(ordered, halves(parcel))) == by_product(rest(ordered, parcel))
    assert not rest(ordered, halves(ordered))
    without = data.draw(st.sampled_from(ordered))
    kept = [p for p in ordered if p is not without]
    assert quantity(rest(ordered, kept)) == Decimal(without["quantity"])


def test_a_thousand_equal_lines_are_no_million_comparisons() -> None:
    ordered, parcel = [line("Mug", 1, "M")] * 1_000, [piece("Mug", "0.000001", "M")] * 1_000
    begin = time.process_time()
    assert quantity(rest(ordered, parcel)) == Decimal("999.999")
    assert time.process_time() - begin < 0.1


def test_of_two_variants_the_one_that_is_not_in_the_parcel_is_left() -> None:
    def tee(size: str, **fields: Any) -> Piece:
        return piece("Tee") | {"options": [size]} | fields

    ordered = [tee(size, price="5.00") for size in ("S", "M", "L")]
    assert rest(ordered, [tee("M")]) == [tee("S"), tee("L")]
    assert rest(ordered, [piece("Tee")]) == [tee("M"), tee("L")]
    same_sku = [line_ | {"sku": "TEE"} for line_ in ordered]
    assert rest(same_sku, [tee("L", sku="TEE")]) == [tee("S", sku="TEE"), tee("M", sku="TEE")]
