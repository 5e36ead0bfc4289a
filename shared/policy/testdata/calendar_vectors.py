"""Writes calendar_vectors.json: due dates and holidays reckoned by other people's libraries.

Run in a virtual environment with holidays==0.109 and python-dateutil==2.9.0.post0:
    python calendar_vectors.py > calendar_vectors.json
"""
import datetime as dt
import json
import random
from zoneinfo import ZoneInfo

import dateutil
import holidays
from dateutil.relativedelta import relativedelta

YEARS = range(2024, 2032)
PLACES = {"PL": ("PL", None), "NO": ("NO", None), "BE": ("BE", None), "DE": ("DE", None), "FR": ("FR", None), "IE": ("IE", None),
          "GB": ("GB", "ENG"), "US": ("US", None), "US-CA": ("US", "CA"), "BR": ("BR", None), "CH": ("CH", None)}
ZONES = ["UTC", "Europe/Warsaw", "Europe/Oslo", "Europe/London", "America/New_York", "America/Los_Angeles", "America/Sao_Paulo", "Pacific/Auckland"]


def free_days(code):
    country, state = PLACES[code]
    days = holidays.country_holidays(country, subdiv=state, years=YEARS)
    found = set()
    for day, name in days.items():
        if code == "US-CA":
            # Gov. Code 6701 moves a Sunday to Monday, and of the Saturdays only 11 November; 15 February is a day of
            # remembrance, not a day off. The library follows the federal rule.
            if "(observed)" in name and day.weekday() == 4 and "Veterans" not in name:
                continue
            if name == "Susan B. Anthony Day":
                continue
        found.add(day)
    return found


FREE = {code: free_days(code) for code in PLACES}


def works(day, code):
    return day.weekday() < 5 and day not in FREE.get(code, ())


def main():
    rnd = random.Random(20261122)
    first, last = dt.datetime(2024, 1, 1, tzinfo=dt.timezone.utc), dt.datetime(2030, 9, 20, tzinfo=dt.timezone.utc)
    vectors = []
    for n in range(2600):
        at = first + dt.timedelta(seconds=rnd.randrange(int((last - first).total_seconds())))
        zone = rnd.choice(ZONES)
        code = rnd.choice(list(PLACES) + ["", "weekends"])
        day = at.astimezone(ZoneInfo(zone)).date()
        months = days = business = 0
        kind = n % 4
        if kind < 2:
            months = rnd.choice([1, 1, 2, 3])
            due = day + relativedelta(months=+months)
        elif kind == 2:
            days = rnd.choice([15, 30, 45, 90])
            due = day + relativedelta(days=+days)
        else:
            business, due = rnd.choice([10, 15]), day
            left = business
            while left:
                due += dt.timedelta(days=1)
                left -= works(due, code)
        while code and not business and not works(due, code):
            due += dt.timedelta(days=1)
        vectors.append([code, zone, at.strftime("%Y-%m-%dT%H:%M:%SZ"), months, days, business, due.isoformat()])
    print("{")
    print(f' "made_with": "holidays {holidays.__version__}, python-dateutil {dateutil.__version__}",')
    print(' "holidays": {')
    rows = [f'  {json.dumps(c)}: {json.dumps([d.isoformat() for d in sorted(FREE[c]) if d.year < 2031])}' for c in PLACES]
    print(",\n".join(rows))
    print(' },\n "vectors": [')
    print(",\n".join("  " + json.dumps(v) for v in vectors))
    print(" ]\n}")


main()
