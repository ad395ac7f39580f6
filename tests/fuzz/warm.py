"""What the trials' processes are forked from: the handlers, imported and warm. Imported by the fork server."""

from __future__ import annotations

from tests.fuzz.events import fresh, written
from tests.fuzz.trial import handled

handled(written(fresh()))
