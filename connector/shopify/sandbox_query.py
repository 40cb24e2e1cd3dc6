"""A small, strict GraphQL executor: a document is compiled once into closures that turn records into JSON.

graphql-core parses. What a type offers is declared in `Field`s; what is not declared is refused the way Shopify refuses
it, with its error codes. Selections of plain values are rendered once per value and kept as JSON text.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Any

import orjson
from graphql import language as ast

from connector.shopify.sandbox_cost import FREE_TYPES, OBJECT_PRICES, Priced, PricedConnection
from connector.shopify.sandbox_types import MAX_PAGE, Compiled, Field, Refused, Render, Run, Schema, Slice

PAGE_INFO = ("hasNextPage", "hasPreviousPage", "startCursor", "endCursor")
_UNSET = object()


def compile_operation(
    document: ast.DocumentNode, name: str | None, schema: Schema, scopes: frozenset[str], private: bool
) -> Compiled:
    """Compile the named operation (or the only one) for a token with these scopes."""
    operations = [node for node in document.definitions if isinstance(node, ast.OperationDefinitionNode)]
    if name is not None:
        operations = [node for node in operations if node.name is not None and node.name.value == name]
    if len(operations) != 1:
        raise Refused("An operation name is required", "INVALID_OPERATION")
    operation = operations[0]
    compiler = _Compiler(document, schema, scopes, private)
    root = "Mutation" if operation.operation is ast.OperationType.MUTATION else "QueryRoot"
    label = f"{operation.operation.value} {operation.name.value}" if operation.name else operation.operation.value
    render, cost = compiler.selection([operation.selection_set], root, (label,))
    variables = operation.variable_definitions or ()
    return Compiled(
        kind=operation.operation.value,
        name=operation.name.value if operation.name else "",
        render=render,
        cost=cost,
        required=tuple(
            (v.variable.name.value, ast.print_ast(v.type))
            for v in variables
            if isinstance(v.type, ast.NonNullTypeNode) and v.default_value is None
        ),
        defaults={v.variable.name.value: _literal(v.default_value, {}) for v in variables if v.default_value},
        known=frozenset(v.variable.name.value for v in variables),
    )


class _Compiler:
    def __init__(self, document: ast.DocumentNode, schema: Schema, scopes: frozenset[str], private: bool) -> None:
        self.schema = schema
        self.scopes = scopes
        self.private = private
        self.fragments = {
            node.name.value: node for node in document.definitions if isinstance(node, ast.FragmentDefinitionNode)
        }
        self.memos: dict[tuple[str, str], Render] = {}

    def selection(self, sets: Iterable[ast.SelectionSetNode], of: str, path: tuple[str, ...]) -> tuple[Render, Priced]:
        """The closure and cost of a selection on a type."""
        if of in self.schema.abstract:
            return self.abstract(list(sets), path)
        sets = list(sets)
        text = "".join(ast.print_ast(one) for one in sets)
        memo_key = (of, text)
        if of in self.schema.values and memo_key in self.memos and "..." not in text:
            return self.memos[memo_key], Priced(0)
        names = self.collect(sets, of)
        steps: list[tuple[str, Render]] = []
        leaves: list[tuple[str, Callable[[Any], Any]]] = []
        fixed = 0
        connections: list[PricedConnection] = []
        for key, nodes in names.items():
            step, leaf, cost = self.field(key, nodes, of, path)
            if leaf is not None:
                leaves.append((key, leaf))
            if step is not None:
                steps.append((key, step))
            fixed += cost.fixed
            connections.extend(cost.connections)
        render = _object(list(names), leaves, steps)
        if of in self.schema.values:
            render = _remembered(render)
            self.memos[memo_key] = render
        return render, Priced(fixed, tuple(connections))

    def abstract(self, sets: list[ast.SelectionSetNode], path: tuple[str, ...]) -> tuple[Render, Priced]:
        """Compile for each concrete type as it turns up; the cost is that of the dearest named type."""
        named = {kind for one in sets for node in one.selections if (kind := self.condition(node)) is not None}
        compiled = {kind: self.selection(sets, kind, path) for kind in sorted(named) if kind in self.schema.types}
        costs = [cost for _, cost in compiled.values()]
        kind_of = self.schema.kind_of

        def render(value: Any, run: Run) -> Any:
            kind = kind_of(value)
            if kind not in compiled:
                compiled[kind] = self.selection(sets, kind, path)
            return compiled[kind][0](value, run)

        return render, max(costs, key=lambda cost: (cost.fixed, len(cost.connections)), default=Priced(0))

    def condition(self, node: ast.SelectionNode) -> str | None:
        """The type a fragment is for."""
        if isinstance(node, ast.FragmentSpreadNode) and node.name.value in self.fragments:
            return self.fragments[node.name.value].type_condition.name.value
        if isinstance(node, ast.InlineFragmentNode) and node.type_condition is not None:
            return node.type_condition.name.value
        return None

    def collect(self, sets: Iterable[ast.SelectionSetNode], of: str) -> dict[str, list[ast.FieldNode]]:
        """Response keys with their field nodes; fragments on other types are left out."""
        found: dict[str, list[ast.FieldNode]] = {}
        for one in sets:
            for node in one.selections:
                if isinstance(node, ast.FieldNode):
                    found.setdefault((node.alias or node.name).value, []).append(node)
                    continue
                if isinstance(node, ast.FragmentSpreadNode):
                    fragment = self.fragments.get(node.name.value)
                    if fragment is None:
                        raise Refused(f"Fragment {node.name.value} was used, but not defined", "useAndDefineFragment")
                    condition, inner = fragment.type_condition.name.value, fragment.selection_set
                elif isinstance(node, ast.InlineFragmentNode):
                    condition = node.type_condition.name.value if node.type_condition else of
                    inner = node.selection_set
                else:
                    raise Refused("Unknown selection", "PARSE_ERROR")
                if condition == of or condition in self.schema.abstract:
                    for key, nodes in self.collect([inner], of).items():
                        found.setdefault(key, []).extend(nodes)
        return found

    def field(
        self, key: str, nodes: list[ast.FieldNode], of: str, path: tuple[str, ...]
    ) -> tuple[Render | None, Callable[[Any], Any] | None, Priced]:
        """One field as a step (needs the run) or a leaf (a plain function of the object)."""
        node, name = nodes[0], nodes[0].name.value
        here = (*path, key)
        if name == "__typename":
            return None, (lambda value: of), Priced(0)
        field_ = self.schema.types[of].get(name)
        if field_ is None:
            raise _undefined(name, of, here, node)
        for argument in node.arguments or ():
            if argument.name.value not in field_.args:
                raise Refused(
                    f"Field '{name}' doesn't accept argument '{argument.name.value}'",
                    "argumentNotAccepted",
                    name=name,
                    typeName="Field",
                    argumentName=argument.name.value,
                )
        selections = [one.selection_set for one in nodes if one.selection_set is not None]
        if (field_.of is None) == bool(selections):
            raise Refused(f"Selections on '{name}' do not fit its type", "selectionMismatch", nodeName=name)
        if (field_.needs is not None and field_.needs not in self.scopes) or (field_.private and not self.private):
            return _withheld(key, name, field_), None, Priced(1 if selections else 0)
        arguments = _arguments(node)
        if field_.of is None:
            return self.scalar(field_, arguments)
        if field_.connection:
            step, cost = self.connection(field_, arguments, selections, here)
            return step, None, cost
        render, inner = self.selection(selections, field_.of, here)
        return _object_step(field_, arguments, render), None, _price(field_, inner)

    @staticmethod
    def scalar(
        field_: Field, arguments: Callable[[Run], dict[str, Any]]
    ) -> tuple[Render | None, Callable[[Any], Any] | None, Priced]:
        if not field_.args and not field_.active:
            return None, field_.get, Priced(0)
        get = field_.get
        return (lambda value, run: get(value, arguments(run), run)), None, Priced(0)

    def connection(
        self,
        field_: Field,
        arguments: Callable[[Run], dict[str, Any]],
        sets: list[ast.SelectionSetNode],
        path: tuple[str, ...],
    ) -> tuple[Render, Priced]:
        """nodes, edges and pageInfo of a page."""
        parts: list[tuple[str, Callable[[Slice, Run], Any]]] = []
        node_cost = Priced(0)
        for key, nodes in self.collect(sets, f"{field_.of}Connection").items():
            name = nodes[0].name.value
            inner = [one.selection_set for one in nodes if one.selection_set is not None]
            if name == "nodes":
                render, node_cost = self.selection(inner, str(field_.of), (*path, key))
                parts.append((key, _nodes(render)))
            elif name == "edges":
                edge, node_cost = self.edges(inner, str(field_.of), (*path, key))
                parts.append((key, edge))
            elif name == "pageInfo":
                parts.append((key, _page_info(list(self.collect(inner, "PageInfo")), path)))
            else:
                raise _undefined(name, f"{field_.of}Connection", (*path, key), nodes[0])

        def size(variables: Mapping[str, Any]) -> int:
            return int(arguments(Run(None, variables)).get("first") or 0)

        priced = PricedConnection(size, node_cost)
        get = field_.get

        def step(value: Any, run: Run) -> Any:
            given = arguments(run)
            check_page_size(given)
            page: Slice = get(value, given, run)
            seen = run.rows.setdefault(priced, [0, 0])
            seen[0] += 1
            seen[1] += len(page.nodes)
            return {key: part(page, run) for key, part in parts}

        return step, Priced(0, (priced,))

    def edges(
        self, sets: list[ast.SelectionSetNode], of: str, path: tuple[str, ...]
    ) -> tuple[Callable[[Slice, Run], Any], Priced]:
        cost = Priced(0)
        parts: list[tuple[str, Render | None]] = []
        for key, nodes in self.collect(sets, f"{of}Edge").items():
            if nodes[0].name.value == "cursor":
                parts.append((key, None))
            elif nodes[0].name.value == "node":
                inner = [one.selection_set for one in nodes if one.selection_set is not None]
                render, cost = self.selection(inner, of, (*path, key))
                parts.append((key, render))
            else:
                raise _undefined(nodes[0].name.value, f"{of}Edge", (*path, key), nodes[0])

        def render_edges(page: Slice, run: Run) -> Any:
            return [
                {key: page.cursors(at) if part is None else part(node, run) for key, part in parts}
                for at, node in enumerate(page.nodes)
            ]

        return render_edges, cost


def check_page_size(given: Mapping[str, Any]) -> None:
    """`first` or `last` is required, 250 the most (shopify.dev/docs/api/usage/pagination-graphql)."""
    size = given.get("first", given.get("last"))
    if size is None:
        raise Refused("you must provide one of first or last", "BAD_REQUEST")
    if not isinstance(size, int) or not 0 <= size <= MAX_PAGE:
        raise Refused(f"The page size {size} is not between 0 and {MAX_PAGE}", "BAD_REQUEST")


def _object(keys: list[str], leaves: list[tuple[str, Callable[[Any], Any]]], steps: list[tuple[str, Render]]) -> Render:
    template = dict.fromkeys(keys)

    def render(value: Any, run: Run) -> Any:
        out: dict[str, Any] = template.copy()
        for key, get in leaves:
            out[key] = get(value)
        for key, step in steps:
            got = step(value, run)
            if got is not _UNSET:
                out[key] = got
            else:
                run.denied[-1] = (out, *run.denied[-1][1:])
        return out

    return render


def _remembered(render: Render) -> Render:
    known: dict[Hashable, orjson.Fragment] = {}

    def recall(value: Any, run: Run) -> Any:
        text = known.get(value)
        if text is None:
            text = known[value] = orjson.Fragment(
                orjson.dumps(render(value, run)).decode()
            )  # text: orjson over-allocates bytes
        return text

    return recall


def _object_step(field_: Field, arguments: Callable[[Run], dict[str, Any]], render: Render) -> Render:
    get, many = field_.get, field_.many
    if field_.args or field_.active:

        def fetch(value: Any, run: Run) -> Any:
            return get(value, arguments(run), run)
    else:

        def fetch(value: Any, run: Run) -> Any:
            return get(value)

    def step(value: Any, run: Run) -> Any:
        found = fetch(value, run)
        if found is None:
            return None
        if many:
            return [None if one is None else render(one, run) for one in found]
        return render(found, run)

    return step


def _price(field_: Field, inner: Priced) -> Priced:
    if field_.mutation:
        return Priced(10)
    own = 0 if field_.of in FREE_TYPES else OBJECT_PRICES.get(str(field_.of), 1)
    return Priced(own + inner.fixed, inner.connections)


def _withheld(key: str, name: str, field_: Field) -> Render:
    if field_.needs is not None:
        access = f"`{field_.needs}` access scope."
        message = f"Access denied for {name} field. Required access: {access}"
    else:
        access = "Protected customer data, level 2."
        message = f"This app is not approved to access the {name} field."
    page = "https://shopify.dev/api/usage/access-scopes"
    error = {
        "message": message,
        "extensions": {"code": "ACCESS_DENIED", "documentation": page, "requiredAccess": access},
    }

    def step(value: Any, run: Run) -> Any:
        run.denied.append(({}, key, error))
        return _UNSET

    return step


def _nodes(render: Render) -> Callable[[Slice, Run], Any]:
    return lambda page, run: [render(node, run) for node in page.nodes]


def _page_info(keys: list[str], path: tuple[str, ...]) -> Callable[[Slice, Run], Any]:
    for key in keys:
        if key not in PAGE_INFO:
            raise Refused(f"Field '{key}' doesn't exist on type 'PageInfo'", "undefinedField", path=[*path, key])

    def render(page: Slice, run: Run) -> Any:
        last = len(page.nodes) - 1
        info = {
            "hasNextPage": page.has_next,
            "hasPreviousPage": page.has_previous,
            "startCursor": page.cursors(0) if last >= 0 else None,
            "endCursor": page.cursors(last) if last >= 0 else None,
        }
        return {key: info[key] for key in keys}

    return render


def _undefined(name: str, of: str, path: tuple[str, ...], node: ast.FieldNode) -> Refused:
    refused = Refused(f"Field '{name}' doesn't exist on type '{of}'", "undefinedField", typeName=of, fieldName=name)
    refused.error["path"] = list(path)
    return refused


def _arguments(node: ast.FieldNode) -> Callable[[Run], dict[str, Any]]:
    pairs = [(argument.name.value, argument.value) for argument in node.arguments or ()]
    return lambda run: {name: _literal(value, run.variables) for name, value in pairs}


def _literal(node: ast.ValueNode | None, variables: Mapping[str, Any]) -> Any:
    if isinstance(node, ast.VariableNode):
        return variables.get(node.name.value)
    if isinstance(node, ast.IntValueNode):
        return int(node.value)
    if isinstance(node, ast.FloatValueNode):
        return float(node.value)
    if isinstance(node, ast.ListValueNode):
        return [_literal(one, variables) for one in node.values]
    if isinstance(node, ast.ObjectValueNode):
        return {one.name.value: _literal(one.value, variables) for one in node.fields}
    if node is None or isinstance(node, ast.NullValueNode):
        return None
    return node.value  # type: ignore[attr-defined]
