"""A file or a record for the chart, as the PDF that charts take. Pure.

A file's name may be a patient's: it is chart content, and in no error.
"""

from __future__ import annotations

import re
from typing import Final
from zoneinfo import ZoneInfo

from ocean_api.reasons import EXPLANATIONS, Reason
from ocean_emr.messages.deliveries import DocumentContent, MessageHeldError, RecordPart
from ocean_emr.messages.words import Language, Words, say

_PDF_WITHIN: Final = 1024
"""Bytes in which a PDF's mark must come. Source: Adobe's implementation notes to ISO 32000, "File header"."""
_PICTURES: Final = (b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n")
_TYPE: Final = re.compile(r"[a-z0-9.+-]{1,40}/[a-z0-9.+-]{1,60}")
_EXTENSION: Final = re.compile(r"\.(pdf|jpe?g|png|txt)\Z", re.IGNORECASE)


def title_of(content: DocumentContent, language: Language) -> str:
    """What the chart's list of documents shows: the file's name without its extension, or what the record is."""
    if content.record:
        kind = say(Words.REFERRAL, language)
        return f"{kind}: {content.title}" if content.title else kind
    return _EXTENSION.sub("", content.title) or say(Words.FILE, language)


def as_pdf(content: DocumentContent, language: Language, zone: ZoneInfo, *, most_bytes: int | None) -> bytes:
    """The PDF to upload. A PDF passes as it is; a JPEG, a PNG, plain text and a record become one.

    What a file is shows in its first bytes: the type that came with it may be anything.

    Args:
        content: The file or record.
        language: Of a record's headings.
        zone: The clinic's, in which moments are shown.
        most_bytes: How large a PDF the EMR takes; None where no bound is known.

    Raises:
        MessageHeldError: It could not be had, cannot be made a PDF, or is too large.
    """
    if content.trouble is not None:
        raise MessageHeldError(content.trouble, f"of this file: {EXPLANATIONS[content.trouble].meaning.rstrip('.')}")
    pdf = _rendered(content, language, zone)
    if most_bytes is not None and len(pdf) > most_bytes:
        words = f"the file has {len(pdf)} bytes as PDF, and this EMR takes {most_bytes}"
        raise MessageHeldError(Reason.EMR_WRITE_REFUSED, words)
    return pdf


def _rendered(content: DocumentContent, language: Language, zone: ZoneInfo) -> bytes:
    from ocean_emr.messages import pdf  # noqa: PLC0415 - costs half a second that most messages need not pay

    at = content.observed_at.astimezone(zone)
    if content.record:
        text = "\n\n".join(_part(part, language, zone) for part in content.record)
        return pdf.text_pdf(title_of(content, language), text, written_at=at)
    if b"%PDF-" in content.data[:_PDF_WITHIN]:
        return content.data
    if content.data.startswith(_PICTURES):
        try:
            return pdf.picture_pdf(content.data, written_at=at)
        except pdf.PictureUnusableError as error:
            raise MessageHeldError(Reason.MESSAGE_UNREADABLE, str(error)) from None
    named = content.content_type.partition(";")[0].strip().lower()
    if named == "text/plain":
        return pdf.text_pdf(title_of(content, language), _text(content.data), written_at=at)
    kind = named if _TYPE.fullmatch(named) else "an unnamed type"
    raise MessageHeldError(Reason.MESSAGE_UNREADABLE, f"a file of {kind} cannot be put into a chart as PDF")


def _part(part: RecordPart, language: Language, zone: ZoneInfo) -> str:
    moment = f"{part.at.astimezone(zone):%Y-%m-%d %H:%M}" if part.at else ""
    return "\n".join(filter(None, [say(part.heading, language), moment, part.text]))


def _text(data: bytes) -> str:
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise MessageHeldError(Reason.MESSAGE_UNREADABLE, "a text file is not in UTF-8") from None
