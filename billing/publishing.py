"""Publishing a price list: what changes, from when on, and whether it may. One way in for API, `apply` and catalogue.

A published version stands for ever. The newest version is the one that rates, also the past; so a version that would
change the past is refused unless that is what its publisher wants and says why.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from billing.catalogue import check_past
from billing.catalogue_values import Act, Draft, Publication
from billing.protocol import Books, PriceListVersion
from rating.catalogue.chain import combined, inherits_chain
from rating.catalogue.diff import Change, changed_from, diff
from rating.lists import PriceList
from rating.price_list import parse
from schemas.errors import Misconfigured
from schemas.meters import Registry
from schemas.period import FOREVER, SECOND

AUDIT_CHANGES_MAX: Final = 1_000
"""Changes that one audit entry keeps; the diff of the two versions has all."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """A document beside the version that it would replace.

    Attributes:
        price_list: the document, checked.
        standing: the newest version, or None.
        changes: from the newest version to the document.
        changed_from: seconds since 1970: the earliest instant at which the two rate differently; None: never.
    """

    price_list: PriceList
    standing: PriceListVersion | None
    changes: Sequence[Change]
    changed_from: int | None


@dataclass(frozen=True, slots=True)
class Review:
    """A document that may be published, and how."""

    document: str
    proposal: Proposal
    how: Publication


def publish(
    books: Books, document: str, registry: Registry, act: Act, *, force: bool = False, draft: Draft | None = None
) -> tuple[PriceListVersion, PriceList]:
    """Publish a document as the next version of its list; the same document as the newest version changes nothing.

    Args and errors are those of `review`; besides, it raises Conflict when somebody else published meanwhile, or the
    draft changed. Returns the version, and its price list under the version's number.
    """
    return record(books, review(books, document, registry, act, force=force, draft=draft), act)


def review(
    books: Books,
    document: str,
    registry: Registry,
    act: Act,
    *,
    force: bool = False,
    draft: Draft | None = None,
    beside: Mapping[str, PriceList] | None = None,
) -> Review:
    """Check whether a document may be published. The first version of a list is free: nothing was rated under its id.

    Args:
        books: what stands.
        document: the price list.
        registry: the meters of the installation.
        act: who, when, and why.
        force: change the past, if it must be.
        draft: the draft that it comes from, which ends with it.
        beside: lists that are published before it, by id.

    Raises:
        Misconfigured: the document has mistakes; lists all.
        BackDated: it would change the past.
    """
    proposal = propose(books, document, registry, beside)
    standing, now = proposal.standing, act.at // SECOND
    began = now if proposal.changed_from is None else min(proposal.changed_from, FOREVER)
    forced = False
    if standing is not None and standing.document != document:
        forced = check_past(standing.id, began, now, summary(proposal.changes), act.reason, force=force)
    how = Publication(
        effective_from=began,
        by=act.actor,
        reason=act.reason,
        forced=forced,
        expected=standing.version if standing else 0,
        draft=draft.revision if draft else None,
        changes=kept(proposal.changes),
    )
    return Review(document, proposal, how)


def record(books: Books, reviewed: Review, act: Act) -> tuple[PriceListVersion, PriceList]:
    """Write what was reviewed; raises Conflict when the list or the draft changed since."""
    price_list = reviewed.proposal.price_list
    version = books.put_price_list(price_list.id, reviewed.document, act.at, reviewed.how)
    return version, price_list.with_version(version.version)


def propose(books: Books, document: str, registry: Registry, beside: Mapping[str, PriceList] | None = None) -> Proposal:
    """Return what a document would change; raises Misconfigured with every mistake."""
    price_list = checked(document, registry)
    standing = books.price_list(price_list.id)
    _check_parents(books, price_list, registry, beside or {})
    if standing is None:
        return Proposal(price_list, None, diff(None, price_list), changed_from(None, price_list))
    before = parse(standing.document, registry, version=standing.version)
    return Proposal(price_list, standing, diff(before, price_list), changed_from(before, price_list))


def checked(document: str, registry: Registry, version: int = 1) -> PriceList:
    """Return the list of a document, for an installation: it may bring no meters that the installation lacks.

    Raises:
        Misconfigured: lists every mistake.
    """
    price_list = parse(document, registry, version=version)
    unknown = [meter.key for meter in price_list.meters if meter.key not in registry]
    if unknown:
        raise Misconfigured(
            [f"meters: {key} is not registered here: add it to the installation's meters first" for key in unknown]
        )
    return price_list


def _check_parents(books: Books, price_list: PriceList, registry: Registry, beside: Mapping[str, PriceList]) -> None:
    """Check that the lists which a list inherits from exist, end somewhere, and have its currency."""

    def find(name: str) -> PriceList | None:
        if name in beside:
            return beside[name]
        stored = books.price_list(name)
        return parse(stored.document, registry, version=stored.version) if stored else None

    combined(inherits_chain(price_list, find))


def summary(changes: Sequence[Change]) -> str:
    """Return the first change in words, and how many more there are."""
    if not changes:
        return "what it means"
    more = f", and {len(changes) - 1} more" if len(changes) > 1 else ""
    return f"{sentence(changes[0])}{more}"


def sentence(change: Change) -> str:
    """Return a change in words: where, what it was, what it is."""
    match change.kind:
        case "added":
            return f"{change.path}: {change.after} is new"
        case "removed":
            return f"{change.path}: {change.before} is gone"
    return f"{change.path}: {change.before} → {change.after}"


def kept(changes: Sequence[Change]) -> str:
    """Return changes as the audit keeps them: a JSON array, cut after AUDIT_CHANGES_MAX."""
    shown: list[Mapping[str, str]] = [plain(change) for change in changes[:AUDIT_CHANGES_MAX]]
    if len(changes) > AUDIT_CHANGES_MAX:
        more = f"{len(changes) - AUDIT_CHANGES_MAX} more: see the diff of the two versions"
        shown.append({"path": "…", "kind": "changed", "before": "", "after": more})
    return json.dumps(shown, ensure_ascii=False, separators=(",", ":"))


def plain(change: Change) -> dict[str, str]:
    """Return a change as plain values."""
    return {"path": change.path, "kind": change.kind, "before": change.before, "after": change.after}
