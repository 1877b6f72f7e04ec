"""Words, texts and moments drawn from a random generator."""

import datetime as dt

EPOCH = dt.datetime(2021, 1, 1, tzinfo=dt.timezone.utc)
YEARS = 4 * 365 * 86_400

WORDS = (
    "river lantern winter garden paper harbour silence orchard copper window mountain letter stranger morning "
    "shadow engine sparrow island clock thunder market candle desert promise glass forest winding border salt "
    "Straße Übermut façade naïve señora œuvre žena książka Δελφοί тишина книга قصة كتاب ספר 物語 図書館 故事 😀 👩‍🚀"
).split()

# Texts on which careless dumps and loaders trip.
NASTY = [
    "",
    "NULL",
    "\\N",
    "None",
    'it\'s "quoted" and `ticked`; DROP TABLE books_book; --',
    "first line\nsecond line\n\nfourth line\n",
    "DOS line\r\nnext DOS line\r\n",
    "tab\tbackslash\\ percent % %s %(name)s {brace} {{ django }}",
    "  spaces in front and behind  ",
    "👩‍👩‍👧‍👦 family, 🏳️‍🌈 flag, \U0001f600, \U0002070e outside the first plane",
    "e\u0301 is not \u00e9; \u202eright to left\u202c; zero\u200bwidth; \ufeffmark",
    "<script>alert('&amp;')</script> ]]> <!-- -->",
    "0",
    "1e5",
    "line\u2028separator and \x7f delete and \x1b[31mescape",
]


def phrase(rng, low, high):
    return " ".join(rng.choices(WORDS, k=rng.randint(low, high)))


def text(rng, number, low, high):
    """A text of `low` to `high` words; every ninth one is or starts with a nasty one."""
    if number % 9:
        return phrase(rng, low, high)
    nasty = NASTY[number // 9 % len(NASTY)]
    return nasty if number % 2 else nasty + phrase(rng, low, high)


def moment(rng):
    return EPOCH + dt.timedelta(seconds=rng.randrange(YEARS), microseconds=rng.randrange(10**6))


def day(rng, first=1850, last=2024):
    return dt.date(rng.randint(first, last), rng.randint(1, 12), rng.randint(1, 28))


def span(rng):
    return dt.timedelta(seconds=rng.randrange(10**6), microseconds=rng.randrange(10**6))
