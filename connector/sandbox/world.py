"""One shop, alive: everything that can happen to its customers, orders and carts.

The world knows facts; how a platform pages, searches, delays or refuses is its simulator's business. Every change
stamps `updated_at` from the world's clock and is told to the watchers, after it happened.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from connector.base import Clock
from connector.sandbox.records import (
    Allocation,
    Cart,
    Customer,
    Event,
    Line,
    Order,
    Product,
    Refund,
    RefundLine,
    spread,
)
from connector.sandbox.register import Register, StillClock

__all__ = ["StillClock", "World"]


class World(Register):
    """A shop and what happens in it."""

    @classmethod
    def generate(
        cls, seed: int = 1, customers: int = 300, *, now: int | None = None, clock: Clock | None = None
    ) -> World:
        """A believable shop, the same for the same arguments. History ends at `now` (default: the clock's)."""
        from connector.sandbox.generator import generate

        return generate(seed, customers, now=now, clock=clock)

    @classmethod
    def from_csv(cls, folder: Path, *, clock: Clock | None = None, now: int | None = None) -> World:
        """The shop in these tables; see `csv_tables` for the columns."""
        from connector.sandbox.csv_tables import load

        return load(folder, clock=clock, now=now)

    def add_product(
        self,
        title: str,
        price: int,
        *,
        category: str | None = None,
        vendor: str | None = None,
        tags: Iterable[str] = (),
        sku: str | None = None,
    ) -> Product:
        number = self.new_number("product")
        product = Product(number, title, category, vendor, price, sku or f"SKU-{number % 100_000:05d}", tuple(tags))
        self.products[number] = product
        return product

    def edit_product(self, product: Product, **facts: str | int | tuple[str, ...] | None) -> None:
        """Change a product; lines already sold show it as it is now."""
        for name, value in facts.items():
            setattr(product, name, value)
        self.catalogue += 1

    def add_customer(
        self, email: str | None = None, *, at: int | None = None, tags: Iterable[str] = (), **facts: str | int | None
    ) -> Customer:
        """A new person; `facts` are further fields of `Customer`."""
        moment = self.now() if at is None else at
        customer = Customer(self.new_number("customer"), moment, moment, email, **facts)  # type: ignore[arg-type]
        customer.tags = {tag.casefold(): tag for tag in tags}
        self.customers[customer.number] = customer
        self._enrol(customer)
        self._tell(customer)
        return customer

    def make_line(
        self,
        product: Product,
        quantity: int,
        *,
        price: int | None = None,
        off: int = 0,
        code: str | None = None,
        cart: bool = False,
    ) -> Line:
        """A line with a discount of its own of `off` in all."""
        allocations = (Allocation(off, code),) if off else ()
        number = self.new_number("cart_line" if cart else "line")
        return Line(number, product, quantity, product.price if price is None else price, allocations)

    def place_order(
        self,
        customer: Customer | None,
        items: Iterable[Line | tuple[Product, int]],
        *,
        at: int | None = None,
        email: str | None = None,
        order_off: int = 0,
        codes: Iterable[str] = (),
        shipping: int = 0,
        tax: int = 0,
        currency: str | None = None,
        test: bool = False,
        paid: bool = True,
        source: str = "web",
    ) -> Order:
        """A sale. `order_off` is a discount on the whole order; it is spread over the lines by their value."""
        moment = self.now() if at is None else at
        codes = tuple(codes)
        lines = tuple(item if isinstance(item, Line) else self.make_line(*item) for item in items)
        if order_off:
            lines = spread(lines, order_off, codes[0] if codes else None)
        order = Order(
            number=self.new_number("order"),
            name=f"#{next(self._order_names)}",
            customer=customer,
            email=email if email is not None or customer is None else customer.email,
            created_at=moment,
            processed_at=moment,
            updated_at=moment,
            currency=currency or self.currency,
            lines=lines,
            shipping=shipping,
            tax=tax,
            codes=codes,
            paid=paid,
            test=test,
            source=source,
            accepts_marketing=customer is not None and customer.email_consent == "SUBSCRIBED",
            language=customer.language if customer else None,
            country=customer.country if customer else None,
            region=customer.region if customer else None,
            city=customer.city if customer else None,
        )
        self.put_order(order)
        if customer is not None:
            self.touch(customer, at=max(moment, customer.updated_at))
        return order

    def refund(
        self, order: Order, lines: Mapping[int, int] | None = None, *, amount: int | None = None, at: int | None = None
    ) -> Refund:
        """Give money back: for `lines` (line number: pieces), or `amount` without goods, or all that is left."""
        moment = self.now() if at is None else at
        back = order.returned()
        if lines is None and amount is None:
            lines = {line.number: line.quantity - back.get(line.number, 0) for line in order.lines}
            amount = order.total - order.refunded
        parts = tuple(
            RefundLine(line.number, pieces, (line.gross - line.discount) * pieces // line.quantity)
            for line in order.lines
            if (pieces := (lines or {}).get(line.number, 0)) > 0
        )
        value = sum(part.amount for part in parts) if amount is None else amount
        if not 0 <= value <= order.total - order.refunded:
            raise ValueError(f"order {order.number}: cannot refund {value} of {order.total - order.refunded} left")
        refund = Refund(self.new_number("refund"), moment, value, parts)
        order.refunds.append(refund)
        self.touch(order, at=max(moment, order.updated_at))
        return refund

    def cancel(self, order: Order, *, reason: str = "CUSTOMER", at: int | None = None) -> None:
        """Call the order off."""
        order.cancelled_at = self.now() if at is None else at
        order.cancel_reason = reason
        self.touch(order, at=max(order.cancelled_at, order.updated_at))

    def edit_order(self, order: Order, items: Iterable[Line | tuple[Product, int]]) -> None:
        """Replace the lines; those kept keep their number."""
        order.lines = tuple(item if isinstance(item, Line) else self.make_line(*item) for item in items)
        order.edited = True
        order.reprice()
        self.touch(order)

    def abandon_cart(
        self,
        customer: Customer | None,
        items: Iterable[Line | tuple[Product, int]],
        *,
        email: str | None = None,
        at: int | None = None,
        currency: str | None = None,
        codes: Iterable[str] = (),
    ) -> Cart:
        """A checkout begun and left. Without customer and email it is anonymous."""
        moment = self.now() if at is None else at
        lines = tuple(item if isinstance(item, Line) else self.make_line(*item, cart=True) for item in items)
        cart = Cart(
            number=self.new_number("cart"),
            customer=customer,
            email=email if email is not None or customer is None else customer.email,
            created_at=moment,
            updated_at=moment,
            currency=currency or self.currency,
            lines=lines,
            codes=tuple(codes),
            country=customer.country if customer else None,
            region=customer.region if customer else None,
        )
        self.put_cart(cart)
        return cart

    def complete_cart(self, cart: Cart, *, at: int | None = None) -> Order:
        """The cart is bought after all: a new order with its lines."""
        moment = self.now() if at is None else at
        lines = [line._replace(number=self.new_number("line")) for line in cart.lines]
        order = self.place_order(
            cart.customer, lines, at=moment, email=cart.email, currency=cart.currency, codes=cart.codes
        )
        cart.completed_at = moment
        cart.order = order.number
        self.touch(cart, at=moment)
        return order

    def set_consent(self, customer: Customer, state: str, *, at: int | None = None) -> None:
        """E-mail consent becomes SUBSCRIBED, UNSUBSCRIBED, NOT_SUBSCRIBED, PENDING or INVALID."""
        moment = self.now() if at is None else at
        customer.email_consent = state
        customer.email_consent_at = moment
        self.touch(customer, at=max(moment, customer.updated_at))

    def give_consent(self, customer: Customer) -> None:
        self.set_consent(customer, "SUBSCRIBED")

    def withdraw_consent(self, customer: Customer) -> None:
        self.set_consent(customer, "UNSUBSCRIBED")

    def change_email(self, customer: Customer, email: str | None) -> None:
        self._dismiss(customer)
        customer.email = email
        self._enrol(customer)
        self.touch(customer)

    def add_tags(self, customer: Customer, tags: Iterable[str]) -> bool:
        """Add tags; one that exists in another spelling keeps its spelling. True if anything changed."""
        new = {tag.casefold(): tag for tag in reversed(list(tags)) if tag.casefold() not in customer.tags}
        if new:
            customer.tags.update(new)
            self.touch(customer)
        return bool(new)

    def remove_tags(self, customer: Customer, tags: Iterable[str]) -> bool:
        """Remove tags whatever their case. True if anything changed."""
        gone = [customer.tags.pop(key) for key in {tag.casefold() for tag in tags} if key in customer.tags]
        if gone:
            self.touch(customer)
        return bool(gone)

    def merge(self, loser: Customer, survivor: Customer, *, at: int | None = None) -> None:
        """`loser` becomes part of `survivor`: orders and carts move without a new date of change, tags are united."""
        if loser is survivor:
            raise ValueError("a customer cannot be merged into itself")
        moment = self.now() if at is None else at
        for order in self._orders_of.pop(loser.number, []):
            order.customer = survivor
            self._orders_of.setdefault(survivor.number, []).append(order)
            self._tell(order)
        for cart in self._carts_of.pop(loser.number, []):
            cart.customer = survivor
            self._carts_of.setdefault(survivor.number, []).append(cart)
            self._tell(cart)
        for key, tag in loser.tags.items():
            survivor.tags.setdefault(key, tag)
        survivor.created_at = min(survivor.created_at, loser.created_at)
        self.merged[loser.number] = survivor.number
        self._remove(loser, moment, into=survivor.number)
        self.touch(survivor, at=max(moment, survivor.updated_at))

    def delete_customer(self, customer: Customer, *, orphan_orders: bool = False) -> None:
        """Forget a person. Shopify refuses while there are orders; `orphan_orders` leaves them to nobody instead."""
        orders = self._orders_of.get(customer.number, [])
        if orders and not orphan_orders:
            raise ValueError(f"customer {customer.number} has {len(orders)} orders and cannot be deleted")
        for order in self._orders_of.pop(customer.number, []):
            order.customer = None
            self.touch(order)
        for cart in self._carts_of.pop(customer.number, []):
            cart.customer = None
            self.touch(cart)
        self._remove(customer, self.now())

    def delete_order(self, order: Order) -> None:
        """Remove an order for good."""
        del self.orders[order.number]
        if order.customer is not None:
            self._orders_of[order.customer.number].remove(order)
            self.touch(order.customer)
        self.events.append(Event(self.new_number("event"), self.now(), "order", "destroy", order.number))
        self._tell(order, gone=True)
