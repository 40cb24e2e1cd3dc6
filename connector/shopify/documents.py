"""The GraphQL documents: `queries/<Operation>.graphql`, each joined with the fragments it spreads."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from importlib.resources import files

_SPREAD = re.compile(r"\.\.\.\s*([A-Z]\w*)")


@cache
def document(operation: str) -> str:
    """The text to send for an operation: itself, then every fragment that it reaches, once."""
    return _whole(files("connector.shopify").joinpath("queries", f"{operation}.graphql").read_text("utf-8"))


def _whole(text: str) -> str:
    folder = files("connector.shopify").joinpath("queries", "fragments")
    parts = [text]
    wanted = _SPREAD.findall(text)
    taken: set[str] = set()
    while wanted:
        name = wanted.pop(0)
        if name in taken:
            continue
        taken.add(name)
        text = folder.joinpath(f"{name}.graphql").read_text("utf-8")
        parts.append(text)
        wanted += _SPREAD.findall(text)
    return "\n".join(parts)


def operations() -> Sequence[str]:
    """The names of all documents."""
    folder = files("connector.shopify").joinpath("queries")
    return sorted(entry.name.removesuffix(".graphql") for entry in folder.iterdir() if entry.name.endswith(".graphql"))


def tags_batch(aliases: Sequence[str]) -> str:
    """One mutation that holds the given aliases in their order: `r<n>` removes tags from customer n, `a<n>` adds.

    The aliases run in order, not as a transaction.
    """
    variables = []
    fields = []
    for alias in aliases:
        mutation = "tagsRemove" if alias[0] == "r" else "tagsAdd"
        variables.append(f"${alias}id: ID!, ${alias}: [String!]!")
        fields.append(
            f"  {alias}: {mutation}(id: ${alias}id, tags: ${alias}) {{ node {{ id }} userErrors {{ field message }} }}"
        )
    return f"mutation TagsBatch({', '.join(variables)}) {{\n" + "\n".join(fields) + "\n}\n"


@cache
def lines_batch(operation: str, kind: str, fragment: str, count: int) -> str:
    """One query for more lines of `count` records of a type: `o<n>` continues record `$id<n>` behind `$after<n>`."""
    variables = ["$first: Int!", *(f"$id{n}: ID!, $after{n}: String" for n in range(count))]
    fields = [
        f"  o{n}: node(id: $id{n}) {{ ... on {kind} {{ lineItems(first: $first, after: $after{n}) {{ "
        f"nodes {{ ...{fragment} }} pageInfo {{ hasNextPage endCursor }} }} }} }}"
        for n in range(count)
    ]
    return _whole(f"query {operation}({', '.join(variables)}) {{\n" + "\n".join(fields) + "\n}\n")
