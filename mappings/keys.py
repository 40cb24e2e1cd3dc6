"""The integer by which the store knows a record, whether its platform names it by a number or by text."""

from __future__ import annotations

from hashlib import blake2b

LARGEST = 2**63 - 1
"""The largest key: the largest whole number of a database."""


def key(external: str) -> int:
    """The key of a platform's own id: a number stands for itself, any other text for 63 bits of its hash.

    The hash (letter case aside: platforms spell the same GUID both ways) needs no table of what was given out before,
    so that mapping stays a pure function, and pages in any order, killed and read again, give the same rows. Of ten
    million ids the chance that any two share a key is 1 in 180,000; the store keeps the texts and refuses the second.
    """
    if external.isascii() and external.isdigit() and (external[0] != "0" or external == "0"):
        number = int(external)
        if number <= LARGEST:
            return number
    return int.from_bytes(blake2b(external.lower().encode(), digest_size=8).digest()) >> 1
