"""Starts the laptop's SES.

While it runs, its page at `/` shows settings, counters and mails, and takes faults; so does curl:

    curl -X PUT localhost:PORT/_laptop/settings -d '{"paused": true}'
    curl localhost:PORT/_laptop/stats          # also: settings, schema, messages
    curl -X POST localhost:PORT/_laptop/reset
    curl -X POST localhost:PORT/_laptop/events -d '{"messageId": "...", "eventType": "Bounce"}'
"""

import argparse
import signal
import threading

from infra.local.ses.core import Ses
from infra.local.ses.server import Server
from infra.local.ses.settings import SesSettings
from infra.local.ses.upstream import Upstream


def _host_port(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    return host or "127.0.0.1", int(port)


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(
        prog="python -m infra.local.ses",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--port", type=int, required=True, help="to listen on, on 127.0.0.1")
    parser.add_argument("--aws-endpoint", default="http://127.0.0.1:4566", help="the emulator")
    parser.add_argument("--smtp", type=_host_port, default="127.0.0.1:1025", help="the inbox")
    parser.add_argument("--account", default="000000000000")
    parser.add_argument("--region", default="us-east-1")
    parser.add_argument("--rate", type=float, default=14, help="MaxSendRate to begin with")
    asked = parser.parse_args()

    upstream = Upstream(asked.aws_endpoint, account=asked.account, region=asked.region)
    ses = Ses(upstream, asked.smtp, SesSettings(rate=asked.rate))
    server = Server(asked.port, ses)
    for number in (signal.SIGTERM, signal.SIGINT):
        # shutdown() waits for the loop that this thread is in: another one has to call it.
        signal.signal(number, lambda *_: threading.Thread(target=server.shutdown).start())
    print(f"SES: http://127.0.0.1:{server.server_port}/", flush=True)
    server.serve_forever(poll_interval=0.1)
    server.server_close()
    ses.close()


if __name__ == "__main__":
    main()
