"""Labels on the simulated site: its routes."""

from __future__ import annotations

from connector.wix.sandbox_route import Route

ROUTES: tuple[Route, ...] = ()
