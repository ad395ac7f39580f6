"""What the trials' processes are forked from: the handlers, imported and warm. Imported by the fork server."""

from __future__ import annotations

import os

from steps.render import RenderSettings
from tests.fuzz.events import fresh, written
from tests.fuzz.trial import handled
from tests.support.sample_mails import BRAND

os.environ |= RenderSettings(brand=BRAND).to_env()
handled(written(fresh()))
