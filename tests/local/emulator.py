"""Programs that local tests talk to, each on a free port of loopback."""

import os
import signal
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from infra.local.loopback import free_ports

ROOT = Path(__file__).parents[2]
ACCOUNT = "123456789012"
REGION = "us-east-1"
# One attempt: what a call is answered is what a test wants to see.
ONCE = Config(retries={"total_max_attempts": 1}, read_timeout=10)


def client(service: Any, endpoint: str, **credentials: str) -> Any:
    """A boto3 client of root, or of the given credentials, that tries once."""
    keys: Any = {"aws_access_key_id": "test", "aws_secret_access_key": "test"} | credentials
    return boto3.client(service, endpoint_url=endpoint, region_name=REGION, config=ONCE, **keys)


@contextmanager
def running(command: list[str], ready: str, env: Mapping[str, str]) -> Iterator[None]:
    """Runs a program until the block ends; the block starts when the `ready` URL answers."""
    process = subprocess.Popen(
        command,
        env={**os.environ, **env},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        for _ in range(200):
            try:
                urllib.request.urlopen(ready, timeout=5).close()  # noqa: S310 - loopback
            except OSError:
                assert process.poll() is None, f"{command[0]} ended"
                time.sleep(0.05)
            else:
                break
        else:
            raise AssertionError(f"{command[0]} does not answer")
        yield
    finally:
        # The whole group: the venv's `node` is a wrapper around the real one.
        os.killpg(process.pid, signal.SIGTERM)
        process.wait(10)


@contextmanager
def ministack() -> Iterator[str]:
    """The emulator with IAM enforced; gives its endpoint."""
    (port,) = free_ports(1)
    endpoint = f"http://127.0.0.1:{port}"
    env = {
        "AUTH": "true",
        "AWS_ENDPOINT_URL": endpoint,
        "BIND_HOST": "127.0.0.1",
        "GATEWAY_PORT": str(port),
        "IOT_MTLS_ENABLED": "0",
        "MINISTACK_ACCOUNT_ID": ACCOUNT,
        "MINISTACK_REGION": REGION,
        "PERSIST_STATE": "0",
    }
    command = [
        str(ROOT / ".local/emulator/bin/python"),
        "-P",
        str(ROOT / "infra/local/emulator.py"),
    ]
    with running(command, f"{endpoint}/_ministack/health", env):
        yield endpoint


@contextmanager
def maildev(folder: Path) -> Iterator[tuple[int, str]]:
    """The inbox; gives its SMTP port and its web address."""
    smtp, web = free_ports(2)
    address = f"http://127.0.0.1:{web}"
    command = [
        str(ROOT / "infra/node_modules/.bin/maildev"),
        *("--ip", "127.0.0.1", "--smtp", str(smtp), "--web-ip", "127.0.0.1", "--web", str(web)),
        *("--mail-directory", str(folder), "--silent"),
    ]
    path = f"{ROOT / '.venv/bin'}:{os.environ['PATH']}"
    with running(command, f"{address}/api/email", {"PATH": path}):
        yield smtp, address
