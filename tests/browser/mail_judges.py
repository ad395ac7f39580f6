"""The mails' judges that come from neither PyPI nor npm; as a script, which are missing and how to get them.

It needs nothing but Python, so that `make test` asks it before all else. Each judge looks at all mails in one
process, since starting it takes longer than judging a mail.
"""

from __future__ import annotations

import json
import mailbox
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
VNU = ROOT / "infra/node_modules/vnu-jar/build/dist/vnu.jar"

TOOLS = {
    "Java": (["java", "-version"], "default-jre-headless", "brew install --cask temurin"),
    "SpamAssassin": (
        ["spamassassin", "--version"],
        "spamassassin",
        "brew install spamassassin && sa-update",
    ),
}
"""What is asked whether it is there, its package in Debian and Ubuntu, and what gets it on a Mac."""

# The rules that come with it, and nothing that a laptop has learnt or somebody has set.
SPAMASSASSIN = ["spamassassin", "--local", "--mbox", "--nocreate-prefs", "--prefspath=/dev/null"]
SETTINGS = ["use_bayes 0", "report_safe 0", "add_header all Points _TESTSSCORES(,)_"]

Points = dict[str, float]
"""By the name of the rule."""


def missing() -> str:
    """Say which judges are missing and how to get them; nothing where none is."""
    lacking = [name for name, (question, *_) in TOOLS.items() if not _answers(question)]
    if not lacking:
        return ""
    packages = " ".join(TOOLS[name][1] for name in lacking)
    on_a_mac = " && ".join(TOOLS[name][2] for name in lacking)
    return (
        f"The mails' tests need what is not here: {' and '.join(lacking)}. Install that first:\n"
        f"  Debian, Ubuntu:  sudo apt-get update && sudo apt-get install {packages}\n"
        f"  macOS:           {on_a_mac}"
    )


def _answers(question: list[str]) -> bool:
    # Being found is not enough: macOS has a `java` that only says where to get one.
    try:
        return subprocess.run(question, check=False, capture_output=True).returncode == 0
    except FileNotFoundError:
        return False


def nu_html_checker(mails: dict[str, str], folder: Path) -> dict[str, set[str]]:
    """Return what the Nu HTML checker says of mails by name, and of which it says so.

    folder: an empty one, for the mails.
    """
    for name, html in mails.items():
        (folder / f"{name}.html").write_text(html, "utf-8")
    command = ["java", "-jar", str(VNU), "--format", "json", "--stdout", "--exit-zero-always"]
    done = _run([*command, str(folder)], b"")
    said: dict[str, set[str]] = {}
    for message in json.loads(done)["messages"]:
        name = Path(message["url"].removeprefix("file:")).stem
        said.setdefault(message["message"], set()).add(name)
    return said


def spamassassin(mails: list[bytes], folder: Path) -> dict[str, Points]:
    """Return the points that SpamAssassin gives mails (as received, RFC 5322), by Message-ID.

    folder: an empty one, for the mailboxes.
    """
    unjudged, judged = folder / "unjudged", folder / "judged"
    box = mailbox.mbox(unjudged)
    for mail in mails:
        box.add(mail)
    box.close()
    settings = [f"--cf={setting}" for setting in SETTINGS]
    judged.write_bytes(_run([*SPAMASSASSIN, *settings], unjudged.read_bytes()))
    box = mailbox.mbox(judged)
    points = {mail["Message-ID"]: _points(mail["X-Spam-Points"]) for mail in box}
    box.close()
    return points


def _points(header: str) -> Points:
    found = re.findall(r"(\w+)=(-?[\d.]+)", header)
    return {rule: float(points) for rule, points in found}


def _run(command: list[str], data: bytes) -> bytes:
    if said := missing():
        raise RuntimeError(said)
    done = subprocess.run(command, input=data, check=False, capture_output=True)
    if done.returncode:
        raise RuntimeError(f"{command[0]} failed: {done.stderr.decode()}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(missing() or None)
