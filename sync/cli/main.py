"""The `regulars` command: names, options, help. Each command's work lives in a module imported when it is called."""

from __future__ import annotations

import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from connector import destinations, stores

INTERRUPTED = 130

app = typer.Typer(
    name="regulars",
    help="Behavioural segments of your shop, on your own machine.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
    no_args_is_help=True,
)
segments_app = typer.Typer(
    rich_markup_mode=None, no_args_is_help=True, help="The catalogue, sizes, definitions, members."
)
customers_app = typer.Typer(rich_markup_mode=None, no_args_is_help=True, help="Customers with all their metrics.")
app.add_typer(segments_app, name="segments")
app.add_typer(customers_app, name="customers")


class TableFormat(StrEnum):
    """Formats of tables of people."""

    CSV = "csv"
    JSONL = "jsonl"


class MembersFormat(StrEnum):
    """Formats of a list of members."""

    TEXT = "text"
    CSV = "csv"


Config = Annotated[
    Path | None, typer.Option("--config", metavar="PATH", help="Project folder or file (or REGULARS_CONFIG).")
]
Key = Annotated[str, typer.Argument(help="The segment's key.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as JSON.")]
AsOf = Annotated[
    str | None, typer.Option("--as-of", metavar="ISO8601", help="Answer as of this instant; writes nothing.")
]
Force = Annotated[
    list[str] | None, typer.Option("--force", metavar="GUARD[:SEGMENT]", help="Let a guard pass, this run; repeatable.")
]
OnlyStreams = Annotated[
    str | None, typer.Option("--only-streams", metavar="NAMES", help="Read only these streams, by comma.")
]
Platform = Annotated[
    str | None, typer.Option("--platform", metavar="NAME", help=f"The store's platform: {' or '.join(stores())}.")
]
Adopt = Annotated[bool, typer.Option("--adopt", help="Take over tags and lists of the same name.")]


@app.command()
def demo(
    customers: Annotated[int, typer.Option(help="Size of the made-up shop.")] = 2000,
    seed: Annotated[int, typer.Option(help="Another seed, another shop.")] = 7,
    folder: Annotated[Path, typer.Option(help="Where to keep its project folder.")] = Path("regulars-demo"),
    platform: Platform = None,
) -> None:
    """Run the main job on a made-up shop: no keys, nothing sent."""
    from sync.cli.demo import run

    run(customers=customers, seed=seed, folder=folder, platform=platform)


@app.command()
def init(
    folder: Annotated[Path, typer.Argument(help="Folder to write.")] = Path(),
    platform: Platform = None,
    shop: Annotated[
        str | None, typer.Option(metavar="NAME", help="A shop by its name: my-shop or my-shop.myshopify.com.")
    ] = None,
    site_id: Annotated[
        str | None, typer.Option(metavar="ID", help="A site by its id, as in its dashboard's address.")
    ] = None,
    tags: Annotated[
        bool | None, typer.Option("--tags/--no-tags", help="Write tags or labels back to the store.")
    ] = None,
    to: Annotated[
        list[str] | None,
        typer.Option("--to", metavar="NAME", help=f"Push to {' or '.join(destinations())}; repeatable."),
    ] = None,
    audience_id: Annotated[
        str | None, typer.Option(metavar="ID", help="The Mailchimp audience that gets tags.")
    ] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", metavar="SECTION.KEY=VALUE", help="Any other setting; repeatable.")
    ] = None,
    packs: Annotated[str | None, typer.Option(metavar="NAMES", help="Segment packs, by comma.")] = None,
    check: Annotated[bool, typer.Option("--check/--no-check", help="Try the keys before writing.")] = True,
) -> None:
    """Ask, try the keys, write the project folder."""
    from sync.cli.init import Given, run

    run(
        folder=folder,
        given=Given(
            platform=platform,
            tags=tags,
            destinations=to,
            packs=packs,
            keys={"shop": shop, "site_id": site_id, "audience_id": audience_id},
            settings=set_ or [],
        ),
        check=check,
    )


@app.command()
def doctor(config: Config = None, as_json: Json = False) -> None:
    """Try everything a run needs; each finding with its fix."""
    from sync.cli.doctor import run

    run(config=config, as_json=as_json)


@app.command()
def sync(
    config: Config = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the plan and write nothing.")] = False,
    full: Annotated[bool, typer.Option("--full", help="Read and work out everything again.")] = False,
    only_streams: OnlyStreams = None,
    no_pull: Annotated[bool, typer.Option("--no-pull", help="Work with what is already here.")] = False,
    force: Force = None,
    adopt: Adopt = False,
    as_json: Json = False,
    as_of: Annotated[str | None, typer.Option("--as-of", hidden=True)] = None,
) -> None:
    """Pull, derive, plan and apply, under the guards."""
    from sync.cli.steps import run_sync

    run_sync(
        config=config,
        dry_run=dry_run,
        full=full,
        only=only_streams,
        no_pull=no_pull,
        force=force or [],
        adopt=adopt,
        as_json=as_json,
        as_of=as_of,
    )


@app.command()
def pull(
    config: Config = None,
    full: Annotated[bool, typer.Option("--full", help="Read everything again, not changes alone.")] = False,
    only_streams: OnlyStreams = None,
    as_json: Json = False,
) -> None:
    """Read the store's changes into the database."""
    from sync.cli.steps import run_pull

    run_pull(config=config, full=full, only=only_streams, as_json=as_json)


@app.command()
def derive(
    config: Config = None,
    full: Annotated[bool, typer.Option("--full", help="Work everybody out anew.")] = False,
    as_json: Json = False,
    as_of: AsOf = None,
) -> None:
    """Compute metrics and segments from what is here."""
    from sync.cli.steps import run_derive

    run_derive(config=config, full=full, as_json=as_json, as_of=as_of)


@app.command()
def plan(
    config: Config = None,
    force: Force = None,
    adopt: Adopt = False,
    as_json: Json = False,
    detailed_exitcode: Annotated[
        bool, typer.Option("--detailed-exitcode", help="Exit 10 when there are changes.")
    ] = False,
    as_of: Annotated[str | None, typer.Option("--as-of", hidden=True)] = None,
) -> None:
    """Show every write before it is made."""
    from sync.cli.steps import run_plan

    run_plan(config=config, force=force or [], adopt=adopt, as_json=as_json, detailed=detailed_exitcode, as_of=as_of)


@app.command(name="apply")
def apply_(
    plan_id: Annotated[
        str | None, typer.Argument(metavar="PLAN", help="A plan that was shown; else a new one.")
    ] = None,
    config: Config = None,
    force: Force = None,
    adopt: Adopt = False,
    as_json: Json = False,
    as_of: Annotated[str | None, typer.Option("--as-of", hidden=True)] = None,
) -> None:
    """Make the writes of a plan."""
    from sync.cli.steps import run_apply

    run_apply(config=config, plan_id=plan_id, force=force or [], adopt=adopt, as_json=as_json, as_of=as_of)


@app.command()
def audit(
    config: Config = None,
    additions: Annotated[
        list[str] | None,
        typer.Option("--additions", metavar="CHOICE[:SEGMENT]", help="adopt, revert or ignore (default); repeatable."),
    ] = None,
    removals: Annotated[
        list[str] | None,
        typer.Option("--removals", metavar="CHOICE[:SEGMENT]", help="adopt, revert (default) or ignore; repeatable."),
    ] = None,
    as_json: Json = False,
) -> None:
    """What hands and other apps changed in our audiences."""
    from sync.cli.audit import run

    run(config=config, additions=additions or [], removals=removals or [], as_json=as_json)


@app.command()
def undo(
    run: Annotated[int, typer.Argument(metavar="RUN", help="The run, by its number in status.")],
    config: Config = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the plan and write nothing.")] = False,
    force: Force = None,
    as_json: Json = False,
) -> None:
    """Take back what a run wrote, where it still stands."""
    from sync.cli.undo import run as run_undo

    run_undo(target=run, config=config, dry_run=dry_run, force=force or [], as_json=as_json)


@segments_app.command(name="list")
def segments_list(config: Config = None, as_json: Json = False, as_of: AsOf = None) -> None:
    """Every configured segment with its size."""
    from sync.cli.segments import run_list

    run_list(config=config, as_json=as_json, as_of=as_of)


@segments_app.command(name="show")
def segments_show(
    key: Key,
    config: Config = None,
    with_sql: Annotated[bool, typer.Option("--sql", help="Show the SQL too, with its parameters.")] = False,
    as_json: Json = False,
) -> None:
    """A segment in words: its condition, what it reads, its size."""
    from sync.cli.segments import run_show

    run_show(key=key, config=config, as_json=as_json, with_sql=with_sql)


@segments_app.command(name="members")
def segments_members(
    key: Key,
    config: Config = None,
    format_: Annotated[MembersFormat, typer.Option("--format", help="One id a line, or CSV.")] = MembersFormat.TEXT,
    as_json: Json = False,
    as_of: AsOf = None,
) -> None:
    """Who is in a segment, by the platform's customer id."""
    from sync.cli.segments import run_members

    run_members(key=key, config=config, format_=format_.value, as_json=as_json, as_of=as_of)


@segments_app.command(name="check")
def segments_check(config: Config = None, as_json: Json = False) -> None:
    """Compile every segment and run its tests."""
    from sync.cli.segments import run_check

    run_check(config=config, as_json=as_json)


@segments_app.command(name="retire")
def segments_retire(key: Key, config: Config = None) -> None:
    """Empty the audiences of a segment you took out."""
    from sync.cli.segments import run_retire

    run_retire(key=key, config=config)


@customers_app.command(name="export")
def customers_export(
    config: Config = None,
    format_: Annotated[TableFormat, typer.Option("--format", help="CSV, or a JSON object a line.")] = TableFormat.CSV,
    segment: Annotated[str | None, typer.Option(metavar="KEY", help="Only this segment's members.")] = None,
    output: Annotated[Path | None, typer.Option(metavar="FILE", help="File to write; otherwise stdout.")] = None,
    as_of: AsOf = None,
) -> None:
    """Every metric of every customer."""
    from sync.cli.people import run_export

    run_export(config=config, format_=format_.value, segment=segment, output=output, as_of=as_of)


@app.command()
def why(
    who: Annotated[str, typer.Argument(help="Customer id or e-mail address.")],
    key: Annotated[str | None, typer.Argument(help="One segment; otherwise all.")] = None,
    config: Config = None,
    as_json: Json = False,
    as_of: AsOf = None,
) -> None:
    """Why a person is in a segment or not; what would change it."""
    from sync.cli.people import run_why

    run_why(who=who, key=key, config=config, as_json=as_json, as_of=as_of)


@app.command()
def reach(
    key: Key,
    config: Config = None,
    who: Annotated[bool, typer.Option("--who", help="Name everybody who is left out.")] = False,
    as_json: Json = False,
) -> None:
    """How many of a segment each destination gets, step by step."""
    from sync.cli.reach import run

    run(key=key, config=config, who=who, as_json=as_json)


@app.command()
def status(config: Config = None, as_json: Json = False) -> None:
    """Last runs, what is held, freshness, what waits."""
    from sync.cli.status import run

    run(config=config, as_json=as_json)


@app.command()
def sandbox(
    platform: Platform = None,
    data: Annotated[Path | None, typer.Option(help="A shop's tables; otherwise a made-up shop.")] = None,
    folder: Annotated[Path, typer.Option(help="Where to write the project folder.")] = Path("regulars-sandbox"),
    port_base: Annotated[int, typer.Option(help="First port; one per platform.")] = 9001,
    customers: Annotated[int, typer.Option(help="Size of the made-up shop.")] = 2000,
    seed: Annotated[int, typer.Option(help="Another seed, another shop.")] = 7,
    time_scale: Annotated[float, typer.Option(help="Limits, lags and jobs so many times faster.")] = 1.0,
    deny: Annotated[list[str] | None, typer.Option(metavar="SCOPE", help="Take a scope away; repeatable.")] = None,
    retention_days: Annotated[int | None, typer.Option(help="Purge checkouts older than this.")] = None,
    faults: Annotated[Path | None, typer.Option(help="A script of faults (TOML).")] = None,
) -> None:
    """Serve simulated APIs on loopback, with a project folder."""
    from sync.cli.sandbox import run

    run(
        platform=platform,
        data=data,
        folder=folder,
        port_base=port_base,
        customers=customers,
        seed=seed,
        time_scale=time_scale,
        deny=deny or [],
        retention_days=retention_days,
        faults=faults,
    )


def main() -> None:
    """Run, and turn every failure into one line and its exit code."""
    try:
        code = app(prog_name="regulars", standalone_mode=False)
    except (Exception, KeyboardInterrupt) as error:
        code = _explained(error)
    else:
        code = _explained(KeyboardInterrupt()) if code == INTERRUPTED else code
    sys.exit(code)


def _explained(error: Exception | KeyboardInterrupt) -> int:
    from sync.cli.failures import explain

    return explain(error)
