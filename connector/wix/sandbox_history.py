"""A past for a generated site that the world does not tell: newsletters and who opened them, visits of known people."""

from __future__ import annotations

from random import Random

from connector.sandbox.records import guid
from connector.wix.sandbox_site import Campaign, Site

DAY = 86_400
MONTHS = 6


def remember(site: Site, rng: Random) -> None:
    """A newsletter a month to those who agreed, and a visit of every third contact in the last weeks.

    Counted from the beginning of the day: the same shop, opened twice on a day, has the same past.
    """
    now = site.world.now() // DAY * DAY
    for back in range(MONTHS, 0, -1):
        site.campaigns.append(_campaign(site, rng, now - 30 * DAY * back + 10 * DAY, f"Newsletter {MONTHS - back + 1}"))
    for customer in list(site.world.customers.values()):
        if rng.random() < 1 / 3:
            site.visit(customer, max(customer.created_at, now - rng.randrange(1, 40 * DAY)))


def _campaign(site: Site, rng: Random, at: int, title: str) -> Campaign:
    people = [
        person.number
        for person in site.world.customers.values()
        if person.email and person.email_consent == "SUBSCRIBED" and (person.email_consent_at or 0) < at
    ]
    campaign = Campaign(guid("campaign", at), title, at, people)
    for number in people:
        if rng.random() < 0.4:
            campaign.opened[number] = at + rng.randrange(60, 3 * DAY)
            if rng.random() < 0.25:
                campaign.clicked[number] = campaign.opened[number] + rng.randrange(5, 600)
    return campaign
