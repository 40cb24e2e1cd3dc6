"""What the generated shop sells, and to whom: goods, codes, names and places."""

from __future__ import annotations

Goods = tuple[tuple[str, int], ...]

# category, vendor, tags, (title, price in cents)
CATALOGUE: tuple[tuple[str, str, tuple[str, ...], Goods], ...] = (
    ("Coffee", "Rösterei Süd", ("fresh", "bestseller"), (
        ("House blend 500 g", 1290), ("Espresso Napoli 1 kg", 2490), ("Decaf 250 g", 890),
        ("Ethiopia Sidamo 250 g", 1190), ("Colombia Huila 250 g", 1150), ("Cold brew kit", 2900),
        ("Advent coffee calendar", 3990))),
    ("Tea", "Teekontor", ("fresh",), (
        ("Darjeeling first flush", 1590), ("Earl Grey 100 g", 790), ("Winter spice tea", 850), ("Matcha 30 g", 2190),
        ("Rooibos vanilla", 690), ("Tea advent calendar", 2790))),
    ("Brewing", "Hausmarke", ("gear",), (
        ("Hand grinder", 8900), ("French press", 3450), ("Pour-over set", 4200), ("Milk frother", 1990),
        ("Filter papers 100", 450), ("Digital scale", 5900), ("Espresso machine", 64900))),
    ("Mugs", "Atelier Lind", ("ceramic", "gift"), (
        ("Stoneware mug", 1690), ("Espresso cup pair", 2200), ("Travel mug", 2790), ("Glass cup set", 2450),
        ("Latte bowl", 1850), ("Christmas mug", 1590))),
    ("Sweets", "Pralinenhaus", ("gift",), (
        ("Truffles 12", 1890), ("Dark chocolate 70%", 490), ("Amaretti", 650), ("Marzipan hearts", 990),
        ("Gingerbread tin", 1690), ("Nougat bar", 550))),
    ("Gifts", "Hausmarke", ("gift", "set"), (
        ("Gift box small", 3900), ("Gift box large", 7900), ("Breakfast basket", 5900), ("Candle coffee bean", 1490),
        ("Greeting card", 350), ("Birthday set", 4500))),
    ("Kitchen", "Nordholz", ("wood",), (
        ("Serving board oak", 3900), ("Tea towel pair", 1690), ("Storage jar", 1290), ("Sugar bowl", 1490),
        ("Spoon set", 2290), ("Coaster set", 1190))),
)  # fmt: skip

CODES = {"WELCOME10": 0.10, "SUMMER15": 0.15, "XMAS20": 0.20, "THANKYOU5": 0.05}
OWN_TAGS = ("VIP", "Wholesale", "Press", "newsletter 2025", "Gift wrap")

FIRST_NAMES = (
    "Anna", "Ben", "Clara", "David", "Emma", "Felix", "Greta", "Hugo", "Ida", "Jonas", "Klara", "Leon", "Mia", "Noah",
    "Olga", "Paul", "Rosa", "Simon", "Tessa", "Ulrich", "Vera", "Wim", "Zoé", "Björn", "Søren", "Łucja", "Inés",
)  # fmt: skip
LAST_NAMES = (
    "Adler", "Becker", "Conrad", "Dietrich", "Eriksen", "Fischer", "Gruber", "Hansen", "Ivanova", "Jansen", "Keller",
    "Lehmann", "Müller", "Novak", "Olsen", "Peters", "Quist", "Richter", "Schmidt", "Tanaka", "Vogel", "Weber",
)  # fmt: skip

# country, region, city, postcode, language
CITIES: tuple[tuple[str, str | None, str, str, str], ...] = (
    ("DE", "BE", "Berlin", "10115", "de"), ("DE", "HH", "Hamburg", "20095", "de"),
    ("DE", "BY", "München", "80331", "de"), ("DE", "NW", "Köln", "50667", "de"),
    ("DE", "SN", "Leipzig", "04109", "de"), ("AT", None, "Wien", "1010", "de"),
    ("AT", None, "Graz", "8010", "de"), ("CH", "ZH", "Zürich", "8001", "de"), ("NL", None, "Utrecht", "3511", "nl"),
    ("FR", None, "Lyon", "69001", "fr"), ("IT", "MI", "Milano", "20121", "it"), ("GB", "ENG", "Leeds", "LS1", "en"),
    ("US", "NY", "New York", "10001", "en"),
)  # fmt: skip
