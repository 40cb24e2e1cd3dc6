"""The page server's orders through a tap and a target of singer-sdk: `python -m bench.peer_singer ADDRESS FOLDER`.

Tap and target take turns in one process with a file between them, so that its clock counts the work of both.
"""

from __future__ import annotations

import json
import sqlite3
import sys
import time
from contextlib import redirect_stdout
from pathlib import Path


def main() -> None:
    address = sys.argv[1]
    from singer_sdk import RESTStream, Tap
    from singer_sdk import typing as th
    from singer_sdk.connectors import SQLConnector
    from singer_sdk.pagination import JSONPathPaginator
    from singer_sdk.sinks import SQLSink
    from singer_sdk.target_base import SQLTarget

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

    class Connector(SQLConnector):
        def get_sqlalchemy_url(self, config):  # type: ignore[no-untyped-def]
            return f"sqlite:///{config['path']}"

    class Sink(SQLSink):
        connector_class = Connector

        def preprocess_record(self, record, context):  # type: ignore[no-untyped-def]
            return {name: json.dumps(value) if isinstance(value, (dict, list)) else value
                    for name, value in record.items()}  # fmt: skip

    class Target(SQLTarget):
        name = "target-bench"
        config_jsonschema = th.PropertiesList(th.Property("path", text)).to_dict()
        default_sink_class = Sink

    folder = Path(sys.argv[2])
    messages, database = folder / "messages.jsonl", folder / "singer.db"
    wall, cpu = time.perf_counter(), time.process_time()
    with messages.open("w") as file, redirect_stdout(file):
        Shop(config={}).sync_all()
    with messages.open() as file:
        Target(config={"path": str(database)}).listen(file)
    spent = [time.process_time() - cpu, time.perf_counter() - wall]
    rows = sqlite3.connect(database).execute("SELECT count(*) FROM orders").fetchone()[0]
    assert rows == messages.read_text().count('"type":"RECORD"'), rows
    print(json.dumps(spent), file=sys.stderr)


if __name__ == "__main__":
    main()
