"""What became of the e-mails sent to a person."""

from __future__ import annotations

from sqlalchemy import case, func, select

from sync.metrics.counting import DAY, Instant, Scope, activity
from sync.metrics.family import Family

WINDOW = 90
_OPENED, _CLICKED, _RECEIVED = "email.opened", "email.clicked", "email.received"


def emails_family(scope: Scope, now: Instant) -> Family:
    """The last open and the last click, and what the last 90 x 24 hours brought."""
    event = activity.c
    recent = event.at >= now - WINDOW * DAY
    mails = (
        select(
            event.customer_id,
            func.max(event.at).filter(event.name == _OPENED).label("last_email_open_date"),
            func.max(event.at).filter(event.name == _CLICKED).label("last_email_click_date"),
            func.count().filter(event.name == _CLICKED, recent).label("email_clicks_last_90d"),
            func.count().filter(event.name == _RECEIVED, recent).label("email_received_last_90d"),
            func.min(case((recent, event.at + (WINDOW * DAY + 1)))).filter(event.name != _OPENED).label("next_change"),
        )
        .where(scope.covers(event.customer_id), event.name.in_((_OPENED, _CLICKED, _RECEIVED)), event.gone_at.is_(None))
        .group_by(event.customer_id)
        .cte("email_totals")
        .prefix_with("MATERIALIZED")
    )
    names = ("last_email_open_date", "last_email_click_date", "email_clicks_last_90d", "email_received_last_90d")
    return Family((mails,), {name: mails.c[name] for name in names})
