"""What a site says of itself and of the app on it.

Shapes: the SDK's types, business-tools_site-properties 1.0.117; dev.wix.com, "Get App Instance", for apps only.
"""

from __future__ import annotations

from connector.wix.sandbox_route import Body, Problem, Route, Seen

MANAGE_APP = ("SCOPE.DC.MANAGE-YOUR-APP",)


def site_properties(seen: Seen) -> Body:
    world = seen.site.world
    properties = {
        "siteDisplayName": world.name,
        "businessName": world.name,
        "paymentCurrency": world.currency,
        "timeZone": world.zone,
        "language": "en",
        "locale": {"languageCode": "en", "country": "DE"},
        "businessConfig": "STORE",
    }
    return {"version": "1", "properties": properties}


def app_instance(seen: Seen) -> Body:
    if seen.caller != "app":
        raise Problem(403, "Forbidden: only an app has an instance")
    world = seen.site.world
    site = {
        "siteId": seen.site.id,
        "siteDisplayName": world.name,
        "paymentCurrency": world.currency,
        "locale": "en",
        "url": f"https://{world.domain}",
    }
    return {"instance": {"appName": "regulars", "isFree": True}, "site": site}


ROUTES = (
    Route("GetSiteProperties", "GET", "/site-properties/v4/properties", MANAGE_APP, site_properties),
    Route("GetAppInstance", "GET", "/apps/v1/instance", MANAGE_APP, app_instance),
)
