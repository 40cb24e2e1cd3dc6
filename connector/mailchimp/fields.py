"""Merge fields: what the audience holds of a person for its mails, such as the group they are in."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from connector.base import Call, Clock, FieldReceipt, FieldWrite, Reply
from connector.errors import PlatformError
from connector.mailchimp import wire_fields, wire_members
from connector.mailchimp.batches import PAUSES, Batches
from connector.mailchimp.cutting import member_of
from connector.mailchimp.limits import limits
from connector.mailchimp.paging import page_of
from connector.mailchimp.push import outcome_of
from connector.mailchimp.wire import document


class Fields:
    """The fields of these attributes in one audience. They are looked for, and made, at the first write."""

    def __init__(
        self,
        audience: str,
        attributes: Sequence[str],
        send: Callable[[Call], Reply],
        once: Callable[[Call], Reply],
        batches: Batches,
        clock: Clock,
    ) -> None:
        self._audience = audience
        self._attributes = tuple(attributes)
        self._send = send
        self._once = once
        self._batches = batches
        self._clock = clock
        self._tags: dict[str, str] = {}

    def write(self, people: Sequence[FieldWrite]) -> list[FieldReceipt]:
        """One receipt per person; nobody is added. Raises Refused where the audience takes no further field."""
        if people and self._attributes and not self._tags:
            self._tags = self._made()
        receipts: dict[int, FieldReceipt] = {}
        known: dict[str, list[FieldWrite]] = {}
        for each in people:
            if member := member_of(each.person):
                known.setdefault(member, []).append(each)
            else:
                number = each.person.customer_id
                receipts[number] = FieldReceipt(number, "refused", "no usable e-mail address")
        operations = [
            wire_members.set_fields(self._audience, member, self._fields(those[0])) for member, those in known.items()
        ]
        answers = self._batches.run(operations) if operations else []
        for those, answer in zip(known.values(), answers, strict=True):
            outcome, reason = outcome_of(answer)
            for each in those:
                receipts[each.person.customer_id] = FieldReceipt(each.person.customer_id, outcome, reason)
        return [receipts[each.person.customer_id] for each in people]

    def _fields(self, write: FieldWrite) -> dict[str, str]:
        return {self._tags[name]: value for name, value in write.values.items() if name in self._tags}

    def _made(self) -> dict[str, str]:
        """The tag of each attribute's field; unknown tags would be ignored without an error.

        Making is not repeated blindly: another field of the same name could come of it.
        """
        for pause in (*PAUSES, None):
            found = self._found()
            try:
                for attribute in self._attributes:
                    if attribute not in found:
                        making = wire_fields.create_merge_field(self._audience, limits().fields[attribute])
                        found[attribute] = str(document(making.operation, self._once(making), "tag")["tag"])
            except PlatformError as error:
                if error.definite or pause is None:
                    raise
                self._clock.sleep(pause)
            else:
                return found
        raise AssertionError("the last try returns or raises")

    def _found(self) -> dict[str, str]:
        request = wire_fields.get_merge_fields(self._audience)
        body = document(request.operation, self._send(page_of(request)), "merge_fields")
        tags = {attribute: wire_fields.tag_of(body, limits().fields[attribute]) for attribute in self._attributes}
        return {attribute: tag for attribute, tag in tags.items() if tag is not None}
