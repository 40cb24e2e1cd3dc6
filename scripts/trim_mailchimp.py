"""Cut the operations that Regulars and its simulator know out of Mailchimp's definition: `trim_mailchimp.py IN OUT`.

IN is `mailchimp.com.json` of https://github.com/APIs-guru/openapi-directory (or its gzip): a mechanical conversion of
Mailchimp's own Swagger file. Prose, examples and links to other operations go. `x-origin` names the source and how the
copy differs from it.
"""

from __future__ import annotations

from typing import Any

from trimming import bare, run

_LIST = "/lists/{list_id}"
_MEMBER = _LIST + "/members/{subscriber_hash}"
_SEGMENT = _LIST + "/segments/{segment_id}"
OPERATIONS = {
    "/ping": ("get",),
    "/": ("get",),
    "/lists": ("get",),
    "/automations": ("get",),
    _LIST: ("get", "post"),
    _LIST + "/members": ("get", "post"),
    _MEMBER: ("get", "put", "patch", "delete"),
    _MEMBER + "/actions/delete-permanent": ("post",),
    _MEMBER + "/tags": ("get", "post"),
    _LIST + "/segments": ("get", "post"),
    _SEGMENT: ("get", "post", "patch", "delete"),
    _SEGMENT + "/members": ("get",),
    _LIST + "/tag-search": ("get",),
    _LIST + "/merge-fields": ("get", "post"),
    "/batches": ("get", "post"),
    "/batches/{batch_id}": ("get", "delete"),
}
LIMITS = {"members": 500, "members_to_add": 500, "members_to_remove": 500}
PATCHES = (
    "the key may be sent as Bearer too, as Mailchimp's own clients of 2026 do",
    "the limit of 500 entries, which the source tells in prose only, is checked for",
    "problem documents may name fields in `errors`",
    "dates may be empty: a batch that has not finished says so",
    "the conditions of saved segments may be anything: none is made here",
    "rows of a batch subscription may carry tags, as the description of sync_tags supposes",
)
DROPPED = {"title", "deprecated", "tags", "x-title", "x-custom-config", "default"}


def trim(whole: dict[str, Any], digest: str) -> dict[str, Any]:
    """The part of the definition that the operations reach."""
    paths = {
        path: {method: _operation(whole["paths"][path][method]) for method in methods}
        for path, methods in OPERATIONS.items()
    }
    origin = {
        "source": "https://github.com/APIs-guru/openapi-directory, mailchimp.com, of Mailchimp's contract",
        "version": whole["info"]["version"],
        "input_sha256": digest,
        "patches": list(PATCHES),
    }
    info = {"title": whole["info"]["title"], "version": whole["info"]["version"], "x-origin": origin}
    schemes = {"basicAuth": {"type": "http", "scheme": "basic"}, "bearerToken": {"type": "http", "scheme": "bearer"}}
    return {
        "openapi": whole["openapi"],
        "info": info,
        "security": [{name: []} for name in schemes],
        "paths": paths,
        "components": {"securitySchemes": schemes, "schemas": {"Problem": _problem(whole)}},
    }


def _operation(its: dict[str, Any]) -> dict[str, Any]:
    """One body and one success per operation, both as application/json."""
    kept: dict[str, Any] = {"operationId": its["operationId"], "responses": {}}
    kept["parameters"] = [_pruned(bare(each), limits=False) for each in its.get("parameters", ())]
    if "requestBody" in its:
        (content,) = its["requestBody"]["content"].values()
        kept["requestBody"] = _content(_pruned(bare(content["schema"]), limits=True))
    for status, response in its["responses"].items():
        if status != "default":
            content = response.get("content", {}).get("application/json")
            schema = _pruned(bare(content["schema"]), limits=False) if content else None
            kept["responses"][status] = {"description": "", **(_content(schema) if schema else {})}
    return kept


def _content(schema: Any) -> dict[str, Any]:
    return {"content": {"application/json": {"schema": schema}}}


def _problem(whole: dict[str, Any]) -> dict[str, Any]:
    """What every operation answers when it refuses."""
    schema = whole["paths"]["/ping"]["get"]["responses"]["default"]["content"]["application/json"]["schema"]
    problem: dict[str, Any] = _pruned(bare(schema), limits=False)
    entry = {"type": "object", "properties": {"field": {"type": "string"}, "message": {"type": "string"}}}
    problem["properties"]["errors"] = {"type": "array", "items": entry}
    return problem


def _pruned(node: Any, *, limits: bool) -> Any:
    if isinstance(node, list):
        return [_pruned(each, limits=limits) for each in node]
    if not isinstance(node, dict):
        return node
    kept = {}
    for name, value in node.items():
        if name == "properties":
            kept[name] = {inner: _property(inner, its, limits) for inner, its in value.items()}
        elif name not in DROPPED:
            kept[name] = _pruned(value, limits=limits)
    return kept


def _property(name: str, its: dict[str, Any], limits: bool) -> Any:
    if name == "conditions":
        return {"type": "array"}
    if name == "_links":
        return {"type": "array", "items": {"type": "object"}}
    pruned = _pruned(its, limits=limits)
    if limits and name in LIMITS and pruned.get("type") == "array":
        pruned["maxItems"] = LIMITS[name]
        if name == "members":
            pruned["items"]["properties"]["tags"] = {"type": "array", "items": {"type": "string"}}
    if pruned.get("format") == "date-time":
        pruned = {"anyOf": [{"type": "string", "enum": [""]}, pruned]}
    return pruned


if __name__ == "__main__":
    run(trim)
