"""Wix's REST API over a world: its envelopes, its lagging indexes, its silence about limits, its errors.

Where the vendor's pages leave something open, the harsher reading is simulated: a body in the wrong envelope is a 400,
a 429 says neither how long nor why, a 403 does not name the permission.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from hashlib import blake2b
from typing import Literal

import orjson

from connector.base import Clock, Reply
from connector.sandbox.faults import Answer, Fault, Faults
from connector.sandbox.wire import Request
from connector.sandbox.world import World
from connector.wix import (
    sandbox_catalogue,
    sandbox_contacts_api,
    sandbox_contacts_v5,
    sandbox_labels,
    sandbox_marketing,
    sandbox_properties,
    sandbox_sales_api,
)
from connector.wix.sandbox_access import PER_MINUTE, Door, Minute, too_many
from connector.wix.sandbox_route import Problem, Route, Seen, refused
from connector.wix.sandbox_site import Site

API_KEY = "IST.sandbox-only"
SITE_ID = "5a1d0b0e-51de-4f00-8a11-000000000001"
INDEX_LAG = 5.0
_UNAVAILABLE = b"<html><head><title>503 Service Temporarily Unavailable</title></head><body>nginx</body></html>"
_TOO_OLD = {"message": "Expected revision does not match the entity's", "details": {}}

ROUTES: tuple[Route, ...] = (
    *sandbox_sales_api.ROUTES,
    *sandbox_contacts_api.ROUTES,
    *sandbox_contacts_v5.ROUTES,
    *sandbox_labels.ROUTES,
    *sandbox_marketing.ROUTES,
    *sandbox_catalogue.ROUTES,
    *sandbox_properties.ROUTES,
)


class WixSandbox:
    """One site's API. `site` is open to a test's hands, `operations` counts requests by operation.

    `scale` makes minutes and the index run so many times faster. `v5` False is a site whose contacts are of version 4
    only; `catalogue` is the version of its catalogue; `activity_log` says whether the previews of behaviour are there.
    `moved` False keeps old contact ids on the orders of merged contacts. Of its own kinds of faults `throttled` is a
    429, `conflict` a 409, `unavailable` an HTML 503, `token_expired` ends the app's tokens, and
    `stuck_job` keeps the job that the call begins from ending.
    """

    platform = "wix"

    def __init__(
        self,
        world: World,
        *,
        clock: Clock | None = None,
        api_keys: Iterable[str] = (API_KEY,),
        app: tuple[str, str, str] | None = None,
        site_id: str = SITE_ID,
        scale: float = 1.0,
        lag: float = INDEX_LAG,
        faults: Faults | None = None,
        per_minute: int = PER_MINUTE,
        v5: bool = True,
        catalogue: Literal["v1", "v3"] = "v1",
        activity_log: bool = False,
        label_quota: int = 1000,
        moved: bool = True,
    ) -> None:
        self.world = world
        self.clock = clock or world.clock
        self.faults = faults or Faults()
        self.site = Site(
            world, clock=self.clock, site_id=site_id, lag=lag / scale, label_quota=label_quota, moved=moved
        )
        self.door = Door(self.clock, keys=api_keys, app=app, site_id=site_id)
        self.minute = Minute(self.clock, per_minute, scale)
        self.site.catalogue_version = catalogue
        self.features = {catalogue, *(["v5"] if v5 else []), *(["activity_log"] if activity_log else [])}
        self.operations: Counter[str] = Counter()
        self._requests = 0
        self._special: Mapping[str, Callable[[Fault, Answer], Reply]] = {
            "throttled": lambda fault, answer: too_many(fault.retry_after),
            "conflict": lambda fault, answer: _json(409, orjson.dumps(_TOO_OLD)),
            "unavailable": lambda fault, answer: Reply(503, {"content-type": "text/html"}, _UNAVAILABLE),
            "token_expired": self._expire,
            "stuck_job": self._stick,
        }

    def handle(self, request: Request) -> Reply:
        """Answer one HTTP request."""
        self._requests += 1
        route, path = self._route(request)
        name = route.operation if route else request.path
        self.operations[name] += 1
        reply = self.faults.run(
            name, request.path, lambda: self._answer(request, route, path), clock=self.clock, special=self._special
        )
        number = blake2b(f"{self.site.id}/{self._requests}".encode(), digest_size=10).hexdigest()
        return Reply(reply.status, {"x-wix-request-id": f"{number}.{self._requests}", **reply.headers}, reply.body)

    def _answer(self, request: Request, route: Route | None, path: Mapping[str, str]) -> Reply:
        if request.path == "/oauth2/token" and request.method == "POST":
            return self.door.issue(request)
        try:
            caller = self.door.enter(request.headers)
            if not self.minute.take():
                return too_many()
            if route is None:
                raise Problem(404, "Not Found", {})
            self._permit(route)
            sandbox_labels.work_of(self.site)
            seen = Seen(self.site, path, request.query, _body(request), self.clock.now(), caller)
            answer = route.act(seen)
        except Problem as problem:
            return _json(problem.status, orjson.dumps(problem.body()))
        return _json(200, answer if isinstance(answer, bytes) else orjson.dumps(answer))

    def _permit(self, route: Route) -> None:
        """Any one of the route's scopes is enough. A catalogue of the other version is a failed precondition."""
        if route.feature is not None and route.feature not in self.features:
            if route.feature in ("v1", "v3"):
                raise Problem(428, f"The site's catalogue is not of version {route.feature}", {})
            raise Problem(404, "Not Found", {})
        if route.scopes and all(scope in self.world.denied for scope in route.scopes):
            raise refused(403, "PERMISSION_DENIED", "Permission denied")

    def _route(self, request: Request) -> tuple[Route | None, Mapping[str, str]]:
        for route in ROUTES:
            if route.method == request.method and (match := route.pattern.fullmatch(request.path)):
                return route, match.groupdict()
        return None, {}

    def _stick(self, fault: Fault, answer: Answer) -> Reply:
        """The bulk job that this call begins never ends."""
        sandbox_labels.work_of(self.site).stuck += 1
        return answer()

    def _expire(self, fault: Fault, answer: Answer) -> Reply:
        self.door.revoke()
        return answer()


def _body(request: Request) -> object:
    if request.method not in ("POST", "PATCH", "PUT"):
        return None
    try:
        return orjson.loads(request.body or b"{}")
    except orjson.JSONDecodeError:
        raise Problem(400, "Failed to parse the request's body") from None


def _json(status: int, body: bytes) -> Reply:
    return Reply(status, {"content-type": "application/json"}, body)
