"""The chain of records: canonical, complete, harmless."""

from hashlib import sha256

import msgspec

from tests.ledger.desk import ME, T0, Desk
from worker.ledger.records import NOTHING, Json, NewRecord, canonical, harmless


async def test_each_record_names_the_hash_of_the_one_before() -> None:
    desk = Desk()
    await desk.carry_out(await desk.wish())
    previous = NOTHING
    for number, line in enumerate(await desk.ledger.records(ME), 1):
        record = msgspec.json.decode(line)
        said = record.pop("hash")
        assert (record["number"], record["previous"], record["account"]) == (number, previous, ME)
        body = msgspec.json.encode(dict(sorted(record.items())))
        previous = sha256(bytes.fromhex(previous) + canonical(record)).hexdigest()
        assert (said, len(body)) == (previous, len(canonical(record)))


async def test_a_record_names_who_wanted_what_and_why() -> None:
    desk = Desk()
    entry = await desk.wish()
    record = msgspec.json.decode((await desk.ledger.records(ME))[0])
    assert record["entry"] == entry.id
    assert record["action"] == {"type": "Move", "destination": "JunkEmail"}
    assert record["rules"] == [["r", "f"]]
    assert (record["mode"], record["because"], record["cause"]) == ("enforce", "it is bad", entry.cause)
    assert record["at"] == "2023-11-14T22:13:20.000Z"


async def test_accounts_have_chains_of_their_own() -> None:
    desk = Desk()
    for account in (ME, "other", ME):
        await desk.ledger.write(account, [NewRecord("started")], T0)
    assert [len(await desk.ledger.records(account)) for account in (ME, "other")] == [2, 1]
    assert len(await desk.ledger.records(ME, after=1)) == 1
    assert len(await desk.ledger.records(ME, limit=1)) == 1


async def test_texts_of_strangers_are_bounded_and_shown_harmlessly() -> None:
    desk = Desk()
    nasty: dict[str, Json] = {"why": "\u202e\ud800", "list": ["\x9b", {"\u2028": 1}], "long": "y" * 5000, "n": 1.5}
    await desk.ledger.write(ME, [NewRecord("started", nasty)], T0)
    record = msgspec.json.decode((await desk.ledger.records(ME))[0])
    assert (record["why"], record["list"], record["n"]) == ("\\u202E\\uD800", ["\\u009B", {"\\u2028": 1}], 1.5)
    assert len(record["long"]) == 1000


def test_ordinary_text_stays_as_it_is() -> None:
    assert harmless("Grüße, Ada") == "Grüße, Ada"
    assert harmless("abc", 2) == "a…"
