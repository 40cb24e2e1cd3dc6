"""Cut the operations that Regulars calls out of Klaviyo's OpenAPI definition: `trim_klaviyo.py stable.json[.gz] OUT`.

The definition is https://github.com/klaviyo/openapi, `openapi/stable.json`. Prose and examples go; what an operation
refers to stays. `x-origin` names the source and how the copy differs from it.
"""

from __future__ import annotations

from typing import Any

from trimming import bare, run

OPERATIONS = {
    "/api/accounts": ("get",),
    "/api/lists": ("get", "post"),
    "/api/lists/{id}": ("patch",),
    "/api/lists/{id}/flow-triggers": ("get",),
    "/api/lists/{id}/relationships/profiles": ("get", "post", "delete"),
    "/api/profiles": ("get",),
    "/api/profiles/{id}": ("patch",),
    "/api/profile-import": ("post",),
    "/api/profile-bulk-import-jobs": ("post",),
    "/api/profile-bulk-import-jobs/{job_id}": ("get",),
    "/api/profile-bulk-import-jobs/{id}/import-errors": ("get",),
    "/api/profile-bulk-import-jobs/{id}/profiles": ("get",),
    "/api/profile-subscription-bulk-create-jobs": ("post",),
    "/api/events": ("post",),
    "/api/metrics": ("get",),
    "/api/metrics/{id}/flow-triggers": ("get",),
}
PATCHES = ("CollectionLinks.next and .prev are nullable: the last page says null",)
ALIASES = frozenset({"x-klaviyo-operation-aliases"})


def trim(whole: dict[str, Any], digest: str) -> dict[str, Any]:
    """The part of the definition that the operations reach."""
    paths = {path: {method: whole["paths"][path][method] for method in its} for path, its in OPERATIONS.items()}
    paths = bare(paths, ALIASES)
    parts: dict[str, dict[str, Any]] = {"schemas": {}, "responses": {}}
    waiting = references(paths)
    while waiting:
        _, _, kind, name = waiting.pop().split("/")
        if name not in parts[kind]:
            parts[kind][name] = bare(whole["components"][kind][name], ALIASES)
            waiting |= references(parts[kind][name])
    for end in ("next", "prev"):
        parts["schemas"]["CollectionLinks"]["properties"][end]["nullable"] = True
    origin = {
        "source": "https://github.com/klaviyo/openapi, openapi/stable.json",
        "version": whole["info"]["version"],
        "sha256": digest,
        "patches": list(PATCHES),
    }
    info = {**bare(whole["info"], ALIASES), "x-origin": origin}
    return {"openapi": whole["openapi"], "info": info, "paths": paths, "components": parts}


def references(node: Any) -> set[str]:
    """Every `$ref` in it."""
    if isinstance(node, list):
        return set().union(*map(references, node)) if node else set()
    if not isinstance(node, dict):
        return set()
    own = {node["$ref"]} if isinstance(node.get("$ref"), str) else set()
    return own.union(*map(references, node.values()))


if __name__ == "__main__":
    run(trim)
