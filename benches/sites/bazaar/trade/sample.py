"""Rows of a shop, always the same for the same size, as tuples in the form in which Django stores them in SQLite.

Nothing is asked of Django's fields: three million rows would take minutes.  The test of `fill` reads rows back through
the models.
"""

import hashlib
import json
import random
from datetime import date, timedelta

WORDS = (
    "anchor barrel copper drawer early fabric garden hollow island jacket kettle ladder mirror narrow orange pepper "
    "quiet ribbon silver timber upper velvet winter yellow a and by for from in of on or the to with without blue "
    "green heavy light round square soft strong hand made box set pair piece pack bottle cloth stone paper leather "
    "délicieux grün straße jalapeño čaj łódź żółty мёд чай καφές 茶 絹 宝石 🍊 👩‍🌾"
).split()
# What careless dump formats stumble over.
TRAPS = [
    "first line\nsecond; DROP TABLE x; -- third",
    "a tab\tand a back\\slash and \\N and \\.",
    'she said "it\'s `fine`" %s %(name)s {}',
    "DOS line\r\nend, and one at the end\n",
    "NULL",
    "  spaces around  ",
    "'); INSERT INTO trade_label VALUES(1);\n",
    "e\u0301 is not \u00e9, \u202eturned\u202c, zero\u200bwidth",
]
STATES = ["open", "paid", "packed", "sent", "arrived", "returned"]
AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"
DAYS = [(date(2020, 1, 1) + timedelta(days=i)).isoformat() for i in range(2000)]
BIRTHDAYS = [(date(1940, 1, 1) + timedelta(days=i)).isoformat() for i in range(25_000)]
# Of 3,000,000 rows: how many go to each table.
PARTS = {
    "users": 20_000,
    "regions": 2_000,
    "labels": 500,
    "wares": 100_000,
    "buyers": 300_000,
    "orders": 600_000,
    "items": 1_595_000,
    "happenings": 165_000,
    "papers": 17_500,
}
WHOLE = 3_000_000


class Sample:
    """Each method yields the rows of one table; called in the order of `tables`, they are always the same."""

    def __init__(self, rows, password):
        self.rng = random.Random(f"bazaar {rows}")
        self.password = password
        self.count = {name: max(part * rows // WHOLE, min(part, 12)) for name, part in PARTS.items()}

    def tables(self):
        return [
            ("auth_user", self.users()),
            ("trade_region", self.regions()),
            ("trade_label", self.labels()),
            ("trade_ware", self.wares()),
            ("trade_ware_labels", self.ware_labels()),
            ("trade_buyer", self.buyers()),
            ("trade_order", self.orders()),
            ("trade_item", self.items()),
            ("trade_happening", self.happenings()),
            ("trade_paper", self.papers()),
        ]

    def keys(self, name):
        return range(1, self.count[name] + 1)

    def words(self, low, high):
        return " ".join(self.rng.choices(WORDS, k=low + int(self.rng.random() * (high - low + 1))))

    def below(self, limit):
        return int(self.rng.random() * limit)

    def key_of(self, name):
        return 1 + int(self.rng.random() * self.count[name])

    def moment(self):
        second, micro = divmod(int(self.rng.random() * 86_400_000_000), 1_000_000)
        minute, second = divmod(second, 60)
        # Django writes no fraction when it is zero; one in a million would be enough to tell.
        return f"{DAYS[self.below(2000)]} {minute // 60:02}:{minute % 60:02}:{second:02}.{micro or 1:06}"

    def money(self, limit):
        cents = 1 + self.below(limit * 100)
        return f"{cents // 100}.{cents % 100:02}"

    def users(self):
        for i in self.keys("users"):
            login = self.moment() if i % 3 else None
            yield {
                "id": i, "password": self.password, "last_login": login, "is_superuser": i == 1,
                "username": f"user{i}", "first_name": self.rng.choice(WORDS), "last_name": self.rng.choice(WORDS),
                "email": f"user{i}@example.com", "is_staff": i < 5, "is_active": True, "date_joined": self.moment(),
            }  # fmt: skip

    def regions(self):
        last = self.count["regions"]
        for i in self.keys("regions"):
            within = i + 1 if i % 7 == 0 and i < last else (i // 3 or None)
            yield {"id": i, "name": self.words(1, 3)[:80], "code": f"region-{i}", "within_id": within}

    def labels(self):
        for i in self.keys("labels"):
            yield {"id": i, "text": f"{WORDS[i % len(WORDS)]} {i}"}

    def wares(self):
        for i in self.keys("wares"):
            about = self.words(95, 245)
            if i % 20 == 0:
                about = TRAPS[i // 20 % len(TRAPS)] + (about if i % 40 else "")
            color, size, weight = self.rng.choice(WORDS), self.below(100), self.rng.random()
            facts = {"color": color, "sizes": [size, weight], "in": {"a": None, "b": i % 2 == 0, "ü": "😀\n"}}
            yield {
                "id": i, "region_id": self.key_of("regions"), "number": f"W{i:08}", "title": self.words(2, 6)[:160],
                "about": about, "price": self.money(90_000), "kilograms": self.rng.random() * 900 if i % 9 else None,
                "facts": json.dumps(facts), "picture": f"pictures/2024/{1 + i % 9:02}/ware-{i}.jpg" if i % 4 else "",
                "listed": self.moment(), "on_sale": i % 13 != 0,
            }  # fmt: skip

    def ware_labels(self):
        key = 0
        for ware in self.keys("wares"):
            first, step = self.below(self.count["labels"]), 1 + ware % 3
            for j in range(ware % 5):
                # Numbered with gaps, as links are that were removed and added again.
                key += 1 + ware % 2
                yield {"id": key, "ware_id": ware, "label_id": 1 + (first + j * step) % self.count["labels"]}

    def buyers(self):
        users = self.count["users"]
        for i in self.keys("buyers"):
            credit = self.below(10**9) - 10**7
            address = f"{self.words(2, 4)} {i}\n{10_000 + self.below(89_999)} {self.rng.choice(WORDS)}\r\nEU"
            yield {
                "id": i, "account_id": i if i <= users else None, "email": f"buyer{i}@example.org",
                "name": self.words(2, 3)[:100], "address": address,
                "born": BIRTHDAYS[self.below(25_000)] if i % 5 else None,
                "credit": f"{credit / 10_000:.4f}", "since": self.moment(),
            }  # fmt: skip

    def orders(self):
        for i in self.keys("orders"):
            remark = self.words(4, 14) if i % 3 == 0 else ""
            if i % 50 == 0:
                remark = TRAPS[i // 50 % len(TRAPS)]
            client = None
            if i % 4:
                client = f'{{"ip": "10.{i % 256}.{self.below(256)}.{self.below(256)}", "agent": "{AGENT}"}}'
            yield {
                "id": i, "buyer_id": self.key_of("buyers"), "number": f"ORDER-{i:010}", "placed": self.moment(),
                "state": STATES[i % 6], "remark": remark, "total": self.money(900_000), "client": client,
                "packing": self.below(10**12) if i % 6 == 0 else None,
            }  # fmt: skip

    def items(self):
        for i in self.keys("items"):
            yield {
                "id": i, "order_id": self.key_of("orders"), "ware_id": self.key_of("wares"),
                "pieces": 1 + self.below(20), "price": self.money(90_000),
            }  # fmt: skip

    def happenings(self):
        for i in self.keys("happenings"):
            number = self.rng.getrandbits(128)
            told = {"text": self.words(5, 25), "n": i, "big": 2**53 + i, "f": self.rng.random(), "l": [*range(i % 7)]}
            yield {
                # Version 4, variant 1, as uuid4() sets them.
                "id": f"{number & ~(0xF << 76 | 0x3 << 62) | 0x4 << 76 | 0x2 << 62:032x}",
                "order_id": self.key_of("orders") if i % 10 else None, "kind": self.rng.choice(WORDS)[:24],
                "told": json.dumps(told), "at": self.moment(),
            }  # fmt: skip

    def papers(self):
        for i in self.keys("papers"):
            scan = self.rng.randbytes(self.below(20_000) if i % 100 else 0)
            yield {
                "id": i, "order_id": self.key_of("orders"), "file": f"papers/2024/{1 + i % 9:02}/paper-{i}.pdf",
                "scan": scan, "sha256": hashlib.sha256(scan).hexdigest(),
            }  # fmt: skip
