"""The integer by which the store knows a record, whether its platform names it by a number or by text."""

from __future__ import annotations

from hashlib import blake2b

LARGEST = 2**63 - 1
"""The largest key: the largest whole number of a database."""


def is_number(external: str) -> bool:
    """True for an id that its key gives back: a whole number as it is commonly written, which fits."""
    plain = external.isascii() and external.isdigit() and (external[0] != "0" or external == "0")
    return plain and (len(external) < 19 or int(external) <= LARGEST)


def key(external: str) -> int:
    """The key of a platform's own id: a number stands for itself, any other text for 63 bits of its hash.

    The hash (letter case aside: platforms spell the same GUID both ways) needs no table of what was given out before,
    so that mapping stays a pure function, and pages in any order, killed and read again, give the same rows. Of ten
    million ids the chance that any two share a key is 1 in 180,000; the store keeps the texts and refuses the second.
    """
    if is_number(external):
        return int(external)
    return int.from_bytes(blake2b(external.lower().encode(), digest_size=8).digest()) >> 1


def own_id(record_id: str) -> str:
    """The platform's own id in the id of a record, which may be a path that ends in its number (`gid://.../7`)."""
    tail = record_id.rpartition("/")[2]
    return tail if tail.isdecimal() else record_id
