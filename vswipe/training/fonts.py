# ruff: noqa: RUF001 - letters of other scripts are what this file is about
"""Fonts and phrases to draw text with, by script.

Fonts are looked for among those of the system and in $VSWIPE_FONTS. Where none is found, Pillow's own scalable font
draws Latin text, so that everything works, with less variety, on a machine without fonts.
"""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from PIL import ImageFont, features

FONTS_VARIABLE = "VSWIPE_FONTS"


@dataclass(frozen=True)
class Script:
    """A writing system: phrases to draw, and beginnings of the file names of fonts that may hold its letters.

    Args:
        phrases: short lines of ordinary speech, written for this project.
        fonts: file name prefixes, lower case, without extension.
        shaped: whether letters join or reorder, which needs Pillow's Raqm layout.
    """

    phrases: tuple[str, ...]
    fonts: tuple[str, ...]
    shaped: bool = False


_WESTERN = ("dejavusans", "dejavuserif", "liberation", "notosans-", "notoserif-", "opensans", "roboto", "lato", "arial",
            "verdana", "tahoma", "trebuc", "georgia", "times", "cour", "calibri", "segoeui", "helvetica",
            "ubuntu-")  # fmt: skip
_CJK = ("notosanscjk", "notoserifcjk", "sourcehansans", "sourcehanserif")

SCRIPTS: dict[str, Script] = {
    "latin": Script(
        (
            "Where were you last night?", "I told you, I don't know.", "Wait for me!", "- Ready? - Always.",
            "It was 7:45 when he left.", "Don't touch that!", "We have to go now.", "Nobody will believe us.",
            "Très bien, à demain alors.", "Ça va être compliqué…", "¿Quién está ahí?", "¡Mañana será otro día!",
            "Über die Brücke, schnell!", "Das weiß ich doch längst.", "Não é possível, João.", "Příště přijď dřív.",
            "Jag älskar det här stället.", "Öyle değil, gerçekten.", "Czy ktoś mnie słyszy?", "E allora? Perché no?",
            "HELP IS ON THE WAY", "[door closes]", "(whispering) Over here", "(sings) la la la",
        ),
        _WESTERN,
    ),
    "cyrillic": Script(
        ("Где ты был вчера вечером?", "Я ничего не знаю.", "Подожди меня!", "Нам пора идти.", "Это невозможно, Ольга.",
         "Хто там? Відчиніть!", "Не сега, моля те."),
        ("dejavusans", "dejavuserif", "liberation", "notosans-", "arial")),
    "greek": Script(
        ("Πού ήσουν χθες το βράδυ;", "Δεν ξέρω τίποτα.", "Περίμενέ με!", "Πρέπει να φύγουμε.", "Όλα θα πάνε καλά."),
        ("dejavusans", "dejavuserif", "liberation", "notosans-", "arial")),
    "chinese": Script(
        ("你昨天晚上在哪里?", "我什么都不知道。", "等等我!", "我们现在必须走了",
         "没有人会相信我们的", "明天见,路上小心",
         "這件事很難說清楚", "請把門關上"),
        (*_CJK, "msyh", "simsun", "pingfang", "wqy")),
    "japanese": Script(
        ("昨日の夜はどこにいたの?", "何も知らないよ。", "待ってくれ!", "もう行かなきゃ",
         "誰も信じてくれない", "ありがとうございます", "また明日ね",
         "コーヒーをください"),
        (*_CJK, "yugoth", "meiryo", "hiragino", "ipa")),
    "korean": Script(
        ("어젯밤에 어디 있었어?", "아무것도 몰라요.", "기다려 줘!", "이제 가야 해",
         "아무도 믿지 않을 거야", "내일 봐요"),
        (*_CJK, "malgun", "nanum", "applesdgothic")),
    # Fonts of these two often hold no Latin punctuation.
    "arabic": Script(
        ("أين كنت الليلة الماضية؟", "لا أعرف شيئا", "انتظرني", "يجب أن نذهب الآن", "لن يصدقنا أحد"),
        ("notosansarabic", "notonaskharabic", "notokufiarabic", "amiri", "arial"), shaped=True),
    "hebrew": Script(
        ("איפה היית אתמול בלילה", "אני לא יודע כלום", "חכה לי", "אנחנו חייבים ללכת", "אף אחד לא יאמין"),
        ("notosanshebrew", "notoserifhebrew", "dejavusans.", "liberationsans-", "arial"), shaped=True),
    "thai": Script(
        ("เมื่อคืนคุณอยู่ที่ไหน", "ฉันไม่รู้อะไรเลย", "รอฉันด้วย", "เราต้องไปแล้ว", "ไม่มีใครเชื่อเรา"),
        ("notosansthai", "notoserifthai", "notoloopedthai", "leelawad"), shaped=True),
    "devanagari": Script(
        ("कल रात तुम कहाँ थे?", "मुझे कुछ नहीं पता।", "मेरा इंतज़ार करो!", "हमें अब जाना होगा", "कोई विश्वास नहीं करेगा"),
        ("notosansdevanagari", "notoserifdevanagari", "nirmala", "mangal"), shaped=True),
}  # fmt: skip


def font_folders() -> list[Path]:
    """Where fonts are looked for: $VSWIPE_FONTS first, then the places of the system."""
    chosen = [Path(p) for p in os.environ.get(FONTS_VARIABLE, "").split(os.pathsep) if p]
    home = Path.home()
    if sys.platform == "win32":
        return [*chosen, Path(os.environ.get("WINDIR", r"C:\Windows")) / "Fonts"]
    if sys.platform == "darwin":
        return [*chosen, Path("/System/Library/Fonts"), Path("/Library/Fonts"), home / "Library" / "Fonts"]
    shared = [Path("/usr/share/fonts"), Path("/usr/local/share/fonts")]
    return [*chosen, *shared, home / ".local" / "share" / "fonts", home / ".fonts"]


@cache
def _font_files() -> tuple[Path, ...]:
    # Sorted by name and one per name: the same fonts in another folder give the same drawings.
    files = {p.name.lower(): p for folder in reversed(font_folders()) if folder.is_dir()
             for p in folder.rglob("*") if p.suffix.lower() in (".ttf", ".otf", ".ttc")}  # fmt: skip
    return tuple(files[name] for name in sorted(files))


@cache
def fonts_for(script: str) -> tuple[Path, ...]:
    """Font files that can write a script; empty where none is installed."""
    entry = SCRIPTS[script]
    if entry.shaped and not features.check("raqm"):
        return ()
    # Symbols, maths and emoji of these families hold no letters.
    unfit = ("math", "symbol", "emoji", "mono")
    named = ((path, path.name.lower()) for path in _font_files())
    fit = (path for path, name in named if name.startswith(entry.fonts) and not any(x in name for x in unfit))
    return tuple(path for path in fit if _holds(path, "".join(entry.phrases)))


def _holds(path: Path, text: str) -> bool:
    """Whether a font has a picture of its own for every letter, not the box that stands for a missing one."""
    try:
        font = ImageFont.truetype(str(path), 16)
    except OSError:
        return False
    missing = bytes(font.getmask("\U0010ffff"))  # not a character: no font has it
    return all(bytes(font.getmask(letter)) != missing for letter in sorted(set(text)) if not letter.isspace())


@cache
def scripts_available() -> tuple[str, ...]:
    """Scripts that can be drawn here; "latin" always can."""
    return tuple(name for name in SCRIPTS if name == "latin" or fonts_for(name))


@cache
def load_font(path: Path | None, size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    """A font at a pixel size; Pillow's own where path is None."""
    return ImageFont.load_default(size) if path is None else ImageFont.truetype(str(path), size)
