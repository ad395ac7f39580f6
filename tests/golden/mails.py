"""The golden mails as the code makes them now."""

from pathlib import Path

from tests.support.sample_mails import email, pairs

FOLDER = Path(__file__).parent


def golden() -> dict[str, str]:
    """Render every sample in every language; return both parts by file name.

    The text part's file begins with what the client shows beside it: the header fields.
    """
    files = {}
    for sample, language in pairs():
        mail = email(sample, locale=language)
        fields = {
            "From": mail["fromName"],
            "Reply-To": mail["replyTo"],
            "To": mail["to"],
            "Subject": mail["subject"],
            **mail["headers"],
        }
        head = "".join(f"{name}: {value}\n" for name, value in fields.items())
        files[f"{sample}.{language}.html"] = mail["html"]
        files[f"{sample}.{language}.txt"] = f"{head}\n{mail['text']}"
    return files
