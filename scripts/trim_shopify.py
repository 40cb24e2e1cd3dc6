"""Cuts Shopify's Admin API introspection down to what the documents in `connector/shopify/queries` can reach.

    python scripts/trim_shopify.py shopify_admin_2026-10.json.gz

The input is the Admin API's answer to the introspection query. Kept are the types, fields and arguments that the
documents use, and besides them the plain values of each kept type with their deprecations, so that a document which
begins to use a deprecated one is noticed. Run it again after changing a document.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
from collections import defaultdict
from pathlib import Path
from typing import Any

import orjson
from graphql import (
    GraphQLEnumType,
    GraphQLField,
    GraphQLInterfaceType,
    GraphQLNamedType,
    GraphQLObjectType,
    GraphQLScalarType,
    GraphQLSchema,
    TypeInfo,
    TypeInfoVisitor,
    Visitor,
    build_client_schema,
    get_named_type,
    is_leaf_type,
    is_required_argument,
    parse,
    specified_scalar_types,
    visit,
)

from connector.shopify.documents import document, lines_batch, operations, tags_batch
from connector.shopify.limits import limits
from connector.shopify.wire import SHAPES

TARGET = Path(__file__).parent.parent / "tests" / "specs" / f"shopify_admin_{limits().api.version}.graphql"


class _Used(Visitor):
    """Fields and arguments per type that documents name."""

    def __init__(self, types: TypeInfo) -> None:
        super().__init__()
        self._types = types
        self.fields: dict[str, set[str]] = defaultdict(set)
        self.arguments: set[tuple[str, str, str]] = set()
        self.inputs: set[str] = set()

    def enter_field(self, node: Any, *_: Any) -> None:
        parent = self._types.get_parent_type()
        if parent is not None and not node.name.value.startswith("__"):
            self.fields[parent.name].add(node.name.value)
            self.arguments |= {(parent.name, node.name.value, argument.name.value) for argument in node.arguments or ()}


def collect(schema: GraphQLSchema, documents: list[str]) -> _Used:
    """What the documents use."""
    types = TypeInfo(schema)
    used = _Used(types)
    for text in documents:
        visit(parse(text), TypeInfoVisitor(types, used))
    return used


def trim(schema: GraphQLSchema, used: _Used) -> str:
    """The schema definition of what is used."""
    kept = {name: schema.type_map[name] for name in used.fields}
    interfaces = [kind for kind in kept.values() if isinstance(kind, GraphQLInterfaceType)]
    leaves: dict[str, GraphQLNamedType] = {}
    blocks = []
    for name, kind in sorted(kept.items()):
        assert isinstance(kind, GraphQLObjectType | GraphQLInterfaceType)
        fields = []
        for field_name, field in kind.fields.items():
            inherited = any(each in kind.interfaces and field_name in used.fields[each.name] for each in interfaces)
            plain = is_leaf_type(get_named_type(field.type)) and not any(map(is_required_argument, field.args.values()))
            root = kind in (schema.query_type, schema.mutation_type)
            if field_name in used.fields[name] or inherited or (plain and not root):
                fields.append(_field(name, field_name, field, used, leaves))
        implements = " & ".join(each.name for each in kind.interfaces if each in interfaces)
        head = "interface" if isinstance(kind, GraphQLInterfaceType) else "type"
        blocks.append(
            f"{head} {name}{' implements ' + implements if implements else ''} {{\n" + "\n".join(fields) + "\n}"
        )
    for name, leaf in sorted(leaves.items()):
        if isinstance(leaf, GraphQLEnumType):
            blocks.append(f"enum {name} {{\n" + "\n".join(f"  {value}" for value in leaf.values) + "\n}")
        elif isinstance(leaf, GraphQLScalarType) and name not in specified_scalar_types:
            blocks.append(f"scalar {name}")
    assert schema.query_type is not None
    assert schema.mutation_type is not None
    blocks.insert(0, f"schema {{\n  query: {schema.query_type.name}\n  mutation: {schema.mutation_type.name}\n}}")
    return "\n\n".join(blocks) + "\n"


def _field(of: str, name: str, field: GraphQLField, used: _Used, leaves: dict[str, GraphQLNamedType]) -> str:
    arguments = {
        key: argument
        for key, argument in field.args.items()
        if (of, name, key) in used.arguments or is_required_argument(argument)
    }
    for kind in [field.type, *(argument.type for argument in arguments.values())]:
        named = get_named_type(kind)
        if is_leaf_type(named):
            leaves[named.name] = named
    written = ", ".join(f"{key}: {argument.type}" for key, argument in arguments.items())
    deprecated = ' @deprecated(reason: "by Shopify")' if field.deprecation_reason else ""
    return f"  {name}{f'({written})' if written else ''}: {field.type}{deprecated}"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("introspection", type=Path, help="the answer to the introspection query, .json or .json.gz")
    path = parser.parse_args().introspection
    raw = path.read_bytes()
    body = orjson.loads(gzip.decompress(raw) if path.suffix == ".gz" else raw)
    schema = build_client_schema(body.get("data", body), assume_valid=True)
    lines = [lines_batch(its.lines, its.gid, its.line, 1) for its in SHAPES.values() if its.lines]
    documents = [*(document(name) for name in operations()), tags_batch(["r0", "a0"]), *lines]
    header = (
        f"# Shopify Admin API {limits().api.version}, cut by scripts/trim_shopify.py to what our documents use.\n"
        f"# Origin: introspection of shopify.dev/docs/api/admin-graphql/{limits().api.version}, "
        f"sha256 {hashlib.sha256(raw).hexdigest()[:16]} ({path.name}).\n\n"
    )
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    TARGET.write_text(header + trim(schema, collect(schema, documents)), encoding="utf-8")


if __name__ == "__main__":
    main()
