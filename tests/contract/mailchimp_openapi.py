"""Mailchimp's own definition as a judge of requests and replies, those inside batches too."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import orjson
from jsonschema import Draft202012Validator, FormatChecker

from connector.base import Reply
from connector.sandbox.wire import Request

SPEC = Path(__file__).parents[1] / "specs" / "mailchimp.json"
VERSION = "/3.0"
_ISO = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\+\d\d:\d\d|Z)")


@cache
def definition() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(SPEC.read_text("utf-8"))
    return loaded


@cache
def operations() -> Mapping[str, dict[str, Any]]:
    """Operation by "METHOD /path"."""
    paths = definition()["paths"]
    return {f"{method.upper()} {path}": its for path, methods in paths.items() for method, its in methods.items()}


def operation_of(method: str, path: str) -> str:
    """The "METHOD /path" that a request belongs to; `path` is without the version."""
    fitting = [
        name
        for name in operations()
        if name.split()[0] == method and re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", name.split()[1]), path)
    ]
    assert fitting, f"no operation {method} {path}"
    return min(fitting, key=lambda name: name.count("{"))


def check_request(request: Request) -> str:
    """The name of the operation; fails on a parameter or body that it does not declare, in batches too."""
    assert request.path.startswith(f"{VERSION}/"), f"a path without the version: {request.path}"
    assert request.headers.get("authorization", "").startswith(("Bearer ", "Basic ")), "no key"
    assert len(dict(request.query)) == len(request.query), "a parameter comes twice"
    body: Any = orjson.loads(request.body) if request.body else None
    name = _check(request.method, request.path.removeprefix(VERSION), dict(request.query), body)
    if body is not None:
        assert request.headers["content-type"].startswith("application/json")
    if name == "postBatches":
        for each in body["operations"]:
            check_operation(each)
    return name


def check_operation(operation: Mapping[str, Any]) -> str:
    """The name of an operation of a batch."""
    path, _, inline = operation["path"].partition("?")
    assert operation["method"] == "GET" or "params" not in operation, "`params` is for reading only"
    query = {name: str(value) for name, value in operation.get("params", {}).items()}
    query |= dict(each.split("=", 1) for each in inline.split("&") if each)
    return _check(operation["method"], path, query, orjson.loads(operation["body"]) if "body" in operation else None)


def check_reply(request: Request, reply: Reply) -> None:
    """Fails on a reply that the operation does not declare. Every refusal is a problem document."""
    name = operation_of(request.method, request.path.removeprefix(VERSION))
    if reply.status >= 400:
        assert reply.headers["content-type"].startswith("application/problem+json")
        problem = orjson.loads(reply.body)
        assert problem["status"] == reply.status
        validate(definition()["components"]["schemas"]["Problem"], problem, strict=True)
        return
    declared = operations()[name]["responses"].get(str(reply.status))
    assert declared is not None, f"status {reply.status} of {name}"
    if "content" not in declared:
        assert reply.body == b""
    else:
        assert reply.headers["content-type"].startswith("application/json")
        validate(declared["content"]["application/json"]["schema"], orjson.loads(reply.body), strict=True)


def validate(schema: Mapping[str, Any], value: Any, *, strict: bool) -> None:
    """`strict` takes no undeclared property."""
    _validator(orjson.dumps(schema), strict).validate(value)


def _check(method: str, path: str, query: Mapping[str, str], body: Any) -> str:
    operation = operations()[operation_of(method, path)]
    name: str = operation["operationId"]
    declared = {each["name"]: each for each in operation["parameters"] if each["in"] == "query"}
    for key, value in query.items():
        assert key in declared, f"{name}: no parameter {key}"
        _check_parameter(name, key, declared[key]["schema"], value)
    schema = operation.get("requestBody")
    if schema is None:
        assert body is None, f"{name}: a body where none belongs"
    else:
        validate(schema["content"]["application/json"]["schema"], body, strict=True)
    return name


def _check_parameter(name: str, key: str, schema: Mapping[str, Any], value: str) -> None:
    if schema["type"] == "array":
        answer = next(iter(_named(name)["responses"].values()))["content"]["application/json"]["schema"]
        for path in value.split(","):
            assert _known(answer, path.split(".")), f"{name}: {key} names {path}, which the answer does not have"
    elif schema["type"] == "boolean":
        assert value in ("true", "false"), f"{name}: {key}={value}"
    elif key.startswith(("since_", "before_")):
        assert _ISO.fullmatch(value), f"{name}: {key}={value} is no time"
    else:
        validate(schema, int(value) if schema["type"] == "integer" else value, strict=True)


def _named(name: str) -> dict[str, Any]:
    (found,) = [its for its in operations().values() if its["operationId"] == name]
    return found


def _known(schema: Mapping[str, Any], steps: list[str]) -> bool:
    """Whether a dotted path leads anywhere in an answer."""
    if not steps:
        return True
    if "items" in schema:
        return _known(schema["items"], steps)
    inner = schema.get("properties", {}).get(steps[0])
    if inner is None:
        return "additionalProperties" in schema
    return _known(inner, steps[1:])


@cache
def _validator(schema: bytes, strict: bool) -> Draft202012Validator:
    return Draft202012Validator(_plain(orjson.loads(schema), strict), format_checker=FormatChecker())


def _plain(node: Any, strict: bool) -> Any:
    """The definition as JSON Schema; `strict` allows no undeclared property where properties are declared."""
    if isinstance(node, list):
        return [_plain(each, strict) for each in node]
    if not isinstance(node, dict):
        return node
    plain = {key: _plain(value, strict) for key, value in node.items() if key != "properties"}
    if "properties" in node:
        plain["properties"] = {name: _plain(value, strict) for name, value in node["properties"].items()}
        if strict and "additionalProperties" not in plain:
            plain["additionalProperties"] = False
    return plain
