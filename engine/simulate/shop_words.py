"""What the sample shop is made of: countries, zones, names, goods and telephone ranges. Data only; `shop` deals it out.

Telephone numbers. Where a regulator keeps numbers free for films and books, they come from there:

    US, CA   555-0100 to 555-0199 of an area code (North American Numbering Plan)
    GB       020 7946 0000 to 0999 and its like in four other cities (Ofcom)
    DE       five landline blocks of 1,000, Berlin 23125 000 to 999 and its like (Bundesnetzagentur, notice 148/2021)
    AU       (0x) 5550 xxxx (ACMA)

Elsewhere nothing is reserved: China gets the start of 145, a range for data cards that take no calls, and the other
countries the block around the example number of libphonenumber. Numbers of a country are dealt out in order; whoever
comes after the last one has no telephone. The sample shop is for simulated providers: never dial these.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Place:
    """One country: how many of a hundred live there, and their zones, locales and telephone blocks."""

    share: float
    zones: Mapping[str, float]
    locales: Mapping[str, float]
    phones: tuple[tuple[str, int], ...]  # (what a number starts with, how many digits follow)
    chats: float = 0.0  # how likely they use WeChat


PLACES: Mapping[str, Place] = {
    "CN": Place(
        55, {"Asia/Shanghai": 97, "Asia/Urumqi": 3}, {"zh-CN": 98, "en": 2}, (("+861450000", 4), ("+86145000", 5)), 0.88
    ),
    "HK": Place(9, {"Asia/Hong_Kong": 1}, {"zh-Hant-HK": 80, "en": 20}, (("+85251234", 3),), 0.55),
    "TW": Place(8, {"Asia/Taipei": 1}, {"zh-Hant-TW": 96, "en": 4}, (("+886912345", 3),), 0.2),
    "US": Place(
        8,
        {
            "America/New_York": 40,
            "America/Chicago": 24,
            "America/Los_Angeles": 22,
            "America/Denver": 7,
            "America/Phoenix": 4,
            "Pacific/Honolulu": 2,
            "America/Anchorage": 1,
        },
        {"en-US": 86, "zh-CN": 9, "es-US": 5},
        tuple((f"+1{area}55501", 2) for area in (212, 312, 415, 303, 602, 808, 907, 617, 404, 713, 206, 503)),
        0.06,
    ),
    "DE": Place(
        6,
        {"Europe/Berlin": 1},
        {"de": 93, "en": 7},
        (("+493023125", 3), ("+494066969", 3), ("+496990009", 3), ("+492214710", 3), ("+498999998", 3)),
    ),
    "GB": Place(
        4,
        {"Europe/London": 1},
        {"en-GB": 1},
        (("+442079460", 3), ("+441614960", 3), ("+441314960", 3), ("+442920180", 3), ("+441134960", 3)),
    ),
    "JP": Place(3, {"Asia/Tokyo": 1}, {"ja": 94, "en": 6}, (("+81901234", 4),)),
    "AU": Place(
        3,
        {
            "Australia/Sydney": 40,
            "Australia/Melbourne": 24,
            "Australia/Brisbane": 18,
            "Australia/Perth": 10,
            "Australia/Adelaide": 6,
            "Australia/Darwin": 2,
        },
        {"en-AU": 88, "zh-CN": 12},
        (("+6125550", 4), ("+6135550", 4), ("+6175550", 4), ("+6185550", 4)),
        0.12,
    ),
    "AT": Place(2, {"Europe/Vienna": 1}, {"de-AT": 1}, (("+436641234", 3),)),
    "CA": Place(
        1,
        {"America/Toronto": 60, "America/Vancouver": 30, "America/Halifax": 8, "America/St_Johns": 2},
        {"en-CA": 76, "fr-CA": 24},
        tuple((f"+1{area}55501", 2) for area in (416, 604, 902, 709, 514, 403)),
    ),
    "SG": Place(1, {"Asia/Singapore": 1}, {"en-SG": 68, "zh-Hans-SG": 32}, (("+6581234", 3),), 0.3),
}

# Each name with the letters it has in an e-mail address.
Names = tuple[tuple[str, str], ...]


def _same(*words: str) -> Names:
    plain = str.maketrans(
        {"ä": "ae", "ö": "oe", "ü": "ue", "ß": "ss", "é": "e", "è": "e", "ë": "e", "ç": "c", "'": "", " ": ""}
    )
    return tuple((word, word.lower().translate(plain)) for word in words)


@dataclass(frozen=True)
class People:
    first: Names
    last: Names


_HANS = People(
    (
        ("伟", "wei"), ("芳", "fang"), ("娜", "na"), ("敏", "min"), ("静", "jing"), ("磊", "lei"), ("洋", "yang"),
        ("艳", "yan"), ("勇", "yong"), ("杰", "jie"), ("子涵", "zihan"), ("雨桐", "yutong"), ("梓萱", "zixuan"),
        ("浩然", "haoran"), ("思远", "siyuan"), ("佳怡", "jiayi"), ("晨曦", "chenxi"), ("一诺", "yinuo"),
        ("明轩", "mingxuan"), ("若溪", "ruoxi"),
    ),
    (
        ("王", "wang"), ("李", "li"), ("张", "zhang"), ("刘", "liu"), ("陈", "chen"), ("杨", "yang"), ("赵", "zhao"),
        ("黄", "huang"), ("周", "zhou"), ("吴", "wu"), ("徐", "xu"), ("孙", "sun"), ("胡", "hu"), ("朱", "zhu"),
        ("欧阳", "ouyang"), ("司徒", "situ"),
    ),
)  # fmt: skip
_HANT = People(
    (
        ("嘉欣", "kayan"), ("家豪", "kaho"), ("詠琪", "wingki"), ("子軒", "tszhin"), ("美玲", "meiling"),
        ("志明", "chiming"), ("雅婷", "yating"), ("冠宇", "guanyu"), ("怡君", "yijun"), ("宗翰", "zonghan"),
        ("曉彤", "hiutung"), ("俊傑", "chunkit"),
    ),
    (
        ("陳", "chan"), ("黃", "wong"), ("張", "cheung"), ("林", "lam"), ("劉", "lau"), ("鄭", "cheng"),
        ("謝", "tse"), ("蔡", "tsai"), ("許", "hsu"), ("歐陽", "auyeung"),
    ),
)  # fmt: skip
_JA = People(
    (
        ("陽菜", "hina"), ("葵", "aoi"), ("結衣", "yui"), ("蓮", "ren"), ("湊", "minato"), ("翔太", "shota"),
        ("美咲", "misaki"), ("健一", "kenichi"), ("さくら", "sakura"), ("大輔", "daisuke"),
    ),
    (
        ("佐藤", "sato"), ("鈴木", "suzuki"), ("高橋", "takahashi"), ("田中", "tanaka"), ("伊藤", "ito"),
        ("渡辺", "watanabe"), ("山本", "yamamoto"), ("中村", "nakamura"),
    ),
)  # fmt: skip
_DE = People(
    _same(
        "Anna", "Jörg", "Lena", "Jürgen", "Käthe", "Felix", "Miriam", "Sören", "Greta", "Lukas", "Hannah", "Björn",
        "Annika", "Till",
    ),
    _same(
        "Müller", "Schäfer", "Weiß", "Fischer", "Köhler", "Hoffmann", "Krüger", "Vogel", "Jung", "Böhm", "Straßer",
        "Lindner",
    ),
)  # fmt: skip
_EN = People(
    _same(
        "Emma", "Liam", "Olivia", "Noah", "Zoë", "Aiden", "Mia", "Caleb", "Grace", "Hamish", "Priya",
        "Diego", "Mary Ann", "Tariq", "Shannon",
    ),
    _same(
        "Smith", "O'Brien", "Johnson", "Patel", "Nguyen", "Garcia", "Wilson", "D'Angelo", "Campbell", "Okafor",
        "Fitzgerald", "Lee",
    ),
)  # fmt: skip
_FR = People(_same("Amélie", "François", "Geneviève", "Mathieu", "Élodie"), _same("Tremblay", "Gagné"))

NAMES: Mapping[str, People] = {"zh-Hant": _HANT, "zh": _HANS, "ja": _JA, "de": _DE, "fr": _FR, "en": _EN, "es": _EN}
"""By the start of a locale; the longest that fits."""


@dataclass(frozen=True)
class Good:
    sku: str
    category: str
    price: int  # CNY
    names: Mapping[str, str]  # by the start of a locale


def _good(sku: str, category: str, price: int, en: str, de: str, hans: str, hant: str) -> Good:
    return Good(sku, category, price, {"en": en, "de": de, "zh": hans, "zh-Hant": hant})


GOODS: tuple[Good, ...] = (
    _good("CA-101", "candles", 89, "Beeswax candle", "Bienenwachskerze", "蜂蜡蜡烛", "蜂蠟蠟燭"),
    _good("CA-204", "candles", 168, "Scented candle, fig", "Duftkerze Feige", "无花果香薰蜡烛", "無花果香薰蠟燭"),
    _good("CA-310", "candles", 239, "Brass candlestick", "Kerzenleuchter aus Messing", "黄铜烛台", "黃銅燭台"),
    _good("KI-115", "kitchen", 129, "Stoneware mug", "Becher aus Steinzeug", "粗陶马克杯", "粗陶馬克杯"),
    _good("KI-220", "kitchen", 318, "Cast iron teapot", "Gusseiserne Teekanne", "铸铁茶壶", "鑄鐵茶壺"),
    _good("KI-305", "kitchen", 69, "Linen tea towel", "Geschirrtuch aus Leinen", "亚麻茶巾", "亞麻茶巾"),
    _good("TX-108", "textiles", 459, "Wool throw", "Wollplaid", "羊毛盖毯", "羊毛蓋毯"),
    _good("TX-212", "textiles", 198, "Cushion cover", "Kissenbezug", "抱枕套", "抱枕套"),
    _good("TX-330", "textiles", 689, "Linen bed set", "Leinenbettwäsche", "亚麻床品套件", "亞麻床品套裝"),
    _good("ST-104", "stationery", 49, "Letter paper", "Briefpapier", "信笺", "信箋"),
    _good("ST-118", "stationery", 79, "Notebook", "Notizbuch", "笔记本", "筆記本"),
    _good("TE-101", "tea", 118, "White tea", "Weißer Tee", "白茶", "白茶"),
    _good("TE-205", "tea", 88, "Jasmine tea", "Jasmintee", "茉莉花茶", "茉莉花茶"),
    _good("LI-102", "lighting", 399, "Paper lamp", "Papierleuchte", "纸灯", "紙燈"),
    _good("LI-210", "lighting", 899, "Reading lamp", "Leselampe", "阅读灯", "閱讀燈"),
    _good("GI-300", "gifts", 268, "Gift box", "Geschenkbox", "礼盒", "禮盒"),
)

QUERIES = ("candle", "mug", "lamp", "gift", "tea", "蜡烛", "礼物", "茶壶", "Kerze", "Geschenk")
BARGAINS = ("sale", "discount", "cheap gift", "优惠", "打折", "Rabatt")
RIVALS = ("othershop", "bargainhut")
GRIEVANCES = ("late delivery", "broken on arrival", "wrong item", "no answer from care")
AGENTS = ("mei", "jonas", "amara")
"""Who looks after a gold or black customer by name."""
