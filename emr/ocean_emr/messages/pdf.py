"""Text and pictures as PDF, for charts that hold documents. Pure: no clock, no file but the font's.

Import it where it is needed and not before: it costs half a second and megabytes that a synchronisation never needs.
"""

from __future__ import annotations

import logging
import unicodedata
from datetime import datetime
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Final

import fontpkg_noto_sans
from fontTools.ttLib import TTFont
from fpdf import FPDF
from PIL import ExifTags, Image

# They log letters, which are a patient's.
for _name in ("fpdf", "fontTools", "PIL"):
    logging.getLogger(_name).setLevel(logging.ERROR)

_FONT: Final = Path(fontpkg_noto_sans.ROOT) / "files" / "NotoSans[wdth,wght].ttf"
"""Latin with every accent, Greek, Cyrillic. SIL Open Font License 1.1."""
_FAMILY: Final = "Noto Sans"
_LETTER_SIZE, _TITLE_SIZE, _FOOTER_SIZE = 10.0, 14.0, 8.0
_LINE: Final = 1.35
"""Height of a line, in heights of its letters."""
_MARGIN_MM: Final = 20.0
_FOOTER_MM: Final = 12.0
_PER_POINT: Final = 25.4 / 72
_MISSING: Final = "\N{REPLACEMENT CHARACTER}"
_PAGE_COUNT: Final = "\N{OBJECT REPLACEMENT CHARACTER}"
"""Stands for the number of pages until that is known; taken out of every text, which would get the number too."""
_SPELLED: Final = str.maketrans(
    {
        "\t": "    ",
        "\N{BALLOT BOX}": "[ ]",
        "\N{BALLOT BOX WITH CHECK}": "[x]",
        "\N{BALLOT BOX WITH X}": "[x]",
        "\N{CHECK MARK}": "[x]",
        "\N{HEAVY CHECK MARK}": "[x]",
        "\N{WHITE HEAVY CHECK MARK}": "[x]",
    }
)
"""What questionnaires use and the font lacks."""
_TURNS: Final = {3: 180, 6: 90, 8: 270}
"""Degrees to the right for each orientation of EXIF. Mirrored pictures, which no camera makes, stay as they are."""
_MOST_POINTS: Final = {"JPEG": 100_000_000, "PNG": 6_000_000}
"""A JPEG goes into the PDF as it is; a PNG is unpacked, up to fifteen bytes a point, in a pod with little memory."""
_LARGE: Final = 12_000_000
"""Points of a progressive JPEG that is not unpacked to see whether it is whole: that takes it all into memory."""


def text_pdf(title: str, text: str, *, written_at: datetime) -> bytes:
    """`text` on pages of Letter size, below `title`, with the page's number and `written_at` at the foot.

    The same arguments give the same bytes. A character that the font lacks, such as an emoji, is shown as U+FFFD: who
    must not lose it keeps the text beside the PDF.

    Args:
        title: One line; may be empty.
        text: Lines separated by newlines.
        written_at: Aware; shown as it stands, to the minute, and kept as the document's date.
    """
    pdf = _Pages(f"{written_at:%Y-%m-%d %H:%M}")
    pdf.set_creation_date(written_at)
    pdf.set_title(title)
    if title:
        pdf.write_block(title, size=_TITLE_SIZE)
        pdf.ln(_MARGIN_MM / 5)
    pdf.write_block(text, size=_LETTER_SIZE)
    return bytes(pdf.output())


class PictureUnusableError(Exception):
    """The picture cannot go into a PDF. Its text is one clause that says why, and holds nothing of the picture."""


def picture_pdf(picture: bytes, *, written_at: datetime) -> bytes:
    """A JPEG or PNG on one page of Letter size: as large as fits, upright as its camera noted, its colours untouched.

    Args:
        picture: The file.
        written_at: Aware; shown at the foot and kept as the document's date.

    Raises:
        PictureUnusableError: Damaged, cut short, of another kind, or too large to unpack.
    """
    # Phones add a second picture behind the first. Under another name, no library looks for it.
    picture = picture.replace(b"MPF\x00", b"xxx\x00", 1)
    upright = _checked(picture)
    pdf = _Pages(f"{written_at:%Y-%m-%d %H:%M}")
    pdf.set_creation_date(written_at)
    pdf.put_picture(picture, *upright)
    return bytes(pdf.output())


def _checked(picture: bytes) -> tuple[int, int, int]:
    """Width and height in points of the picture, and by how many degrees it is to be turned to the right."""
    try:
        with Image.open(BytesIO(picture), formats=("JPEG", "PNG")) as image:
            width, height = image.size
            if width * height > _MOST_POINTS[str(image.format)]:
                raise PictureUnusableError(f"a picture of {width} by {height} points is too large to unpack")
            turn = _TURNS.get(image.getexif().get(ExifTags.Base.Orientation, 1), 0)
            if not image.info.get("progressive") or width * height <= _LARGE:
                image.draft("RGB", (width // 8, height // 8))  # of a JPEG: enough to see that it is whole
                image.load()
    except Image.DecompressionBombError:
        raise PictureUnusableError("a picture of so many points is too large to unpack") from None
    except (OSError, ValueError, SyntaxError):
        # `from None`: the library's errors may quote the file.
        raise PictureUnusableError("the picture is damaged or cut short") from None
    return width, height, turn


class _Pages(FPDF):
    def __init__(self, foot: str) -> None:
        super().__init__(format="letter")
        self._foot = foot
        self.add_font(_FAMILY, fname=_FONT)
        self.alias_nb_pages(_PAGE_COUNT)
        self.set_margin(_MARGIN_MM)
        self.set_auto_page_break(True, margin=_MARGIN_MM)
        self.add_page()

    def write_block(self, text: str, *, size: float) -> None:
        """Write lines, broken where they are too long, on as many pages as it takes."""
        self.set_font(_FAMILY, size=size)
        self.multi_cell(0, size * _PER_POINT * _LINE, _printable(text), align="L", new_x="LMARGIN", new_y="NEXT")

    def put_picture(self, picture: bytes, width: int, height: int, turn: int) -> None:
        """Put it into the middle of the space between the margins."""
        across, down = (height, width) if turn % 180 else (width, height)
        scale = min(self.epw / across, self.eph / down)
        left, top = self.w / 2 - width * scale / 2, self.h / 2 - height * scale / 2
        with self.rotation(-turn, self.w / 2, self.h / 2):
            self.image(BytesIO(picture), x=left, y=top, w=width * scale, h=height * scale)

    def footer(self) -> None:
        """Called by the library at the end of every page."""
        self.set_y(-_FOOTER_MM)
        self.set_font(_FAMILY, size=_FOOTER_SIZE)
        self.cell(0, None, f"{self._foot} \N{MIDDLE DOT} {self.page_no()}/{_PAGE_COUNT}", align="C")


def _printable(text: str) -> str:
    """`text` in characters that the font has."""
    known = _characters()
    spelled = unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\r", "\n")).translate(_SPELLED)
    return "".join(each if each == "\n" or ord(each) in known else _MISSING for each in spelled)


@cache
def _characters() -> frozenset[int]:
    with TTFont(_FONT, lazy=True) as font:
        return frozenset(font.getBestCmap() or ()) - {ord(_PAGE_COUNT)}
