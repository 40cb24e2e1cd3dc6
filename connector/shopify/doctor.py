"""What `regulars doctor` says of a Shopify key: what it may read and write, and what stays hidden from it."""

from __future__ import annotations

from connector.base import Finding, Shop
from connector.errors import ScopeError
from connector.shopify import wire
from connector.shopify.connection import TRUNCATED, WAY_OUT, Connection
from connector.shopify.limits import limits

FIX = "add it to the app's scopes in the Dev Dashboard, release a version and approve it in the shop"

_READS = (
    ("customers", "read_customers", "customers cannot be read"),
    ("orders", "read_orders", "orders and abandoned checkouts cannot be read"),
)


def examine(connection: Connection) -> list[Finding]:
    """Key, scopes, history, protected fields and version. What may be read is tried, with one record each."""
    shop = connection.read_shop()
    findings = [Finding("ok", "key", f"accepted by {shop.name} ({shop.currency}, {shop.zone})")]
    for stream, scope, blocks in _READS:
        try:
            connection.ask(wire.page(connection.costs, stream, 1, None, None))
        except ScopeError as error:
            findings.append(Finding("error", "scopes", f"{blocks}, {scope} is missing: {error}", FIX))
    if "read_products" not in shop.scopes:
        text = "the key lacks read_products, so categories and product tags of what was bought stay empty"
        findings.append(Finding("warning", "scopes", text, FIX))
    findings += _history(shop) + _protected(connection) + _version(connection)
    if all(finding.level == "ok" for finding in findings):
        findings.append(Finding("ok", "scopes", "everything can be read"))
    return findings


def examine_tags(connection: Connection) -> list[Finding]:
    """May tags be written?"""
    if "write_customers" in connection.shop().scopes:
        return [Finding("ok", "tags", "customer tags can be written")]
    return [Finding("error", "tags", "the key lacks write_customers, so customer tags cannot be written", FIX)]


def _history(shop: Shop) -> list[Finding]:
    if shop.oldest_order is None or "read_orders" not in shop.scopes:
        return []
    return [Finding("warning", "history", TRUNCATED, f"{WAY_OUT}, or run with --force truncated-history")]


def _protected(connection: Connection) -> list[Finding]:
    """Protected customer data is refused field by field: shopify.dev/docs/apps/launch/protected-customer-data"""
    hidden = [path for path in connection.denied if not path.endswith(".product")]
    if not hidden:
        return []
    text = f"access is refused to these, they stay as they were or empty: {', '.join(sorted(hidden))}"
    fix = "request access to protected customer data (names and e-mail addresses) in the Dev Dashboard"
    return [Finding("error", "protected data", text, fix)]


def _version(connection: Connection) -> list[Finding]:
    wanted = limits().api.version
    if connection.served in (None, wanted):
        return []
    text = f"Shopify answers in API version {connection.served}, not in {wanted}: the version has been retired"
    return [Finding("warning", "version", text, "install a newer regulars")]
