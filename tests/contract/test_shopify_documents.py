"""Every document we send is valid against Shopify's own schema, and costs what we set aside for it."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from graphql import (
    ExecutableDefinitionNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLObjectType,
    GraphQLSchema,
    InlineFragmentNode,
    IntValueNode,
    OperationDefinitionNode,
    SelectionSetNode,
    VariableNode,
    build_schema,
    get_named_type,
    is_composite_type,
    parse,
    specified_rules,
    validate,
)
from graphql.validation import NoDeprecatedCustomRule

from connector.shopify.documents import document, lines_batch, operations, tags_batch
from connector.shopify.limits import limits
from connector.shopify.wire import SHAPES, Costs, Shape

SPEC = Path(__file__).parent.parent / "specs" / "shopify_admin_2026-10.graphql"
FREE = {"PageInfo", "MoneyBag", "MoneyV2", "MailingAddress"}
RULES = [*specified_rules, NoDeprecatedCustomRule]


@pytest.fixture(scope="module")
def schema() -> GraphQLSchema:
    return build_schema(SPEC.read_text("utf-8"), assume_valid=True)


@pytest.mark.parametrize("operation", operations())
def test_document_is_valid(operation: str, schema: GraphQLSchema) -> None:
    """No error, nothing deprecated, and the file is named after its one operation."""
    tree = parse(document(operation))
    assert validate(schema, tree, RULES) == []
    named = [d for d in tree.definitions if isinstance(d, OperationDefinitionNode)]
    assert [each.name.value for each in named if each.name] == [operation]


@pytest.mark.parametrize("aliases", [["a0"], ["r0"], ["r0", "a0", "a1"], [f"a{n}" for n in range(100)]])
def test_tag_mutation_is_valid(aliases: list[str], schema: GraphQLSchema) -> None:
    """The generated mutation is valid for any mixture of additions and removals."""
    assert validate(schema, parse(tags_batch(aliases)), RULES) == []


@pytest.mark.parametrize("count", [1, 2, 40])
@pytest.mark.parametrize("shape", [shape for shape in SHAPES.values() if shape.lines], ids=lambda shape: shape.lines)
def test_lines_query_is_valid(shape: Shape, count: int, schema: GraphQLSchema) -> None:
    """The generated query is valid for any number of records, and costs so many times what one does."""
    tree = parse(lines_batch(shape.lines, shape.gid, shape.line, count))
    assert validate(schema, tree, RULES) == []
    guess = Costs().of(shape.lines, 250, parts=count)
    assert guess == Priced(schema, tree.definitions, {"first": 250}).operation()


def test_deprecated_field_is_noticed(schema: GraphQLSchema) -> None:
    """The trimmed schema keeps what Shopify deprecated, so that using it fails."""
    errors = validate(schema, parse("query { customers(first: 1) { nodes { email } } }"), RULES)
    assert [error for error in errors if "deprecated" in error.message]


@pytest.mark.parametrize("operation", operations())
def test_cost_guess_follows_the_documents(operation: str, schema: GraphQLSchema) -> None:
    """The first guess is the published rules and the fitted connection formula, applied to the document itself."""
    tree = parse(document(operation))
    sizes = {name: 250 for name in ("first", "lineItems") if f"${name}:" in document(operation)}
    guess = Costs().of(operation, sizes.get("first", 0), sizes.get("lineItems", 0))
    assert guess == Priced(schema, tree.definitions, sizes).operation()
    assert guess <= limits().points.query


class Priced:
    """A document's cost: objects 1, connections 2 + f(n) x (1 + node), counts 10."""

    def __init__(self, schema: GraphQLSchema, definitions: object, sizes: dict[str, int]) -> None:
        self.schema = schema
        self.definitions = [d for d in definitions if isinstance(d, ExecutableDefinitionNode)]  # type: ignore[attr-defined]
        self.fragments = {d.name.value: d for d in self.definitions if isinstance(d, FragmentDefinitionNode)}
        self.sizes = sizes

    def operation(self) -> float:
        root = next(d for d in self.definitions if isinstance(d, OperationDefinitionNode))
        assert self.schema.query_type is not None
        return self.selection(root.selection_set, self.schema.query_type)

    def selection(self, chosen: SelectionSetNode, parent: GraphQLObjectType) -> float:
        total = 0.0
        for node in chosen.selections:
            if isinstance(node, FieldNode):
                total += self.field(node, parent)
                continue
            inner = self.fragments[node.name.value] if isinstance(node, FragmentSpreadNode) else node
            assert isinstance(inner, FragmentDefinitionNode | InlineFragmentNode)
            assert inner.type_condition is not None
            total += self.selection(inner.selection_set, self.schema.type_map[inner.type_condition.name.value])  # type: ignore[arg-type]
        return total

    def field(self, node: FieldNode, parent: GraphQLObjectType) -> float:
        kind = get_named_type(parent.fields[node.name.value].type)
        if not is_composite_type(kind) or node.selection_set is None or kind.name in FREE:
            return 0.0
        if kind.name == "Count":
            return 10.0
        if kind.name.endswith("Connection"):
            first = next(a.value for a in node.arguments or () if a.name.value == "first")
            rows = self.sizes[first.name.value] if isinstance(first, VariableNode) else 0
            assert rows or isinstance(first, IntValueNode)
            assert isinstance(kind, GraphQLObjectType)
            nodes = self.selection(node.selection_set, kind)
            return 2 + math.floor(2 * math.log(rows)) * nodes
        return 1.0 + self.selection(node.selection_set, kind)  # type: ignore[arg-type]
