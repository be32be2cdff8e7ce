"""Where a person's day is, when they did not say: by telephone prefix, then by country, then the shop's.

A prefix tells more than its country only where numbers are dealt out by place: North America, Australia and Brazil are
kept here. For the rest the country's main zone answers, from the zone.tab of the tz database.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import resources

import phonenumbers

# zone.tab lists the zones of a country by place; where the first is not where most people live, it is named here
_MAIN = {"AU": "Australia/Sydney", "BR": "America/Sao_Paulo", "CA": "America/Toronto", "RU": "Europe/Moscow"}

_AREAS = {
    # United States
    "America/New_York": """
        +1201 +1202 +1203 +1207 +1212 +1215 +1216 +1220 +1223 +1227 +1229 +1231 +1234 +1239 +1240 +1248 +1252
        +1260 +1267 +1269 +1272 +1276 +1283 +1301 +1302 +1304 +1305 +1313 +1315 +1317 +1321 +1324 +1326 +1329
        +1330 +1332 +1336 +1339 +1347 +1351 +1352 +1363 +1380 +1386 +1401 +1404 +1407 +1410 +1412 +1413 +1419
        +1423 +1434 +1440 +1443 +1445 +1463 +1470 +1472 +1475 +1478 +1484 +1502 +1508 +1513 +1516 +1517 +1518
        +1540 +1551 +1561 +1567 +1570 +1571 +1574 +1582 +1585 +1586 +1603 +1606 +1607 +1609 +1610 +1614 +1616
        +1617 +1631 +1640 +1645 +1646 +1656 +1667 +1678 +1680 +1681 +1686 +1689 +1703 +1704 +1706 +1716 +1717
        +1718 +1724 +1727 +1728 +1732 +1734 +1740 +1743 +1754 +1757 +1762 +1765 +1770 +1771 +1772 +1774 +1781
        +1786 +1802 +1803 +1804 +1810 +1812 +1813 +1814 +1821 +1826 +1828 +1835 +1838 +1839 +1843 +1845 +1848
        +1854 +1856 +1857 +1859 +1860 +1862 +1863 +1864 +1865 +1878 +1904 +1906 +1908 +1910 +1912 +1914 +1917
        +1919 +1929 +1930 +1934 +1937 +1941 +1943 +1947 +1948 +1954 +1959 +1973 +1978 +1980 +1984 +1989""",
    "America/Chicago": """
        +1205 +1210 +1214 +1217 +1218 +1219 +1224 +1225 +1228 +1235 +1251 +1254 +1256 +1262 +1270 +1274 +1281
        +1308 +1309 +1312 +1314 +1316 +1318 +1319 +1320 +1325 +1327 +1331 +1334 +1337 +1346 +1353 +1361 +1364
        +1402 +1405 +1409 +1414 +1417 +1430 +1432 +1447 +1448 +1464 +1469 +1479 +1501 +1504 +1507 +1512 +1515
        +1531 +1534 +1539 +1557 +1563 +1572 +1573 +1580 +1601 +1605 +1608 +1612 +1615 +1618 +1620 +1629 +1630
        +1636 +1641 +1651 +1659 +1660 +1662 +1682 +1701 +1708 +1712 +1713 +1715 +1726 +1730 +1731 +1737 +1763
        +1769 +1773 +1779 +1785 +1806 +1815 +1816 +1817 +1830 +1832 +1847 +1850 +1870 +1872 +1901 +1903 +1913
        +1918 +1920 +1931 +1936 +1938 +1940 +1945 +1952 +1956 +1972 +1975 +1979 +1985""",
    "America/Denver": "+1208 +1303 +1307 +1385 +1406 +1435 +1505 +1575 +1719 +1720 +1748 +1801 +1915 +1970 +1983 +1986",
    "America/Phoenix": "+1480 +1520 +1602 +1623 +1928",
    "America/Los_Angeles": """
        +1206 +1209 +1213 +1253 +1279 +1310 +1323 +1341 +1350 +1360 +1369 +1408 +1415 +1424 +1425 +1442 +1458
        +1503 +1509 +1510 +1530 +1541 +1559 +1562 +1564 +1619 +1626 +1628 +1650 +1657 +1661 +1669 +1702 +1707
        +1714 +1725 +1738 +1747 +1760 +1775 +1805 +1818 +1820 +1831 +1840 +1858 +1909 +1916 +1925 +1949 +1951
        +1971""",
    "America/Anchorage": "+1907",
    "Pacific/Honolulu": "+1808",
    # Canada
    "America/Toronto": """
        +1226 +1249 +1263 +1273 +1289 +1343 +1354 +1365 +1367 +1382 +1416 +1418 +1437 +1438 +1450 +1468 +1514
        +1519 +1548 +1579 +1581 +1613 +1647 +1683 +1705 +1742 +1753 +1807 +1819 +1873 +1905 +1942""",
    "America/Halifax": "+1428 +1506 +1782 +1902",
    "America/St_Johns": "+1709 +1879",
    "America/Winnipeg": "+1204 +1431 +1584",
    "America/Regina": "+1306 +1474 +1639",
    "America/Edmonton": "+1368 +1403 +1587 +1780 +1825 +1867",
    "America/Vancouver": "+1236 +1250 +1257 +1604 +1672 +1778",
    # Australia (landlines; mobile numbers are not dealt out by place)
    "Australia/Sydney": "+612",
    "Australia/Melbourne": "+613",
    "Australia/Brisbane": "+617",
    "Australia/Adelaide": "+618",
    "Australia/Perth": "+6186 +6189",
    "Australia/Darwin": "+61889",
    # Brazil, away from its main zone
    "America/Cuiaba": "+5565 +5566",
    "America/Campo_Grande": "+5567",
    "America/Rio_Branco": "+5568",
    "America/Porto_Velho": "+5569",
    "America/Manaus": "+5592 +5597",
    "America/Boa_Vista": "+5595",
}


def find_zone(own: str | None, phone: str | None, country: str | None, shop: str) -> str:
    """The zone a person's day is reckoned in: their own, else by phone (E.164), else by country, else the shop's."""
    if own:
        return own
    return (phone and zone_of_phone(phone)) or (country and zone_of_country(country)) or shop


def zone_of_phone(phone: str) -> str | None:
    """The zone a number in E.164 belongs to by its prefix, as far as it tells."""
    areas = _areas()
    for length in range(min(len(phone), 6), 2, -1):
        if zone := areas.get(phone[:length]):
            return zone
    return zone_of_country(_country_of_phone(phone))


def zone_of_country(country: str | None) -> str | None:
    """The zone most people of a country (ISO 3166 alpha-2) live in."""
    return _countries().get(country) if country else None


def is_country(code: str) -> bool:
    """Is this a country's two capital letters?"""
    return code in _names()


def _country_of_phone(phone: str) -> str | None:
    code = _calling_code(phone)
    regions = phonenumbers.region_codes_for_country_code(code) if code else ()
    if len(regions) == 1:
        return regions[0]
    try:  # countries that share a code: the library looks closer
        return phonenumbers.region_code_for_number(phonenumbers.parse(phone))
    except phonenumbers.NumberParseException:
        return None


def _calling_code(phone: str) -> int | None:
    for length in (1, 2, 3):
        if phone[1 : 1 + length].isdigit() and int(phone[1 : 1 + length]) in phonenumbers.COUNTRY_CODE_TO_REGION_CODE:
            return int(phone[1 : 1 + length])
    return None


@cache
def _areas() -> Mapping[str, str]:
    return {prefix: zone for zone, prefixes in _AREAS.items() for prefix in prefixes.split()}


@cache
def _countries() -> Mapping[str, str]:
    found: dict[str, str] = {}
    for line in _table("zone.tab"):
        country, _, zone = line[:3]
        found.setdefault(country, zone)
    return found | _MAIN


@cache
def _names() -> Mapping[str, str]:
    return {line[0]: line[1] for line in _table("iso3166.tab")}


def _table(name: str) -> list[list[str]]:
    text = (resources.files("tzdata") / "zoneinfo" / name).read_text(encoding="utf-8")
    return [line.split("\t") for line in text.splitlines() if line and not line.startswith("#")]
