# ruff: noqa: RUF001 - letters of other scripts are what this file is about
"""What subtitles for training are written with: random texts, and fonts split by family.

Whole families are kept out of training, by the table below, so that a network is judged on letters it never saw. The
texts are random too: the phrases of `fonts.SCRIPTS` are for validation only.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from PIL import ImageFont, features

from .fonts import _font_files

# Beginnings of file names, lower case. What is in the second column is never trained with.
_WESTERN = (
    ("dejavusans", "dejavuserif", "liberationsans", "notosans-", "notosansdisplay", "lato", "inter", "roboto",
     "urwgothic", "p052", "c059", "nimbussans", "nimbusroman", "linlibertine", "linbiolinum", "cantarell", "quicksand",
     "caladea", "freesans", "freeserif", "gfs"),
    ("opensans", "comfortaa", "notoserif-", "notoserifdisplay", "liberationserif", "carlito", "urwbookman"),
)  # fmt: skip
FAMILIES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "latin": _WESTERN,
    "cyrillic": _WESTERN,
    "greek": _WESTERN,
    "chinese": (("notosanscjk", "wqy", "ukai"), ("notoserifcjk", "uming")),
    "japanese": (("notosanscjk", "ipag", "vl-", "takao"), ("notoserifcjk", "ipam", "mtlc3m")),
    "korean": (("notosanscjk", "undotum", "ungraphic", "unbatang", "gulim", "dotum"),
               ("notoserifcjk", "nanum", "batang")),
    "arabic": (("notosansarabic", "notonaskh", "scheherazade", "kacstbook", "kacstnaskh", "kacstoffice", "kacstfarsi",
                "kacstletter", "nazli", "homa", "dejavusans"), ("amiri-", "notokufi")),
    "hebrew": (("notosanshebrew", "nachlieli", "frankruehl", "davidclm", "miriamclm", "keteryg", "hadasim", "simple",
                "dejavusans", "liberationsans", "freeserif"), ("notoserifhebrew", "liberationserif", "shofar")),
    "thai": (("notosansthai", "notoloopedthai", "garuda", "loma", "norasi", "waree", "umpush", "sawasdee"),
             ("notoserifthai", "kinnari", "laksaman")),
    "devanagari": (("notosansdevanagari", "lohit", "gargi", "samyak", "nakula", "sarai"),
                   ("notoserifdevanagari", "sahadeva")),
}  # fmt: skip
_UNFIT = ("math", "symbol", "emoji", "mono", "condensed", "quran", "colored")
_SHAPED = ("arabic", "hebrew", "thai", "devanagari")

_MARKS = ".,!?-:;…'\"()0123456789"


@dataclass(frozen=True)
class Letters:
    """What words of a script are put together from.

    Args:
        units: letters, or groups that stand together; a word is a row of them.
        length: fewest and most units of a word.
        words: fewest and most words of a line.
        spaced: whether words are separated.
    """

    units: tuple[str, ...]
    length: tuple[int, int]
    words: tuple[int, int]
    spaced: bool = True


def _words(text: str) -> list[str]:
    return text.split()


def _latin() -> tuple[str, ...]:
    heads = _words("b c d f g h j k l m n p r s t v w z ch sh th st tr pl gr qu br x y fl sp ß ç ñ š ž ł ř")
    middles = _words("a e i o u ea ou ai ie oo é è ü ö ä å ø ı ã ê í ó ú y")
    tails = ["", "", "", "n", "r", "s", "t", "l", "m", "ck", "ng", "nd", "rt", "p", "x", "d"]
    return tuple(h + m + t for h in heads for m in middles for t in tails[::3]) + tuple(
        m + t for m in middles for t in tails
    )


def _gb2312() -> str:
    """The 3755 Han characters of everyday Chinese."""
    rows = (bytes((row, cell)) for row in range(0xB0, 0xD8) for cell in range(0xA1, 0xFF))
    return "".join(code.decode("gb2312", "ignore") for code in rows)


def _shift_jis(han: str) -> str:
    """Those of the characters that Japanese has too."""
    return "".join(c for c in han if c.encode("shift_jis", "ignore"))[:1200]


@cache
def _letters(script: str) -> Letters:
    han = _gb2312()
    if script == "latin":
        return Letters(_latin(), (1, 3), (2, 8))
    if script == "cyrillic":
        return Letters(tuple("абвгдежзийклмнопрстуфхцчшщъыьэюяіїєґёоеаинт"), (2, 9), (2, 7))
    if script == "greek":
        return Letters(tuple("αβγδεζηθικλμνξοπρστυφχψωςάέήίόύώαοειτν"), (2, 9), (2, 7))
    if script == "chinese":
        return Letters(tuple(han), (3, 14), (1, 2), spaced=False)
    if script == "japanese":
        kana = (
            "あいうえおかきくけこさしすせそたちつてとなにぬねの"
            "はひふへほまみむめもやゆよらりるれろわをんがぎぐげござじずぜぞだでどばびぶべぼっゃゅょ"
        )
        kata = (
            "アイウエオカキクケコサシスセソタチツテトナニヌネノ"
            "ハヒフヘホマミムメモヤユヨラリルレロワンガギグゲゴジズゼダデドバビブベボパピプッャュョー"
        )
        return Letters(tuple(kana * 12 + kata * 6 + _shift_jis(han)), (4, 16), (1, 2), spaced=False)
    if script == "korean":
        return Letters(tuple(chr(c) for c in range(0xAC00, 0xD7A4, 11)), (1, 5), (2, 6))
    if script == "arabic":
        return Letters(tuple("ابتثجحخدذرزسشصضطظعغفقكلمنهويىةآأإؤئء" + "الينمو" * 2), (2, 7), (2, 6))
    if script == "hebrew":
        return Letters(tuple("אבגדהוזחטיכלמנסעפצקרשתםןףץ"), (2, 7), (2, 7))
    if script == "thai":
        base = "กขคงจชซญดตถทนบปผพฟมยรลวสหอฮ"
        vowels = ["", "า", "ี", "ิ", "ุ", "ู", "ะ", "ื", "่า", "้", "่", "ำ", "้า", "ี่"]
        groups = [c + v for c in base for v in vowels] + [p + c for p in "เแโไใ" for c in base]
        return Letters(tuple(groups), (6, 20), (1, 3))
    base = "कखगघचछजझटठडढणतथदधनपफबभमयरलवशषसह"
    signs = ["", "ा", "ि", "ी", "ु", "ू", "े", "ै", "ो", "ौ", "ं", "्र", "्य"]
    return Letters(tuple(c + s for c in base for s in signs), (1, 4), (2, 7))


@cache
def family_fonts(script: str, held_out: bool) -> tuple[Path, ...]:
    """Font files of one side of the split that can write a script; empty where none is installed."""
    if script in _SHAPED and not features.check("raqm"):
        return ()
    kept, held = FAMILIES[script]
    wanted, other = (held, kept) if held_out else (kept, held)
    probe = sorted(set("".join(_letters(script).units)))
    probe = probe[:: max(1, len(probe) // 40)]
    found = []
    for path in _font_files():
        name = path.name.lower()
        if not name.startswith(wanted) or any(part in name for part in _UNFIT):
            continue
        assert held_out or not name.startswith(held), f"{name} is on both sides of {other}"
        if len(writable(path, "".join(probe))) > 0.9 * len(probe):
            found.append(path)
    return tuple(found)


@cache
def writable(path: Path, letters: str) -> frozenset[str]:
    """Those of `letters` that a font has a picture for."""
    try:
        font = ImageFont.truetype(str(path), 16)
    except OSError:
        return frozenset()
    missing = bytes(font.getmask("\U0010ffff"))
    return frozenset(c for c in set(letters) if bytes(font.getmask(c)) != missing)


@cache
def _usable(path: Path, script: str) -> tuple[tuple[str, ...], str]:
    units = _letters(script).units
    good = writable(path, "".join(sorted(set("".join(units)))))
    return tuple(u for u in units if set(u) <= good), "".join(sorted(writable(path, _MARKS)))


def random_line(rng: np.random.Generator, script: str, font: Path) -> str:
    """One line of a script's letters that the font has, with some punctuation; no language."""
    letters = _letters(script)
    units, marks = _usable(font, script)
    words = []
    for _ in range(int(rng.integers(letters.words[0], letters.words[1] + 1))):
        if "1" in marks and rng.random() < 0.04:
            words.append("".join(rng.choice([m for m in marks if m.isdigit()], int(rng.integers(1, 5)))))
            continue
        count = int(rng.integers(letters.length[0], letters.length[1] + 1))
        words.append("".join(units[int(i)] for i in rng.integers(0, len(units), count)))
    line = (" " if letters.spaced else "").join(words)
    if script in ("latin", "cyrillic", "greek"):
        how = rng.random()
        line = line.upper() if how < 0.1 else line[:1].upper() + line[1:]
    if marks and rng.random() < 0.7:
        line += str(rng.choice([m for m in marks if m in ".,!?…"] or [""]))
    if "-" in marks and rng.random() < 0.1:
        line = "- " + line
    return line


@cache
def trainable_scripts(held_out: bool) -> tuple[str, ...]:
    """Scripts with at least one font on that side of the split."""
    return tuple(script for script in FAMILIES if family_fonts(script, held_out))
