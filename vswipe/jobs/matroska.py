"""The display size in a Matroska file's track header, written after the fact.

PyAV has no way to state a stream's pixel aspect towards the muxer, and Matroska keeps it as a display size in the track
header, where FFV1 has nowhere else and players look first. The header must not change its length, since positions all
over the file count from it: so the track is given a name that is longer than needed, and the room goes to the display
size.

Element numbers: RFC 9559 (Matroska), variable-size integers: RFC 8794 (EBML).
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

SEGMENT, TRACKS, TRACK, NAME, VIDEO = 0x18538067, 0x1654AE6B, 0xAE, 0x536E, 0xE0
WIDTH, HEIGHT, DISPLAY_WIDTH, DISPLAY_HEIGHT, DISPLAY_UNIT = 0xB0, 0xBA, 0x54B0, 0x54BA, 0x54B2
VOID, CRC = 0xEC, 0xBF
AS_RATIO = 3  # of DISPLAY_UNIT: the display size is a ratio, not pixels
ROOM = "\u00a0" * 16  # 32 bytes at the end of the name
HEAD = 1 << 20  # the tracks lie within so many bytes; fonts and clusters come after them


def set_display_size(path: Path, aspect: Fraction) -> None:
    """State the pixel aspect of the video track whose name ends in ROOM, and take ROOM off its name.

    Raises:
        ValueError: there is no such track.
    """
    with open(path, "rb+") as file:
        head = bytearray(file.read(HEAD))
        at, end = next((at, end) for number, _, at, end in _children(head, 0, len(head)) if number == SEGMENT)
        for number, _, first, last in _children(head, at, min(end, len(head))):
            if number != TRACKS:
                continue
            for kind, start, begin, stop in _children(head, first, last):
                if kind == TRACK and ROOM.encode() in head[begin:stop]:
                    head[start:stop] = _rebuilt(bytes(head[begin:stop]), stop - start, aspect)
                    _renew_checksum(head, first, last)
                    file.seek(0)
                    file.write(head)
                    return
    raise ValueError(f"set_display_size: {path.name} must have a track with room in its name, got none")


def _rebuilt(body: bytes, length: int, aspect: Fraction) -> bytes:
    """A track entry of the same length with name and display size put right."""
    parts = []
    for number, start, begin, stop in _children(body, 0, len(body)):
        content = body[begin:stop]
        if number == NAME:
            name = content.removesuffix(ROOM.encode())
            if name:
                parts.append(_element(NAME, name))
        elif number == VIDEO:
            parts.append(_element(VIDEO, _display(content, aspect)))
        else:
            parts.append(body[start:stop])
    content = b"".join(parts)
    # size field of 8 bytes: whatever is left over is one Void element, which needs two bytes at least
    left = length - 1 - 8 - len(content)
    if left < 0 or left == 1:
        raise ValueError(f"set_display_size: the track entry must have room, got {left} bytes")
    if left:
        content += bytes([VOID]) + _size(left - 2, 1) + bytes(left - 2)
    return bytes([TRACK]) + _size(len(content), 8) + content


def _display(video: bytes, aspect: Fraction) -> bytes:
    """The video element's content with the display size as a ratio, which needs no rounding."""
    elements = list(_children(video, 0, len(video)))
    values = {number: int.from_bytes(video[begin:stop]) for number, _, begin, stop in elements}
    ratio = Fraction(values[WIDTH], values[HEIGHT]) * aspect
    kept = b"".join(
        video[start:stop]
        for number, start, _, stop in elements
        if number not in (DISPLAY_WIDTH, DISPLAY_HEIGHT, DISPLAY_UNIT)
    )
    stated = ((DISPLAY_WIDTH, ratio.numerator), (DISPLAY_HEIGHT, ratio.denominator), (DISPLAY_UNIT, AS_RATIO))
    return kept + b"".join(_element(number, value.to_bytes((value.bit_length() + 7) // 8)) for number, value in stated)


def _renew_checksum(head: bytearray, first: int, last: int) -> None:
    number, _, begin, stop = next(_children(head, first, last))
    if number == CRC:
        head[begin:stop] = zlib.crc32(head[stop:last]).to_bytes(4, "little")


def _children(data: bytes | bytearray, at: int, end: int) -> Iterator[tuple[int, int, int, int]]:
    """(number, start, begin of the content, end of the content) of the elements from `at` on."""
    while at < end - 1:
        start = at
        length = 9 - data[at].bit_length()
        number = int.from_bytes(data[at : at + length])
        at += length
        width = 9 - data[at].bit_length()
        size = int.from_bytes(data[at : at + width]) & ((1 << 7 * width) - 1)
        unknown = size == (1 << 7 * width) - 1
        at += width
        stop = end if unknown else min(end, at + size)
        yield number, start, at, stop
        at = stop


def _element(number: int, content: bytes) -> bytes:
    name = number.to_bytes((number.bit_length() + 7) // 8)
    return name + _size(len(content), 4 if len(content) > 126 else 1) + content


def _size(value: int, width: int) -> bytes:
    return (value | 1 << 7 * width).to_bytes(width)
