"""One way into a site, shared by reading and writing: they pay from the same minute of requests.

Keys: dev.wix.com/docs/rest/articles/get-started/api-keys (the bare key in `Authorization`, the site in `wix-site-id`).
Apps: dev.wix.com/docs/rest/app-management/oauth-2 (a token for four hours, issued for one instance, hence one site, and
so sent without `wix-site-id`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from connector.auth import Auth, ClientCredentials, StaticHeader
from connector.base import Access, Call, Clock
from connector.budget import Budgets, Window
from connector.http import Client
from connector.wix.judge import PLATFORM, WixWire, document
from connector.wix.limits import limits

API_KEY = "REGULARS_WIX_API_KEY"
APP_ID = "REGULARS_WIX_APP_ID"
APP_SECRET = "REGULARS_WIX_APP_SECRET"  # noqa: S105
INSTANCE_ID = "REGULARS_WIX_INSTANCE_ID"
TOKEN_PATH = "/oauth2/token"  # noqa: S105


class Connection:
    """A client with what was learnt through it about this site: versions it has, names of labels.

    `missing` says of each thing that reading went without, why. `app`: an app's token is used, not a key.
    """

    def __init__(self, client: Client, clock: Clock, site_id: str, *, app: bool = False) -> None:
        self.client = client
        self.clock = clock
        self.site_id = site_id
        self.app = app
        self.learnt: dict[str, Any] = {}
        self.missing: dict[str, str] = {}

    def read(self, call: Call) -> dict[str, Any]:
        """Send a call and parse its answer."""
        return document(self.client.send(call))


def connect(access: Access) -> Connection:
    """The connection of this access: made once, then shared through `access.budgets`."""
    known = access.budgets.get(f"{PLATFORM}.connection")
    if known is not None:
        return cast(Connection, known)
    settings = access.settings
    window = Window(float(settings.requests_per_minute), limits().window.seconds)
    client = Client(
        WixWire(),
        _auth(access),
        access.budgets.setdefault(PLATFORM, Budgets(window)),
        base_url=settings.base_url,
        clock=access.clock,
        transport=access.transport,
        policy=access.policy,
    )
    access.closing.callback(client.close)
    connection = Connection(client, access.clock, settings.site_id, app=not access.secrets.get(API_KEY))
    access.budgets[f"{PLATFORM}.connection"] = connection
    return connection


class _SiteKey(StaticHeader):
    """An API key speaks for an account; the site is named beside it."""

    def __init__(self, key: str, site_id: str) -> None:
        super().__init__("Authorization", key)
        self._site_id = site_id

    def headers(self) -> Mapping[str, str]:
        return {**super().headers(), "wix-site-id": self._site_id}


def _auth(access: Access) -> Auth:
    secrets = access.secrets
    if secrets.get(API_KEY):
        return _SiteKey(secrets[API_KEY], access.settings.site_id)
    body = {
        "grant_type": "client_credentials",
        "client_id": secrets[APP_ID],
        "client_secret": secrets[APP_SECRET],
        "instance_id": secrets[INSTANCE_ID],
    }
    return ClientCredentials(
        PLATFORM,
        lambda: Call("AccessToken", "POST", TOKEN_PATH, json=body),
        secret=secrets[APP_SECRET],
        hints={
            "invalid_client": "check REGULARS_WIX_APP_ID and REGULARS_WIX_APP_SECRET",
            "instance": "check REGULARS_WIX_INSTANCE_ID, and that the app is still installed on this site",
        },
    )
