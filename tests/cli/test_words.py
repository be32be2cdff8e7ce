"""What the command line says in Chinese: everything, with the same placeholders, found however LANG is written."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from string import Formatter

import pytest
from babel.messages.catalog import Catalog

from engine.cli.translations import catalogues, compiled, fresh, sentences
from engine.cli.words import LOCALES, catalogue, language

HERE = Path(__file__).parents[2]
CHINESE = LOCALES / "zh" / "LC_MESSAGES" / "outreach.po"


@pytest.fixture(scope="module")
def chinese() -> Catalog:
    return dict(catalogues())[CHINESE]


def texts(value: str | tuple[str, ...] | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else list(value)


def holes(text: str) -> set[str]:
    return {name for _text, name, _format, _conversion in Formatter().parse(text) if name is not None}


def test_every_sentence_is_translated(chinese: Catalog) -> None:
    missing = []
    for sentence in sentences():
        found = chinese.get(texts(sentence)[0])
        if found is None or not all(texts(found.string)):
            missing.append(sentence)

    assert missing == [], "write them in outreach.po, then: python -m engine.cli.translations"


def test_a_translation_fills_in_what_its_sentence_fills_in(chinese: Catalog) -> None:
    for message in chinese:
        if message.id:
            for text in texts(message.string):
                assert holes(text) == set().union(*map(holes, texts(message.id))), message.id


def test_translations_of_sentences_that_are_gone_are_gone_too(chinese: Catalog) -> None:
    known = {texts(sentence)[0] for sentence in sentences()}

    assert {texts(message.id)[0] for message in chinese if message.id} <= known


def test_what_gettext_reads_is_made_from_what_translators_write(chinese: Catalog) -> None:
    assert CHINESE.with_suffix(".mo").read_bytes() == compiled(fresh(chinese))


def test_sentences_inside_of_f_strings_are_found_too() -> None:
    assert {"error", "consent", "stage", "dry run: nothing was written"} <= set(sentences())


@pytest.mark.parametrize(
    ("environment", "spoken"),
    [
        ({"LANG": "zh_CN.UTF-8"}, "zh"),
        ({"LANG": "zh_CN"}, "zh"),
        ({"LANG": "zh"}, "zh"),
        ({"LANG": "zh_HK.UTF-8"}, "zh"),
        ({"LANG": "zh-CN"}, "zh"),
        ({"LANG": "zh_CN.GB18030@radical"}, "zh"),
        ({"LC_ALL": "zh_CN.UTF-8", "LANG": "en_US.UTF-8"}, "zh"),
        ({"LC_ALL": "C", "LANG": "zh_CN.UTF-8"}, "en"),
        ({"LC_MESSAGES": "zh_CN.UTF-8", "LANG": "de_DE.UTF-8"}, "zh"),
        ({"LANGUAGE": "zh_CN:en", "LANG": "en_US.UTF-8"}, "zh"),
        ({"LANGUAGE": "en:zh", "LANG": "zh_CN.UTF-8"}, "en"),
        ({"LANGUAGE": "fr:zh", "LANG": "fr_FR.UTF-8"}, "zh"),
        ({"LANGUAGE": "", "LANG": "zh_CN.UTF-8"}, "zh"),
        ({"LANG": "de_DE.UTF-8"}, "en"),
        ({"LANG": "C.UTF-8"}, "en"),
        ({}, "en"),
    ],
)
def test_the_language_is_the_first_one_wished_for_that_is_spoken(environment: dict[str, str], spoken: str) -> None:
    assert language(environment) == spoken


def test_counts_are_told_in_chinese_and_english() -> None:
    sentence = ("{count} error", "{count} errors")

    assert catalogue("zh").ngettext(*sentence, 2) == "{count} 个错误"
    assert catalogue("en").ngettext(*sentence, 1) == "{count} error"


def test_help_and_mistakes_are_chinese_for_who_speaks_it(tmp_path: Path) -> None:
    plain = {name: value for name, value in os.environ.items() if not name.startswith(("LANG", "LC_"))}
    environment = {**plain, "LANG": "zh_HK.UTF-8", "PYTHONPATH": str(HERE), "PYTHONUTF8": "1"}
    command = [sys.executable, "-m", "engine.cli.main"]

    def said(*words: str) -> str:
        ended = subprocess.run(
            [*command, *words], cwd=tmp_path, env=environment, capture_output=True, encoding="utf-8", check=False
        )
        return ended.stdout + ended.stderr

    help_text = said("publish", "--help")
    assert all(word in help_text for word in ("用法", "选项", "参数", "不再询问", "显示本说明后退出"))
    assert "错误: 没有命令 pubish；您是想写 publish 吗？" in said("pubish")
