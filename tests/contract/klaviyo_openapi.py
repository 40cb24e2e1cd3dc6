"""Klaviyo's own definition as a judge of requests and replies."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import orjson
import pytest
from jsonschema import Draft202012Validator, FormatChecker, ValidationError

from connector.base import Reply
from connector.sandbox.wire import Request

MEDIA_TYPE = "application/vnd.api+json"
SPEC = Path(__file__).parents[1] / "specs" / "klaviyo.json"


@cache
def definition() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(SPEC.read_text("utf-8"))
    return loaded


def operations() -> Mapping[str, dict[str, Any]]:
    """Operation by "METHOD /path"."""
    paths = definition()["paths"]
    return {f"{method.upper()} {path}": its for path, methods in paths.items() for method, its in methods.items()}


def operation_of(request: Request) -> str:
    """The "METHOD /path" that a request belongs to; a path without variables wins."""
    fitting = [
        name
        for name in operations()
        if name.split()[0] == request.method
        and re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", name.split()[1]), request.path)
    ]
    assert fitting, f"no operation {request.method} {request.path}"
    return min(fitting, key=lambda name: name.count("{"))


def check_request(request: Request) -> str:
    """The operation; fails on a parameter, header or body that it does not declare."""
    name = operation_of(request)
    declared = {parameter["name"]: parameter for parameter in operations()[name]["parameters"]}
    for key, value in request.query:
        assert declared.get(key, {}).get("in") == "query", f"{name}: no parameter {key}"
        _check_parameter(declared[key], value)
    assert len(dict(request.query)) == len(request.query), f"{name}: a parameter comes twice"
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", request.headers["revision"])
    assert request.headers["accept"] == MEDIA_TYPE
    body = operations()[name].get("requestBody")
    if body is None:
        assert request.body == b"", f"{name}: a body where none belongs"
    else:
        assert request.headers["content-type"] == MEDIA_TYPE
        _validate(body["content"][MEDIA_TYPE]["schema"], orjson.loads(request.body), strict=True)
    return name


def check_hollow(request: Request) -> str:
    """The operation of a write that the definition refuses, as it must: one that only asks whether it would be allowed.

    Nothing could be done with it: there is a type, and neither attributes nor anybody.
    """
    assert orjson.loads(request.body).keys() == {"data"}
    assert orjson.loads(request.body)["data"].keys() == {"type"}
    with pytest.raises(ValidationError, match="is a required property"):
        check_request(request)
    return operation_of(request)


def is_hollow(request: Request) -> bool:
    """True of a body that has a type and nothing else."""
    body = orjson.loads(request.body or b"null")
    return isinstance(body, dict) and isinstance(body.get("data"), dict) and body["data"].keys() == {"type"}


def check_reply(request: Request, reply: Reply) -> None:
    """Fails on a reply that the operation does not declare."""
    responses = operations()[operation_of(request)]["responses"]
    declared = responses.get(str(reply.status), responses.get(f"{reply.status // 100}XX"))
    assert declared is not None, f"status {reply.status} of {request.method} {request.path}"
    content = _resolve(declared).get("content")
    if content is None:
        assert reply.body == b""
    else:
        assert reply.headers["content-type"] == MEDIA_TYPE
        _validate(content[MEDIA_TYPE]["schema"], orjson.loads(reply.body), strict=False)


def _check_parameter(parameter: Mapping[str, Any], value: str) -> None:
    schema = parameter["schema"]
    if schema["type"] == "array":
        assert parameter["explode"] is False
        _validate(schema, value.split(","), strict=True)
    else:
        _validate(schema, int(value) if schema["type"] == "integer" else value, strict=True)


def _validate(schema: Mapping[str, Any], value: Any, *, strict: bool) -> None:
    Draft202012Validator(_plain(schema, strict), format_checker=FormatChecker()).validate(value)


def _resolve(node: dict[str, Any]) -> dict[str, Any]:
    if "$ref" not in node:
        return node
    found: dict[str, Any] = definition()
    for step in node["$ref"].removeprefix("#/").split("/"):
        found = found[step]
    return _resolve(found)


def _plain(node: Any, strict: bool) -> Any:
    """OpenAPI 3.0 as JSON Schema: references in place, `nullable` as a type. `strict` allows no undeclared property."""
    if isinstance(node, list):
        return [_plain(each, strict) for each in node]
    if not isinstance(node, dict):
        return node
    node = dict(_resolve(node))
    nullable = node.pop("nullable", False)
    plain = {key: _plain(value, strict) for key, value in node.items() if key != "properties"}
    if "properties" in node:
        plain["properties"] = {name: _plain(value, strict) for name, value in node["properties"].items()}
        if strict:
            plain["additionalProperties"] = False
    return {"anyOf": [plain, {"type": "null"}]} if nullable else plain
