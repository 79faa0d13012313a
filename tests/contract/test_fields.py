"""Conditions, bodies and records of our client have the names and types of Cloudflare's SDK, field by field."""

from collections.abc import Iterator, Mapping
from datetime import datetime
from itertools import product
from typing import Any, Literal, Required, get_args, get_origin, get_type_hints

import pydantic
from cloudflare.types import email_security as of_mail
from cloudflare.types.email_security import investigate as of_one
from cloudflare.types.email_security import phishguard as of_reports
from cloudflare.types.email_security import settings as of_lists
from cloudflare.types.email_security.investigate import bulk as of_jobs
from cloudflare.types.email_security.investigate.bulk_create_params import SearchParams
from msgspec import UNSET, Struct
from msgspec.structs import FieldInfo, fields

from tests.cells import each
from worker.api import bodies, models
from worker.api.bulk import BulkSearch
from worker.api.investigate import MoveItem, Released
from worker.api.submissions import WhereSubmission
from worker.language.base import Noun, get_older
from worker.language.models import Detection, Message, Report, Submission, Trace
from worker.language.policies import AllowPolicy, BlockedSender, ListEntry, Registrant

BESIDE = {"account_id", "page", "per_page", "cursor", "start", "end", "detections_only"}
"""What our methods take beside a body or conditions."""
SUCCEEDED = {"is_recipient", "is_sender", "is_spoof"}
"""Old names of fields that have new ones."""
NOT_WRITTEN = {"UNKNOWN"}
"""A type of pattern that the SDK lets one write, and the API does not."""
ALL_LISTS = {field.encode_name for field in fields(ListEntry)}
"""What our entries have in common; not every list has all of them."""
OF_ROWS = {"client_recipient"}
"""What the action of a job lacks and that of each of its rows has; ours is one class."""
NOT_READ = {
    *("AllowPolicy.is_recipient", "AllowPolicy.is_sender", "AllowPolicy.is_spoof"),  # older names of flags
    *("Message.action_log", "Message.findings", "Detection.findings", "ThreatCategory.id"),
    *("Message.htmltext_structure_hash", "Message.postfix_id_outbound"),
    *("MoveItem.completed_at", "MoveItem.completed_timestamp", "MoveItem.item_count", "MoveItem.operation"),
    *("Submission.escalated_as", "Submission.escalated_at", "Submission.escalated_by", "Submission.original_edf_hash"),
}
"""What the API answers and our records leave out. A field that the SDK gets belongs here, or into a record."""

SENT: Mapping[type[Struct], Any] = {
    bodies.NewBlock: of_lists.BlockSenderCreateParams,
    bodies.BlockChange: of_lists.BlockSenderEditParams,
    bodies.WhereBlocked: of_lists.BlockSenderListParams,
    bodies.NewAllow: of_lists.AllowPolicyCreateParams,
    bodies.AllowChange: of_lists.AllowPolicyEditParams,
    bodies.WhereAllowed: of_lists.AllowPolicyListParams,
    bodies.NewTrust: of_lists.TrustedDomainCreateParams,
    bodies.TrustChange: of_lists.TrustedDomainEditParams,
    bodies.WhereTrusted: of_lists.TrustedDomainListParams,
    bodies.NewContent: of_lists.ContentPolicyCreateParams,
    bodies.ContentChange: of_lists.ContentPolicyEditParams,
    bodies.WhereContent: of_lists.ContentPolicyListParams,
    bodies.NewRegistrant: of_lists.ImpersonationRegistryCreateParams,
    bodies.RegistrantChange: of_lists.ImpersonationRegistryEditParams,
    bodies.WhereRegistered: of_lists.ImpersonationRegistryListParams,
    bodies.NewRestriction: of_lists.SendingDomainRestrictionCreateParams,
    bodies.RestrictionChange: of_lists.SendingDomainRestrictionEditParams,
    bodies.Ordered: of_lists.SendingDomainRestrictionListParams,
    bodies.NewIgnore: of_lists.URLIgnorePatternCreateParams,
    bodies.IgnoreChange: of_lists.URLIgnorePatternEditParams,
    bodies.Where: of_lists.URLIgnorePatternListParams,
    bodies.NewDomain: of_lists.DomainCreateParams,
    bodies.DomainSettings: of_lists.DomainUpdateParams,
    bodies.DomainChange: of_lists.DomainEditParams,
    bodies.WhereDomain: of_lists.DomainListParams,
    bodies.WhereMessage: of_mail.InvestigateListParams,
    WhereSubmission: of_mail.SubmissionListParams,
    BulkSearch: SearchParams,
}
READ: Mapping[type[Struct], type[pydantic.BaseModel]] = {
    Message: of_mail.InvestigateListResponse,
    Detection: of_one.DetectionGetResponse,
    Trace: of_one.TraceGetResponse,
    models.Preview: of_one.PreviewGetResponse,
    MoveItem: of_one.MoveBulkResponse,
    Released: of_one.ReleaseBulkResponse,
    models.BulkJob: of_one.BulkGetResponse,
    models.BulkMessage: of_jobs.MessageListResponse,
    Report: of_reports.ReportListResponse,
    Submission: of_mail.SubmissionListResponse,
    BlockedSender: of_lists.BlockSenderListResponse,
    AllowPolicy: of_lists.AllowPolicyListResponse,
    models.TrustedDomain: of_lists.TrustedDomainListResponse,
    models.ContentPolicy: of_lists.ContentPolicyListResponse,
    models.UrlIgnorePattern: of_lists.URLIgnorePatternListResponse,
    models.SendingDomainRestriction: of_lists.SendingDomainRestrictionListResponse,
    models.AccountDomain: of_lists.DomainListResponse,
    Registrant: of_lists.ImpersonationRegistryListResponse,
}


def parts(hint: object) -> Iterator[object]:
    """Yield the types that a type is made of: what a union may be, what a list holds, the words of a literal."""
    if get_origin(hint) is Literal:
        yield from get_args(hint)
    elif get_origin(hint) is dict:
        yield dict
    elif inner := get_args(hint):
        for one in inner:
            yield from parts(one)
    else:
        yield hint


def words(hint: object) -> set[object]:
    return {part for part in parts(hint) if isinstance(part, str)}


def kinds(hint: object) -> set[object]:
    """Return the sorts of values a type has; a moment is written as a text."""
    found = {str if isinstance(part, str) else part for part in parts(hint)}
    known = {kind for kind in found if kind in {str, int, bool, float, datetime}}
    return {str if kind is datetime else kind for kind in known} | {dict for kind in found if _is_object(kind)}


def _is_object(kind: object) -> bool:
    return isinstance(kind, type) and issubclass(kind, dict | Struct | pydantic.BaseModel)


@each("ours", SENT)
def test_what_we_can_send_is_what_the_sdk_can(ours: type[Struct]) -> None:
    theirs = get_type_hints(SENT[ours], include_extras=True)
    mine = {field.encode_name: field for field in fields(ours)}
    assert set(mine) - BESIDE == set(theirs) - BESIDE - SUCCEEDED
    for name, field in mine.items():
        assert words(field.type) <= words(theirs[name]), name
        assert not words(field.type) or words(theirs[name]) - words(field.type) <= NOT_WRITTEN, name
        assert kinds(field.type) == kinds(theirs[name]) or name in {"start", "end"}, name
    required = {name for name, hint in theirs.items() if get_origin(hint) is Required}
    assert required - BESIDE == {name for name, field in mine.items() if always_sent(field)} - BESIDE


def always_sent(field: FieldInfo) -> bool:
    return field.required or field.default not in (None, UNSET)


@each("ours", READ)
def test_what_we_read_is_there_to_be_read(ours: type[Struct]) -> None:
    assert list(strangers(ours, (READ[ours],))) == []


def strangers(ours: type[Struct], theirs: tuple[type[pydantic.BaseModel], ...]) -> Iterator[str]:
    """Yield each of our fields that no model has, or that is of another sort, at any depth."""
    known = {(info.alias or name): info.annotation for model in theirs for name, info in model.model_fields.items()}
    shared = ALL_LISTS if issubclass(ours, ListEntry) else OF_ROWS if ours is models.BulkAction else set()
    for field in fields(ours):
        name = f"{ours.__name__}.{field.encode_name}"
        if field.encode_name not in known:
            yield from () if field.encode_name in shared else (name,)
            continue
        hint = known[field.encode_name]
        if kinds(field.type) != kinds(hint):
            yield f"{name}: {kinds(field.type)} and not {kinds(hint)}"
        known_models = tuple(
            one for one in parts(hint) if isinstance(one, type) and issubclass(one, pydantic.BaseModel)
        )
        for inner in parts(field.type):
            if isinstance(inner, type) and issubclass(inner, Struct):
                yield from strangers(inner, known_models)


def silent(ours: type[Struct], theirs: type[pydantic.BaseModel]) -> Iterator[str]:
    """Yield each field of a model that ours does not read under any name, at any depth."""
    mine = {field.encode_name: field for field in fields(ours)}
    older = set(get_older(ours).values()) if issubclass(ours, Noun) else set()
    for name, info in theirs.model_fields.items():
        wire = info.alias or name
        if wire not in mine:
            yield from () if wire in older else (f"{ours.__name__}.{wire}",)
            continue
        structs = [one for one in parts(mine[wire].type) if isinstance(one, type) and issubclass(one, Struct)]
        models = [
            one for one in parts(info.annotation) if isinstance(one, type) and issubclass(one, pydantic.BaseModel)
        ]
        for struct, model in product(structs, models):
            yield from silent(struct, model)


def test_what_we_do_not_read_is_on_the_list() -> None:
    assert {one for ours, theirs in READ.items() for one in silent(ours, theirs)} == NOT_READ
