"""Addresses as people at the destination write them, whatever language the mail is in.

The layouts are those of the national posts' addressing guides, which the UPU collects (S42, "Postal addressing
systems"); each case names its post. None of them is taken from the data that the code is built from.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from babel import Locale
from hypothesis import given
from hypothesis import strategies as st

from infra import addresses as build
from steps.contract.order_event import country_codes
from steps.mail import addresses, localise
from tests.support.sample_mails import email

if TYPE_CHECKING:
    from collections.abc import Mapping

READERS = ["en-US", "de-DE", "fr-FR", "es-MX", "ar-SA", "ja-JP", "de"]
TABLE = json.loads(addresses.TABLE.read_text("utf-8"))
PARTS = ("name", "company", "line1", "line2", "city", "region", "postalCode", "country")


def lines(address: Mapping[str, str], reader: str = "en-US") -> list[str]:
    return addresses.lines(address, localise.language(reader).locale)


def address(written: str, code: str) -> dict[str, str]:
    """Read "name | company | line1 | line2 | city | region | postalCode | country"."""
    values = (value.strip() for value in written.split("|"))
    return {part: value for part, value in zip(PARTS, values, strict=True) if value} | {
        "countryCode": code
    }


DESTINATIONS = [
    # USPS, Publication 28: city, state and ZIP Code on the last line.
    (
        "US",
        "Maya Hoffmann | Acme Inc | 48 Larkspur Lane | Apt 5 | Portland | OR | 97209 | United States",
        "Maya Hoffmann / Acme Inc / 48 Larkspur Lane / Apt 5 / Portland, OR 97209 / United States",
    ),
    # Canada Post, Addressing guidelines: municipality, province and code on one line.
    (
        "CA",
        "Lea Roy | | 111 Rue Wellington | | Ottawa | ON | K1A 0A9 | Canada",
        "Lea Roy / 111 Rue Wellington / Ottawa ON K1A 0A9 / Canada",
    ),
    # Correos de México: code, city, state.
    (
        "MX",
        "Ana Ruiz | | Av. Juárez 10 | Col. Centro | Puebla | Pue. | 72000 | México",
        "Ana Ruiz / Av. Juárez 10 / Col. Centro / 72000 Puebla, Pue. / México",
    ),
    # Correios: locality and state, then the CEP alone.
    (
        "BR",
        "João Reis | | Av. Paulista, 1000 | Bela Vista | São Paulo | SP | 01310-100 | Brasil",
        "João Reis / Av. Paulista, 1000 / Bela Vista / São Paulo-SP / 01310-100 / Brasil",
    ),
    # Deutsche Post (DIN 5008): code and town.
    (
        "DE",
        "Jo Ritter | | Domstr. 1 | | Würzburg | | 97070 | Deutschland",
        "Jo Ritter / Domstr. 1 / 97070 Würzburg / Deutschland",
    ),
    # Österreichische Post: as in Germany; Vienna is a region of its own, and its name stands once.
    (
        "AT",
        "Eva Wolf | | Ring 1 | Top 4 | Wien | Wien | 1010 | Österreich",
        "Eva Wolf / Ring 1 / Top 4 / 1010 Wien / Österreich",
    ),
    # Swiss Post: the code without a country's letters.
    (
        "CH",
        "Urs Frei | Frei AG | Bahnhofstr. 1 | | Zürich | | 8001 | Schweiz",
        "Frei AG / Urs Frei / Bahnhofstr. 1 / 8001 Zürich / Schweiz",
    ),
    # La Poste (AFNOR XP Z10-011): organisation, person, street, code and town.
    (
        "FR",
        "Luc Petit | Petit SARL | 1 rue de la Paix | | Paris | | 75002 | France",
        "Petit SARL / Luc Petit / 1 rue de la Paix / 75002 Paris / France",
    ),
    # Poste Italiane: CAP, place, the province's two letters.
    (
        "IT",
        "Rosa Neri | | Via Dante 1 | | Milano | MI | 20121 | Italia",
        "Rosa Neri / Via Dante 1 / 20121 Milano MI / Italia",
    ),
    # Correos: the province's name, which is left out where it is the city's.
    (
        "ES",
        "Pau Vila | | C/ Mayor 1 | 2º A | Móstoles | Madrid | 28931 | España",
        "Pau Vila / C/ Mayor 1 / 2º A / 28931 Móstoles Madrid / España",
    ),
    (
        "ES",
        "Pau Vila | | C/ Mayor 1 | | Madrid | Madrid | 28013 | España",
        "Pau Vila / C/ Mayor 1 / 28013 Madrid / España",
    ),
    # PostNL: code and town.
    (
        "NL",
        "Piet Bos | | Damrak 1 | | Amsterdam | | 1012 LG | Nederland",
        "Piet Bos / Damrak 1 / 1012 LG Amsterdam / Nederland",
    ),
    # Poczta Polska: code and post office.
    (
        "PL",
        "Ewa Nowak | | ul. Prosta 1 | m. 2 | Warszawa | | 00-838 | Polska",
        "Ewa Nowak / ul. Prosta 1 / m. 2 / 00-838 Warszawa / Polska",
    ),
    # PostNord: code and town.
    (
        "SE",
        "Åsa Berg | | Storgatan 1 | | Stockholm | | 114 55 | Sverige",
        "Åsa Berg / Storgatan 1 / 114 55 Stockholm / Sverige",
    ),
    # Magyar Posta: the town before the street, the code last.
    (
        "HU",
        "Kis Anna | | Fő utca 1. | | Budapest | | 1011 | Magyarország",
        "Kis Anna / Budapest / Fő utca 1. / 1011 / Magyarország",
    ),
    # Royal Mail, Clear addressing: post town and postcode on lines of their own; a county is not needed.
    (
        "GB",
        "Ann Lee | | 1 High Street | | Guildford | Surrey | GU1 3AA | United Kingdom",
        "Ann Lee / 1 High Street / Guildford / Surrey / GU1 3AA / United Kingdom",
    ),
    # An Post: county, then Eircode.
    (
        "IE",
        "Aoife Byrne | | 1 Main Street | | Naas | Co. Kildare | W91 X2Y3 | Ireland",
        "Aoife Byrne / 1 Main Street / Naas / Co. Kildare / W91 X2Y3 / Ireland",
    ),
    # Australia Post, Addressing guidelines: place, state, postcode.
    (
        "AU",
        "Kim Ho | | Unit 5 | 10 George St | Sydney | NSW | 2000 | Australia",
        "Kim Ho / Unit 5 / 10 George St / Sydney NSW 2000 / Australia",
    ),
    # NZ Post: town and postcode.
    (
        "NZ",
        "Ari Tane | | 1 Queen Street | CBD | Auckland | | 1010 | New Zealand",
        "Ari Tane / 1 Queen Street / CBD / Auckland 1010 / New Zealand",
    ),
    # Emirates Post: no postal codes.
    (
        "AE",
        "Sara Ali | | Villa 3, Al Wasl Road | | Dubai | Dubai | | United Arab Emirates",
        "Sara Ali / Villa 3, Al Wasl Road / Dubai / United Arab Emirates",
    ),
    # Saudi Post (SPL), National Address: city and code.
    (
        "SA",
        "سارة علي | | 7596 شارع العليا | حي الورود | الرياض | | 12253 | السعودية",
        "سارة علي / 7596 شارع العليا / حي الورود / الرياض 12253 / السعودية",
    ),
    # India Post: city and PIN, then the state.
    (
        "IN",
        "Asha Rao | | 12 MG Road | | Bengaluru | Karnataka | 560001 | India",
        "Asha Rao / 12 MG Road / Bengaluru 560001 / Karnataka / India",
    ),
    # SingPost: "Singapore" and the code.
    (
        "SG",
        "Lim Wei | | 10 Eunos Road 8 | #01-33 | Singapore | | 408600 | Singapore",
        "Lim Wei / 10 Eunos Road 8 / #01-33 / Singapore 408600 / Singapore",
    ),
    # PTT: code, district, province.
    (
        "TR",
        "Ece Kaya | | Moda Cad. 1 | | Kadıköy | İstanbul | 34710 | Türkiye",
        "Ece Kaya / Moda Cad. 1 / 34710 Kadıköy/İstanbul / Türkiye",
    ),
    # Japan Post: from the large to the small; the name last, with an honorific.
    (
        "JP",
        "山田 太郎 | 株式会社青空 | 丸の内1-9-1 | 青空ビル3階 | 千代田区 | 東京都 | 100-0005 | 日本",
        "日本 / 〒100-0005 / 東京都千代田区 / 丸の内1-9-1 / 青空ビル3階 / 株式会社青空 / 山田 太郎 様",
    ),
    # Japan Post, mail from abroad: in Latin letters it is the other way round.
    (
        "JP",
        "Taro Yamada | | 1-9-1 Marunouchi | | Chiyoda-ku | Tokyo | 100-0005 | Japan",
        "Taro Yamada / 1-9-1 Marunouchi / Chiyoda-ku, Tokyo 100-0005 / Japan",
    ),
    # Korea Post: province and district, street, name, and the code last.
    (
        "KR",
        "김민수 | | 세종대로 110 | | 중구 | 서울특별시 | 04524 | 대한민국",
        "대한민국 / 서울특별시 중구 / 세종대로 110 / 김민수 / 04524",
    ),
    # UPU S42, Rep. of Korea: in Latin letters from the small to the large.
    (
        "KR",
        "Kim Min-soo | | 110 Sejong-daero | | Jung-gu | Seoul | 04524 | South Korea",
        "Kim Min-soo / 110 Sejong-daero / Jung-gu / Seoul / 04524 / South Korea",
    ),
    # China Post: code, province and city, street, company, name.
    (
        "CN",
        "王伟 | 蓝天公司 | 天河路1号 | | 广州市 | 广东省 | 510000 | 中国",
        "中国 / 510000 / 广东省广州市 / 天河路1号 / 蓝天公司 / 王伟",
    ),
    # Chunghwa Post: likewise.
    (
        "TW",
        "林美 | | 信義路五段7號 | | 信義區 | 台北市 | 110 | 台灣",
        "台灣 / 110 / 台北市信義區 / 信義路五段7號 / 林美",
    ),
]


@pytest.mark.parametrize(
    ("code", "given_address", "expected"), DESTINATIONS, ids=[case[0] for case in DESTINATIONS]
)
@pytest.mark.parametrize("reader", READERS)
def test_an_address_is_written_as_at_its_destination(
    code: str, given_address: str, expected: str, reader: str
) -> None:
    assert " / ".join(lines(address(given_address, code), reader)) == expected


def test_a_mail_in_german_has_an_american_address_in_american_order() -> None:
    mail = email("order.confirmed", locale="de-DE")
    assert "Portland, Oregon 97209" in mail["text"]
    assert "Portland, Oregon 97209" in mail["html"]


def test_new_york_is_a_city_of_the_state_of_that_name() -> None:
    new_york = {"city": "New York", "region": "New York", "postalCode": "10001"}
    assert lines(new_york | {"countryCode": "US"}) == [
        "New York, New York 10001",
        "United States",
    ]


def test_a_region_that_is_its_country_is_shown_once() -> None:
    singapore = {"city": "Bedok", "region": "Singapore", "postalCode": "460001"}
    assert lines(singapore | {"country": "Singapore"}) == ["Bedok 460001", "Singapore"]


def test_an_ordinal_of_a_portuguese_floor_is_no_chinese_character() -> None:
    macao = {"name": "Rui Sá", "line1": "Rua Central 1, 5º andar", "countryCode": "MO"}
    assert lines(macao)[:2] == ["Rui Sá", "Rua Central 1, 5º andar"]


@pytest.mark.parametrize(
    ("missing", "expected"),
    [
        ("region", "Portland 97209"),
        ("city", "OR 97209"),
        ("postalCode", "Portland, OR"),
    ],
)
def test_what_separates_two_parts_goes_with_the_one_that_is_missing(
    missing: str, expected: str
) -> None:
    place = {"city": "Portland", "region": "OR", "postalCode": "97209"}
    del place[missing]
    assert lines(place | {"country": "USA"}) == [expected, "USA"]


# --- the country ----------------------------------------------------------------------------------


def test_a_country_is_shown_as_the_shop_writes_it_and_a_code_in_the_mail_s_language() -> None:
    place = {"city": "Bern", "postalCode": "3011", "countryCode": "CH"}
    assert lines(place | {"country": "Helvetia"}, "de-DE") == ["3011 Bern", "Helvetia"]
    named = [lines(place, reader)[-1] for reader in ("en-US", "de-DE", "fr-FR", "ja-JP", "ar-SA")]
    assert named == ["Switzerland", "Schweiz", "Suisse", "スイス", "سويسرا"]


@pytest.mark.parametrize(
    ("country", "code"),
    [
        ("DE", "DE"),
        ("de", "DE"),
        ("DEU", "DE"),
        ("Germany", "DE"),
        ("GERMANY", "DE"),
        ("Deutschland", "DE"),
        ("Allemagne", "DE"),
        ("ドイツ", "DE"),
        ("ألمانيا", "DE"),
        ("Polska", "PL"),
        ("The Netherlands", "NL"),
        ("U.S.A.", "US"),
        ("United States of America", "US"),
        ("UK", "GB"),
        ("England", "GB"),
        ("Georgia", "GE"),
        ("Finland", "FI"),
        ("Hong Kong", "HK"),
        ("Turkey", "TR"),
        ("Channel Islands", None),
        ("Korea", None),
        ("Atlantis", None),
        ("ZZ", None),
        ("EU", None),
        ("", None),
    ],
)
def test_a_country_is_known_by_its_codes_and_its_names(country: str, code: str | None) -> None:
    assert addresses.country_code({"country": country}) == code


def test_an_event_s_code_counts_for_more_than_its_country_s_name() -> None:
    assert addresses.country_code({"country": "Germany", "countryCode": "AT"}) == "AT"


PLACE = {"city": "Springfield", "region": "Illinois", "postalCode": "62701"}


def test_an_unknown_country_has_a_neutral_order() -> None:
    expected = ["62701 Springfield", "Illinois", "Atlantis"]
    assert lines(PLACE | {"country": "Atlantis"}, "en-US") == expected


def test_without_any_country_the_reader_s_territory_decides() -> None:
    assert lines(PLACE, "en-US") == ["Springfield, Illinois 62701"]
    assert lines(PLACE, "de-DE") == ["62701 Springfield", "Illinois"]
    assert lines(PLACE, "de") == ["62701 Springfield", "Illinois"]


def test_every_country_has_a_name_in_every_language_of_the_mails() -> None:
    for language in localise.languages():
        assert TABLE["formats"].keys() <= Locale.parse(language, sep="-").territories.keys()


# --- Japan ----------------------------------------------------------------------------------------

JAPANESE = {"line1": "北一条西2", "city": "札幌市", "postalCode": "060-8611", "countryCode": "JP"}


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("佐藤花子", "佐藤花子 様"),
        ("佐藤花子様", "佐藤花子様"),
        ("株式会社空 御中", "株式会社空 御中"),
        ("Ann Lee", "Ann Lee 様"),
    ],
)
def test_a_name_in_a_japanese_address_has_one_honorific(name: str, shown: str) -> None:
    for reader in READERS:
        assert lines(JAPANESE | {"name": name}, reader)[-1] == shown


def test_a_name_alone_tells_the_script() -> None:
    assert lines({"name": "佐藤花子", "countryCode": "JP"}, "ja-JP") == ["日本", "佐藤花子 様"]


def test_without_a_name_there_is_no_honorific() -> None:
    assert lines(JAPANESE, "ja-JP") == ["日本", "〒060-8611", "札幌市", "北一条西2"]


def test_the_postal_mark_stands_once() -> None:
    assert "〒060-8611" in lines(JAPANESE | {"postalCode": "〒060-8611"})


def test_latin_names_stay_apart_where_han_characters_are_written_together() -> None:
    assert "Tokyo Chiyoda" in lines(JAPANESE | {"city": "Chiyoda", "region": "Tokyo"})


# --- whatever is in it ----------------------------------------------------------------------------

GIVEN = st.sets(st.sampled_from(PARTS[:-1]), min_size=1)
CODES = st.sampled_from(sorted(TABLE["formats"]))
TEXT = {
    "latin": "Part{}",
    "han": "東{}西",
    "arabic": "شارع {}",
    "format": "%N%n%{}",
    "long": "{}" + "x" * 199,
}


@given(given_parts=GIVEN, code=CODES, script=st.sampled_from(sorted(TEXT)))
def test_each_part_is_shown_once_in_the_same_order_to_every_reader(
    given_parts: set[str], code: str, script: str
) -> None:
    place = {part: TEXT[script].format(PARTS.index(part)) for part in given_parts}
    shown = [lines(place | {"countryCode": code, "country": "Here"}, reader) for reader in READERS]
    assert all(others == shown[0] for others in shown)
    assert shown[0][-1] == "Here" or shown[0][0] == "Here"
    whole = "\n".join(shown[0])
    assert {part: whole.count(text) for part, text in place.items()} == dict.fromkeys(place, 1)
    assert all(line.strip(" ,-/〒") for line in shown[0])


@given(
    st.dictionaries(st.sampled_from((*PARTS, "countryCode")), st.text(max_size=9)),
    st.sampled_from(READERS),
)
def test_nothing_that_an_address_may_hold_is_too_much(
    anything: dict[str, str], reader: str
) -> None:
    assert all(lines(anything, reader))


# --- the table ------------------------------------------------------------------------------------


def test_every_code_that_an_event_may_have_is_in_the_table() -> None:
    assert country_codes() == TABLE["formats"].keys()


@pytest.mark.parametrize("code", sorted(TABLE["formats"]))
def test_a_format_has_each_field_once_and_no_words(code: str) -> None:
    for written in TABLE["formats"][code].split("\n"):
        fields = written.replace("%n", "").split("%")[1:]
        assert sorted(field[0] for field in fields) == sorted("NOACSZ")
        literals = {field[1:] for field in fields} | {written.partition("%")[0]}
        assert literals <= {"", " ", ", ", "-", " - ", "- ", "/", "〒"}
        assert not written.endswith(("%n", " ", "-"))


def test_a_name_is_one_country_s() -> None:
    assert set(TABLE["names"].values()) <= TABLE["formats"].keys()
    assert {addresses.name_key(name) for name in TABLE["names"]} == TABLE["names"].keys()


@pytest.mark.parametrize(
    ("country", "expected"),
    [
        # A field that no event has goes with what stands before it, or after it where it is the first.
        ({"fmt": "%N%n%O%n%A%n%D, %C%n%S %Z"}, "%N%n%O%n%A%n%C%n%S %Z"),
        ({"fmt": "%N%n%O%n%A%n%D%n%Z %C %X%n%S"}, "%N%n%O%n%A%n%Z %C%n%S"),
        # What the shop may give has a place: around the city, on the side of the country.
        ({"fmt": "%N%n%O%n%A%n%C"}, "%N%n%O%n%A%n%C%n%S%n%Z"),
        ({"fmt": "%N%n%O%n%A%n%S"}, "%N%n%O%n%A%n%C%n%S%n%Z"),
        ({"fmt": "%A%n%O%n%N"}, "%Z%n%S%n%C%n%A%n%O%n%N"),
        ({"fmt": "%N%n%O%n%A%n%C%nJERSEY%n%Z"}, "%N%n%O%n%A%n%C%n%S%n%Z"),
        ({"fmt": "%O%n%N%n%A%nCH-%Z %C", "postprefix": "CH-"}, "%O%n%N%n%A%n%Z %C%n%S"),
        ({}, addresses.NEUTRAL),
    ],
)
def test_a_format_is_made_for_the_fields_of_an_event(
    country: dict[str, str], expected: str
) -> None:
    assert build.formats(country) == expected


def test_the_table_is_small_and_names_its_source() -> None:
    assert addresses.TABLE.stat().st_size < 64 * 1024
    assert "CC BY 4.0" in TABLE["source"]


@pytest.mark.parametrize("language", localise.languages())
def test_a_country_is_known_by_its_name_in_every_language_of_the_mails(language: str) -> None:
    name = Locale.parse(language, sep="-").territories["NL"]
    assert addresses.country_code({"country": name}) == "NL"
