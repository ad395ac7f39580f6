"""Draw the contact sheet, `tests/golden/contact-sheet.png`: `python -m tests.browser.contact_sheet`.

All kinds on a desktop, in light and dark; on a phone, those that may be about a part of an order as such; and
the confirmation in all languages.
"""

from __future__ import annotations

import html as escape

from playwright.sync_api import sync_playwright

from infra import mail
from infra.local.preview import in_scheme
from steps import kinds
from steps.contract.order_event import DEFAULT_EVENT_TYPE
from steps.mail import localise
from tests.browser import chromium
from tests.golden.mails import FOLDER
from tests.support.sample_mails import email

DESKTOP, PHONE = (640, 1120, 0.41), (375, 1000, 0.68)
"""Width and height of a mail's window, and how much smaller it is drawn."""
STYLE = """
body { margin: 0; padding: 28px; width: 1360px; background: #d9dce1; font: 15px/1.3 'Liberation Sans', Arial; }
.row { display: flex; justify-content: space-between; margin-bottom: 24px; }
figure { margin: 0; } figcaption { color: #41474f; margin-bottom: 8px; }
div.frame { overflow: hidden; border-radius: 10px; }
iframe { border: 0; transform-origin: 0 0; }
"""


def frame(sample: str, locale: str, scheme: str, window: tuple[int, int, float]) -> str:
    """Return a figure with one mail."""
    width, height, scale = window
    shown = escape.escape(in_scheme(email(sample, locale=locale)["html"], scheme))
    return (
        f"<figure><figcaption>{sample} · {locale}</figcaption>"
        f'<div class="frame" style="width:{width * scale:.0f}px;height:{height * scale:.0f}px">'
        f'<iframe srcdoc="{shown}" style="width:{width}px;height:{height}px;transform:scale({scale})">'
        "</iframe></div></figure>"
    )


def main() -> None:
    """Write the picture."""
    mail.build()
    shown = sorted(kinds.names(), key=lambda kind: (kinds.kind(kind).stage or 9, kind))
    languages = [lang for lang in localise.languages() if lang != localise.SOURCE]
    schemes = ("light", "dark")
    parts = [f"{kind}-part" if f"{kind}-part" in kinds.samples() else kind for kind in shown]
    rows = [[frame(kind, localise.SOURCE, scheme, DESKTOP) for kind in shown] for scheme in schemes]
    rows += [
        [frame(part, localise.SOURCE, schemes[i % 2], PHONE) for i, part in enumerate(parts)],
        [
            frame(DEFAULT_EVENT_TYPE, lang, schemes[(i + 1) % 2], PHONE)
            for i, lang in enumerate(languages)
        ],
    ]
    body = "".join(f'<div class="row">{"".join(row)}</div>' for row in rows)
    with sync_playwright() as playwright:
        browser = chromium.launch(playwright.chromium)
        page = browser.new_page(viewport={"width": 1416, "height": 900})
        page.set_content(f"<style>{STYLE}</style>{body}")
        page.wait_for_timeout(500)
        page.screenshot(path=FOLDER / "contact-sheet.png", full_page=True)
        browser.close()


if __name__ == "__main__":
    main()
