"""Write the golden mails."""

from infra import mail
from tests.golden.mails import FOLDER, golden

mail.build()
for old in (*FOLDER.glob("*.html"), *FOLDER.glob("*.txt")):
    old.unlink()
for name, content in golden().items():
    (FOLDER / name).write_text(content, "utf-8")
