"""Pictures that a patient may send."""

from __future__ import annotations

from io import BytesIO

from PIL import ExifTags, Image


def jpeg(width: int = 40, height: int = 20, *, orientation: int = 1) -> bytes:
    """A JPEG whose camera noted how it was held."""
    noted = Image.Exif()
    noted[ExifTags.Base.Orientation] = orientation
    file = BytesIO()
    Image.new("RGB", (width, height), "red").save(file, "JPEG", exif=noted)
    return file.getvalue()


def mpo() -> bytes:
    """A JPEG with a second picture behind it, as phones make them."""
    file = BytesIO()
    first, second = (Image.new("RGB", (40, 20), colour) for colour in ("red", "blue"))
    first.save(file, "MPO", save_all=True, append_images=[second])
    return file.getvalue()


def png(width: int = 40, height: int = 20, mode: str = "RGBA") -> bytes:
    """A PNG."""
    file = BytesIO()
    Image.new(mode, (width, height)).save(file, "PNG")
    return file.getvalue()


def gif() -> bytes:
    """Something that charts do not take."""
    file = BytesIO()
    Image.new("P", (4, 4)).save(file, "GIF")
    return file.getvalue()
