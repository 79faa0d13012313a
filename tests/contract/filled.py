"""A published example, asked about what is in an account of the sandbox instead of what it names."""

from collections.abc import Callable, Mapping
from typing import Any

from msgspec.json import encode

from tests.contract.published import Example
from tests.contract.scene import ROOT, Scene, iso
from tests.sandbox.bodies import BODIES
from tests.support import TOKEN
from worker.sandbox import IncomingRequest

Value = Callable[[Scene], object]
NAMED: Mapping[str, Value] = {
    "ids": lambda scene: [scene.held.id],
    "postfix_ids": lambda scene: [scene.mail.postfix],
    "id": lambda scene: scene.clean.id,
    "postfix_id": lambda scene: scene.clean.postfix,
    "start": lambda scene: iso(scene.start),
    "end": lambda scene: iso(scene.end),
    "cursor": lambda _: "",
}
"""Values of a query or body that are about one account."""
BATCH = ("deletes", "patches", "puts")


def fill_request(example: Example, scene: Scene) -> IncomingRequest:
    """Return the request of an example as the account of a scene can be asked it."""
    query = {
        **(example.query or {}),
        **{name: str(NAMED[name](scene)) for name in NAMED if name in (example.query or {})},
    }
    body = _fill_body(example, scene)
    return IncomingRequest(
        example.method,
        ROOT + _fill_path(example, scene),
        tuple(query.items()),
        {"authorization": f"Bearer {TOKEN}"},
        b"" if body is None else encode(body),
    )


def _fill_path(example: Example, scene: Scene) -> str:
    operation = example.operation
    if operation.path.startswith("/settings/"):
        ident = scene.entries[operation.path.split("/")[2]][0]
    elif "/bulk/" in operation.path:
        ident = scene.running if operation.path.endswith("/cancel") else scene.ended
    else:
        ident = scene.mail.postfix if example.era == "seeds" else scene.mail.id
    return operation.path.replace("{id}", ident)


def _fill_body(example: Example, scene: Scene) -> object:
    body = example.body
    if isinstance(body, dict) and BATCH[0] in body:
        return _fill_batch(example, scene)
    if isinstance(body, list) and isinstance(body[0], str):
        return [scene.held.postfix]
    return _fill(body, scene)


def _fill(value: Any, scene: Scene) -> Any:  # noqa: ANN401 (any JSON)
    """Fill in what is named, a destination where a move has none, and a domain that there can be."""
    if isinstance(value, list):
        return [_fill(one, scene) for one in value]
    if not isinstance(value, dict):
        return "new.example" if value == "domain" else value
    added = {"destination": "Inbox"} if value.get("action") == "MOVE" else {}
    return added | {name: NAMED[name](scene) if name in NAMED else _fill(one, scene) for name, one in value.items()}


def _fill_batch(example: Example, scene: Scene) -> dict[str, object]:
    """Let each part be about another entry. An SDK leaves the ids out, and what a whole entry has."""
    name = example.operation.path.split("/")[2]
    idents = dict(zip(BATCH, scene.entries[name], strict=True))
    body = {part: _fill(items, scene) for part, items in example.body.items()}
    whole = BODIES[name]("put") if "puts" in body and len(body["puts"][0]) <= 1 else {}
    own = {part: whole if part == "puts" else {} for part in BATCH if part in body}
    for part, more in own.items():
        ident: object = int(idents[part]) if example.era == "seeds" else idents[part]
        body[part] = [more | one | {"id": ident} for one in body[part]]
    return body
