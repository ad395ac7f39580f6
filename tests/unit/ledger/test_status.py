"""The statuses: their names are in the table and in the contract, their order is that of finality."""

from __future__ import annotations

from itertools import combinations

from steps.ledger.status import UNSENT, Status, fold

ORDER = [
    *("CLAIMED", "SENDING", "FAILED"),
    *("SENT", "DELAYED", "UNDELIVERED", "DELIVERED"),
    *("REJECTED", "BOUNCED", "COMPLAINED"),
]


def test_each_status_is_called_so_and_more_final_than_the_one_before() -> None:
    assert [status.value for status in Status] == ORDER
    assert [status.name for status in Status] == ORDER
    for less, more in combinations(Status, 2):
        assert fold(less, [more]) is fold(more, [less]) is more


def test_what_says_nothing_changes_nothing() -> None:
    assert fold(Status.SENT, [None, None]) is Status.SENT
    assert fold(Status.SENT, [None, Status.DELIVERED]) is Status.DELIVERED
    assert fold(Status.SENT, []) is Status.SENT


def test_three_statuses_are_of_a_mail_that_ses_is_not_known_to_have() -> None:
    assert set(ORDER[:3]) == UNSENT
