"""The page server's orders through a tap of singer-sdk: `python -m bench.peer_singer ADDRESS FOLDER`."""

from __future__ import annotations

import json
import sys
import time


def main() -> None:
    address = sys.argv[1]
    from singer_sdk import RESTStream, Tap
    from singer_sdk import typing as th
    from singer_sdk.pagination import JSONPathPaginator

    text, number, flag = th.StringType, th.IntegerType, th.BooleanType

    def record(**kinds):  # type: ignore[no-untyped-def]
        return th.ObjectType(*(th.Property(name, kind) for name, kind in kinds.items()))

    money = record(shopMoney=record(amount=text, currencyCode=text))
    product = record(id=text, productType=text, tags=th.ArrayType(text))
    allocations = th.ArrayType(record(allocatedAmountSet=money))
    line = record(id=text, title=text, vendor=text, quantity=number, originalTotalSet=money,
                  discountAllocations=allocations, product=product)  # fmt: skip
    refund = record(id=text, createdAt=text, totalRefundedSet=money)

    class Orders(RESTStream):
        name = "orders"
        path = "/orders"
        url_base = address
        primary_keys = ("id",)
        records_jsonpath = "$.data.orders.nodes[*]"
        schema = record(id=text, name=text, email=text, createdAt=text, processedAt=text, updatedAt=text,
                        cancelledAt=text, test=flag, displayFinancialStatus=text, sourceName=text,
                        discountCodes=th.ArrayType(text), totalPriceSet=money, totalRefundedSet=money,
                        customer=record(id=text), refunds=th.ArrayType(refund),
                        lineItems=record(nodes=th.ArrayType(line))).to_dict()  # fmt: skip

        def get_new_paginator(self):  # type: ignore[no-untyped-def]
            return JSONPathPaginator("$.data.orders.pageInfo.endCursor")

        def get_url_params(self, context, next_page_token):  # type: ignore[no-untyped-def]
            return {"after": next_page_token} if next_page_token else {}

    class Shop(Tap):
        name = "tap-bench"
        config_jsonschema = th.PropertiesList().to_dict()

        def discover_streams(self):  # type: ignore[no-untyped-def]
            return [Orders(self)]

    tap = Shop(config={})
    wall, cpu = time.perf_counter(), time.process_time()
    tap.sync_all()
    spent = [time.process_time() - cpu, time.perf_counter() - wall]
    print(json.dumps(spent), file=sys.stderr)


if __name__ == "__main__":
    main()
