"""Draw the contact sheet, `tests/golden/contact-sheet.png`: `python -m tests.browser.contact_sheet`.

All kinds on a desktop; on a phone, a confirmation with all that an order may have, and those that may be
about a part of an order as such; and the confirmation in all languages. Light and dark take turns.
"""

from __future__ import annotations

import html as escape
import math
from typing import TYPE_CHECKING

from playwright.sync_api import sync_playwright

from infra import mail
from infra.local.preview import SCHEMES, in_scheme
from steps import kinds
from steps.contract.order_event import DEFAULT_EVENT_TYPE
from steps.mail import localise
from tests.browser import chromium
from tests.golden.mails import FOLDER
from tests.support.sample_mails import email, in_the_order_s_story

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

DESKTOP, PHONE = (640, 1120), (375, 1000)
"""Width and height of a mail's window."""
WIDTH, GAP, IN_A_ROW = 1360, 16, 7
STYLE = """
body { margin: 0; padding: 28px; width: 1360px; background: #d9dce1; font: 15px/1.3 'Liberation Sans', Arial; }
.row { display: flex; justify-content: space-between; margin-bottom: 24px; }
figure { margin: 0; } figcaption { color: #41474f; margin-bottom: 8px; }
div.frame { overflow: hidden; border-radius: 10px; }
iframe { border: 0; transform-origin: 0 0; }
"""


def frame(sample: str, locale: str, scheme: str, window: tuple[int, int], scale: float) -> str:
    """Return a figure with one mail, drawn smaller by `scale`."""
    width, height = window
    shown = escape.escape(in_scheme(email(sample, locale=locale)["html"], scheme))
    return (
        f"<figure><figcaption>{sample.removeprefix('order.')} · {locale}</figcaption>"
        f'<div class="frame" style="width:{width * scale:.0f}px;height:{height * scale:.0f}px">'
        f'<iframe srcdoc="{shown}" style="width:{width}px;height:{height}px;transform:scale({scale})">'
        "</iframe></div></figure>"
    )


def rows(mails: Sequence[tuple[str, str]], window: tuple[int, int]) -> Iterator[str]:
    """Return rows of mails, samples in their languages, each row as wide as the page."""
    count = math.ceil(len(mails) / IN_A_ROW)
    for number in range(count):
        row = mails[len(mails) * number // count : len(mails) * (number + 1) // count]
        scale = (WIDTH - GAP * (len(row) - 1)) / len(row) / window[0]
        figures = (
            frame(sample, locale, SCHEMES[(i + number) % 2], window, scale)
            for i, (sample, locale) in enumerate(row)
        )
        yield f'<div class="row">{"".join(figures)}</div>'


def main() -> None:
    """Write the picture."""
    mail.build()
    shown = in_the_order_s_story()
    parts = [f"{kind}-part" for kind in shown if f"{kind}-part" in kinds.samples()]
    full = [f"{DEFAULT_EVENT_TYPE}-full", *parts]
    others = [lang for lang in localise.languages() if lang != localise.SOURCE]
    body = "".join(
        [
            *rows([(kind, localise.SOURCE) for kind in shown], DESKTOP),
            *rows([(sample, localise.SOURCE) for sample in full], PHONE),
            *rows([(DEFAULT_EVENT_TYPE, lang) for lang in others], PHONE),
        ]
    )
    with sync_playwright() as playwright:
        browser = chromium.launch(playwright.chromium)
        page = browser.new_page(viewport={"width": 1416, "height": 900})
        page.set_content(f"<style>{STYLE}</style>{body}")
        page.wait_for_timeout(500)
        page.screenshot(path=FOLDER / "contact-sheet.png", full_page=True)
        browser.close()


if __name__ == "__main__":
    main()
