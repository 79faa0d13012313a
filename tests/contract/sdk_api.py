"""Describes the API as an installed official SDK has it, as JSON; needs nothing but that SDK.

Run by the interpreter of the SDK in question: ``python tests/contract/sdk_api.py``.
"""

import inspect
import json
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator
from datetime import date, datetime
from types import UnionType
from typing import Annotated, Any, Literal, NotRequired, Required, Union, get_args, get_origin, get_type_hints

import cloudflare
import httpx
import pydantic
from cloudflare import Cloudflare
from cloudflare._resource import SyncAPIResource

Hint = Any
"""Any type that the SDK annotates with."""
Fields = dict[str, list[str]]
"""By path: the kinds of values that a field takes, and its words if it takes only some, each after an equals sign."""
BESIDE = {"account_id", "extra_headers", "extra_query", "extra_body", "timeout", "cast_to", "return", "self"}
"""Parameters of methods that are no parameters of operations."""
ROOM, IDENT = "/email-security", "-id-"
KINDS = {str: "text", datetime: "text", date: "text", int: "number", float: "number", bool: "flag", object: "anything"}


def describe() -> dict[str, Any]:
    """Return the version, and by operation what it is asked and answers."""
    sent: list[httpx.Request] = []

    def hear(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        return httpx.Response(200, json={"success": True, "errors": [], "messages": [], "result": None})

    http = httpx.Client(transport=httpx.MockTransport(hear), trust_env=False)
    sdk = Cloudflare(api_token="none", base_url="http://api.test", max_retries=0, http_client=http)  # noqa: S106 (nothing is sent)
    operations = {}
    for method in _list_methods(sdk.email_security):
        hints = get_type_hints(method)
        _call(method, hints)
        operations[_name(sent[-1])] = {
            "asked": _describe({name: hint for name, hint in hints.items() if name not in BESIDE | _idents(method)}),
            "answered": _merge(_walk(_unwrap(hints["return"]), "")),
        }
    return {"version": cloudflare.__version__, "operations": dict(sorted(operations.items()))}


def _list_methods(room: SyncAPIResource) -> Iterator[Callable[..., object]]:
    """Yield everything that a part of the SDK can be asked, and its parts."""
    for name in dir(type(room)):
        if name.startswith(("_", "with_")):
            continue
        part = getattr(room, name)
        if isinstance(part, SyncAPIResource):
            yield from _list_methods(part)
        else:
            yield part


def _idents(method: Callable[..., object]) -> set[str]:
    """Return the parameters that stand in the path: those that may be given without a name."""
    given = inspect.signature(method).parameters.values()
    return {one.name for one in given if one.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD}


def _call(method: Callable[..., object], hints: dict[str, Hint]) -> None:
    """Call a method with something for each parameter that it has."""
    names = [name for name in inspect.signature(method).parameters if name not in BESIDE]
    values = {name: IDENT if name in _idents(method) else _make_value(hints[name]) for name in names}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        method(**values | {"account_id": "account"})


def _make_value(hint: Hint) -> object:
    """Return a value of a type, as far as the SDK looks at it before it sends."""
    kinds = {kind for kinds in _merge(_walk(hint, "x")).values() for kind in kinds}
    return [] if _origin(hint) in {list, Iterable} else {} if "object" in kinds else "x"


def _name(request: httpx.Request) -> str:
    """Name an operation by method and path."""
    return f"{request.method} {request.url.path.partition(ROOM)[2].replace(IDENT, '{id}')}"


def _unwrap(hint: Hint) -> Hint:
    """Return the type of one record, where an answer is a page of them."""
    pages = [one.__pydantic_generic_metadata__["args"] for one in _choices(hint) if hasattr(one, "next_page_info")]
    return pages[0][0] if pages else hint


def _choices(hint: Hint) -> tuple[Hint, ...]:
    """Return what a union may be, without what stands for nothing."""
    if _origin(hint) is Annotated:
        return _choices(get_args(hint)[0])
    if _origin(hint) not in {Union, UnionType}:
        return (hint,)
    return tuple(one for part in get_args(hint) for one in _choices(part))


def _describe(hints: dict[str, Hint]) -> Fields:
    return _merge(found for name, hint in hints.items() for found in _walk(hint, name))


def _merge(found: Iterable[tuple[str, str]]) -> Fields:
    """Gather what was found by path."""
    fields: dict[str, set[str]] = {}
    for path, kind in found:
        fields.setdefault(path, set()).add(kind)
    return {path: sorted(kinds) for path, kinds in sorted(fields.items())}


def _walk(hint: Hint, path: str) -> Iterator[tuple[str, str]]:
    """Yield each path in a type with each kind and each word that it takes."""
    for one in _choices(hint):
        if _origin(one) is Literal:
            yield from ((path, f"={word}") for word in get_args(one))
        elif one in KINDS:
            yield path, KINDS[one]
        elif fields := _list_fields(one):
            yield path, "object"
            for name, inside in fields.items():
                yield from _walk(inside, f"{path}.{name}".lstrip("."))
        elif _origin(one) is dict:
            yield path, "object"
        elif get_args(one):  # a list, whatever the SDK calls it
            yield from _walk(get_args(one)[0], path)


def _list_fields(hint: Hint) -> dict[str, Hint]:
    """Return the fields of a model or of a typed dictionary, as they are called on the wire."""
    if isinstance(hint, type) and issubclass(hint, pydantic.BaseModel):
        return {info.alias or name: info.annotation for name, info in hint.model_fields.items()}
    if not hasattr(hint, "__total__"):  # a typed dictionary, of typing or of typing_extensions
        return {}
    return {
        name: _strip(one) for name, one in get_type_hints(hint, include_extras=True).items() if name != "account_id"
    }


def _strip(hint: Hint) -> Hint:
    """Return a type without the marks of a typed dictionary."""
    return _strip(get_args(hint)[0]) if _origin(hint) in {Annotated, NotRequired, Required} else hint


def _origin(hint: Hint) -> Hint:
    return get_origin(hint)


if __name__ == "__main__":
    sys.stdout.write(json.dumps(describe()))
