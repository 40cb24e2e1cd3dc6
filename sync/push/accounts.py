"""A ledger speaks of one account: nobody is put in or taken out at another by what was heard at the first."""

from __future__ import annotations

from collections.abc import Iterable

from connector.base import Destination
from sync.errors import StoreError
from sync.store import ledger, state
from sync.store.engine import Store


def claim(store: Store, destinations: Iterable[Destination]) -> None:
    """Note whose account each destination is. One that holds nobody of ours may be exchanged: all is learnt anew.

    Raises StoreError where the ledger holds people of another account.
    """
    for destination in destinations:
        key, account = f"account:{destination.name}", destination.account()
        with store.begin() as conn:
            before = state.get_meta(conn, key)
            if before not in (None, account):
                if written := ledger.written(conn, destination.name):
                    raise StoreError(
                        f"{store.path}: {written:,} entries of the ledger are about {destination.name} account "
                        f"{before}, and {account} is configured; go back to {before}, or name another file in "
                        "[database] url"
                    )
                ledger.disown(conn, destination.name)
            state.set_meta(conn, key, account)
