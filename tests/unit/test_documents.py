"""The documents say what the code says: their links, files, names, tables and pictures."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from infra.alarms import alarms
from infra.config import Config
from infra.local.settings import VARIABLES, LocalSettings
from steps import kinds
from steps.contract import limits
from steps.contract.order_event import OrderEvent
from steps.contract.state import FailureEnd
from steps.ledger.status import Status
from steps.mail import localise
from tests.support.asl import STATES
from tests.support.documents import DOCUMENTS, ROOMS, blocks, code, generated, prose, table
from tests.support.rooms import lambda_functions
from tests.support.sample_mails import email

README = Path("README.md")
STEPS = Path("steps/README.md")
LEDGER = Path("steps/ledger/README.md")
INFRA = Path("infra/README.md")
OPERATOR = Path("infra/operator/README.md")
LOCAL = Path("infra/local/README.md")
CONTRIBUTING = Path("CONTRIBUTING.md")
DECISIONS = Path("DECISIONS.md")

each_document = pytest.mark.parametrize("document", DOCUMENTS, ids=str)


def anchors(document: Path) -> set[str]:
    """Return the names by which GitHub links a document's sections."""
    titles = re.findall(r"^#+ (.+)$", prose(document), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


# --- all documents --------------------------------------------------------------------------------


def test_a_newcomer_reads_the_readme_to_its_end() -> None:
    assert len(README.read_text().splitlines()) <= 150


def test_the_readme_leads_to_every_document() -> None:
    linked = set(re.findall(r"\]\(([^)#]+)", prose(README)))
    assert {str(document) for document in DOCUMENTS} - linked == {"README.md"}


@each_document
def test_links_lead_somewhere(document: Path) -> None:
    for link in re.findall(r"\]\((?!https?:)([^)]+)\)", prose(document)):
        file, _, section = link.partition("#")
        target = document.parent / file if file else document
        assert target.exists(), link
        if section:
            assert section in anchors(target), link


@each_document
def test_no_path_of_a_machine(document: Path) -> None:
    found = re.findall(
        r"(?<![\w./~-])/(?:home|Users|root|tmp|work|opt|private)/", document.read_text()
    )
    assert found == []


@each_document
def test_the_files_that_are_named_exist(document: Path) -> None:
    for name in code(prose(document)):
        if re.fullmatch(r"[\w.<>*/-]+", name) and name.partition("/")[0] in ROOMS:
            pattern = re.sub(r"<\w+>", "*", name).rstrip("/")
            assert any(Path().glob(pattern)), name


@each_document
def test_a_payload_of_lambda_is_given_as_it_is_to_the_cli_of_version_2(document: Path) -> None:
    for line in re.findall(r"^.*lambda invoke .*--payload .*$", document.read_text(), re.MULTILINE):
        if not line.startswith("|"):
            assert "--cli-binary-format raw-in-base64-out" in line


@each_document
def test_the_make_targets_that_are_named_exist(document: Path) -> None:
    makefile = Path("Makefile").read_text()
    for target in re.findall(r"\bmake ([a-z]+)\b(?=[ `\n]|$)", "".join(blocks(document, "sh"))):
        assert re.search(rf"^{target}:.*##", makefile, re.MULTILINE), target
    for command in code(prose(document)):
        if named := re.fullmatch(r"(?:\w+=\S+ )*make ([a-z]+)(?: [A-Z]+=\S+)*", command):
            assert re.search(rf"^{named[1]}:.*##", makefile, re.MULTILINE), command


@each_document
def test_generated_parts_are_what_the_code_makes(document: Path) -> None:
    text = document.read_text("utf-8")
    assert generated(text) == text, "run python -m tests.support.documents"


# --- README.md ------------------------------------------------------------------------------------


def test_every_status_has_its_meaning() -> None:
    named = [status for row in table(README, "`status`") for status in code(row[0])]
    assert named == list(Status)


# --- steps/README.md ------------------------------------------------------------------------------


def test_every_function_has_its_row() -> None:
    files = [re.findall(r"\[(\w+)\.py\]", row[0])[0] for row in table(STEPS, "file")]
    assert {f"steps.{name}" for name in files} == lambda_functions()


def test_every_task_of_the_workflow_has_its_row() -> None:
    tasks = {name for name, state in STATES.items() if state["Type"] == "Task"}
    assert {row[0] for row in table(STEPS, "state")} == tasks


def test_the_flow_has_every_state() -> None:
    flow = blocks(STEPS, "mermaid")[0]
    for name, state in STATES.items():
        assert name in flow or state["Type"] == "Choice", name


def test_every_room_has_its_rule() -> None:
    rooms = {path.name for path in Path("steps").iterdir() if (path / "__init__.py").exists()}
    assert {row[0] for row in table(STEPS, "room")} == {"the top"} | {
        f"[{room}/]({room})" for room in rooms
    }


def test_every_kind_has_its_fields_and_age() -> None:
    common = OrderEvent.model_fields.keys() - {"event_timestamp"}
    rows = {code(row[0])[0]: row[1:] for row in table(STEPS, "`eventType`")}
    assert rows.keys() == set(kinds.names())
    for name, (required, optional, age) in rows.items():
        event, max_age, _ = kinds.kind(name)
        own = {n: f for n, f in event.model_fields.items() if n not in common}
        if not own["event_timestamp"].is_required():
            del own["event_timestamp"]  # As every kind has it.
        assert set(code(required)) == {f.alias for f in own.values() if f.is_required()}
        assert set(code(optional)) == {f.alias for f in own.values() if not f.is_required()}
        assert age == f"{max_age.days} days"


def test_every_field_of_the_event_is_named() -> None:
    named = set(code(prose(STEPS))) | set(
        re.findall(r'"(\w+)":', "".join(blocks(README, "python")))
    )
    assert {field.alias for field in OrderEvent.model_fields.values()} <= named


def test_the_subjects_of_wholes_and_parts_are_the_mails_own() -> None:
    rows = {row[0]: row[1:] for row in table(STEPS, "mail")}
    for sample in kinds.samples():
        if sample.endswith("-part"):
            kind = sample.removesuffix("-part")
            subjects = [
                email(name)["subject"].replace("NW-20418", "...") for name in (kind, sample)
            ]
            assert rows[f"subject of `{kind}`"] == subjects


def test_every_language_is_named() -> None:
    listed = re.search(r"\*\*Languages\*\* are ([a-zA-Z, -]+)\.", prose(STEPS))
    assert listed
    assert set(re.findall(r"\b[a-z]{2}(?:-[A-Z]{2})?\b", listed[1])) == set(localise.languages())


# --- steps/ledger/README.md -----------------------------------------------------------------------


def test_the_times_are_the_codes() -> None:
    times = (limits.CLAIM_LEASE, limits.IN_DOUBT_GRACE, limits.QUEUE_VISIBILITY)
    said = re.search(r"^The times: 5 s .*", prose(LEDGER), re.MULTILINE | re.DOTALL)
    assert said
    assert re.findall(r"\b(\d+) s\b", said[0]) == [str(seconds) for seconds in (5, *times)]


def test_the_order_of_the_statuses_is_the_codes() -> None:
    assert " < ".join(Status) in prose(LEDGER).replace("\n", " ")


# --- infra ----------------------------------------------------------------------------------------


def test_the_ports_and_variables_are_the_codes() -> None:
    rows = {code(row[0])[0]: code(row[2])[0] for row in table(LOCAL, "variable")}
    defaults = {v: LocalSettings.model_fields[f].default for f, v in VARIABLES.items()}
    for variable, shown in rows.items():
        if variable in ("LOCAL_PREVIEW_PORT", "LOCAL_STATE_DIR"):
            assert shown in ("8090", ".local/stack")
        else:
            assert shown == str(defaults[variable]).lower()
    assert {variable for variable in defaults if variable.startswith("LOCAL_")} <= rows.keys()


def test_every_end_of_an_execution_has_its_row() -> None:
    ends = {name for name, state in STATES.items() if state["Type"] in ("Succeed", "Fail")}
    rows = {code(row[0])[0]: "(failed)" in row[0] for row in table(OPERATOR, "it ends in")}
    assert rows.keys() == ends
    assert {name for name, failed in rows.items() if failed} == set(FailureEnd)


def test_every_alarm_has_its_row() -> None:
    config = Config.from_environment({}, local=True)
    rows = [code(row[0])[0] for row in table(OPERATOR, "alarm")]
    assert rows == [alarm.name for alarm in alarms(config)]


# --- CONTRIBUTING.md and DECISIONS.md -------------------------------------------------------------


def test_what_contributing_names_is_in_the_file_that_it_names() -> None:
    for item in re.findall(r"^\d+\. (.+(?:\n   .+)*)", prose(CONTRIBUTING), re.MULTILINE):
        names = [word for word in code(item) if re.fullmatch(r"\w+", word)]
        files = [word for word in code(item) if "/" in word or "." in word]
        paths = [p for f in files for p in Path().glob(re.sub(r"<\w+>", "*", f).rstrip("/"))]
        source = "".join(path.read_text("utf-8") for path in paths if path.is_file())
        for name in names:
            assert re.search(rf"\b{name}\b", source), f"{name} in {files}"


def test_decisions_are_numbered_and_have_a_status_a_reason_and_what_lost() -> None:
    entries = re.split(r"^### ", DECISIONS.read_text("utf-8"), flags=re.MULTILINE)[1:]
    numbers = [int(entry.partition(".")[0]) for entry in entries]
    assert sorted(numbers) == list(range(1, len(numbers) + 1))
    for entry in entries:
        status = r"\n\n(Accepted \d{4}-\d\d-\d\d|Superseded by \d+ on \d{4}-\d\d-\d\d)\."
        assert re.search(status, entry), entry
        assert "\n- Why: " in entry, entry
        assert "\n- Lost: " in entry, entry
