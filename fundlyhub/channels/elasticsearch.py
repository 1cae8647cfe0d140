"""The door to Elasticsearch: versioned indices behind aliases, guarded writes, and searches.

Nothing is ever deleted by id: Elasticsearch forgets the versions of deleted documents after a minute
(``index.gc_deletes``), and a late write would bring them back. What may not be found any more is written as a
document that says so, with its version.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, NamedTuple, TypeVar
from uuid import UUID

from fundlyhub.channels.breaker import Breaker
from fundlyhub.channels.elasticsearch_schema import INDEX, SCHEMA_VERSION, Request, query
from fundlyhub.channels.provider_errors import REFUSED_PAUSE
from fundlyhub.errors import Permanent, ProcessingError, ServiceRefuses, Snooze, Transient, WrongUse
from fundlyhub.forks import in_each_process

TIMEOUT = 10.0
"""Seconds for one call."""
COUNTED = 10_000
"""Matches that are counted at most."""

_OWN_FAULT = 400
_STALE = 409
_TOO_LARGE = 413
_REQUESTS_FAULT = frozenset({_OWN_FAULT, 404, _STALE})
_REFUSE_US = frozenset({401, 403, 407})

T = TypeVar("T")


class Versioned(NamedTuple):
    """A document as of a version; ``body`` None for what may not be found any more."""

    id: UUID
    version: int
    body: Mapping[str, Any] | None


class TooLarge(Permanent):
    """A request has more bytes than Elasticsearch, or a proxy before it, takes: send less at a time."""


class Written(NamedTuple):
    """What became of a bulk: what Elasticsearch has by now, in this version or a newer one, and what it refused.

    What is in neither is to be sent again; ``error`` says why.
    """

    settled: Sequence[UUID]
    refused: Mapping[UUID, str]
    error: ProcessingError | None = None


class EngineHit(NamedTuple):
    """A document that was found; ``marked`` holds fragments by field, with the marks around matches."""

    id: UUID
    score: float
    marked: Mapping[str, str]


class EngineHits(NamedTuple):
    """A page of them, how many there are, and how many by category and status."""

    hits: Sequence[EngineHit]
    total: int
    exact: bool
    categories: Mapping[str, int]
    statuses: Mapping[str, int]


class SearchEngine:
    """Elasticsearch, as the search index uses it. Raises Transient, Permanent, or Snooze when the breaker is open."""

    def __init__(self, url: str, breaker: Breaker, *, prefix: str = "fundlyhub", timeout: float = TIMEOUT) -> None:
        try:
            import elasticsearch  # noqa: F401
        except ImportError:
            raise WrongUse('Elasticsearch needs its extra: pip install "fundlyhub[elasticsearch]"') from None
        self._url, self._timeout, self._breaker, self._prefix = url, timeout, breaker, prefix
        in_each_process(self._begin)

    def _begin(self) -> None:
        from elasticsearch import Elasticsearch

        self._client = Elasticsearch(self._url, request_timeout=self._timeout, max_retries=0, retry_on_timeout=False)

    def index(self, kind: str) -> str:
        """The name of the index that this version of the code writes."""
        return f"{self.alias(kind)}-v{SCHEMA_VERSION}"

    def alias(self, kind: str) -> str:
        """The name that searches use."""
        return f"{self._prefix}-{kind}"

    def exists(self, kind: str) -> bool:
        """Whether the index is there. A good answer counts for nothing: it would hide that writes fail."""
        self._breaker.check()
        try:
            with _translated():
                return bool(self._client.indices.exists(index=self.index(kind)))
        except ProcessingError as error:
            self._breaker.call(partial(_raise, error))
            raise

    def create(self, kind: str) -> None:
        """Make the index; that somebody else was quicker is fine."""
        try:
            self._call(lambda: self._client.indices.create(index=self.index(kind), **INDEX))
        except Permanent:
            if not self.exists(kind):
                raise

    def write(self, kind: str, documents: Sequence[Versioned]) -> Written:
        """Write documents, unless a newer version is there.

        Only a 400 is a document's own fault: whatever else was not taken is to be sent again, and the others count.
        Raises TooLarge, and what any call raises when nothing was taken.
        """
        operations: list[Mapping[str, Any]] = []
        for one in documents:
            operations.append({"index": {"_id": str(one.id), "version": one.version, "version_type": "external"}})
            operations.append({"findable": True, **one.body} if one.body is not None else {"findable": False})
        taken: list[Written] = []
        try:
            self._call(lambda: self._bulk(kind, documents, operations, taken))
        except (Transient, Snooze) as error:
            if taken and (taken[0].settled or taken[0].refused):
                return taken[0]._replace(error=error)
            raise
        return taken[0]

    def _bulk(
        self, kind: str, documents: Sequence[Versioned], operations: Sequence[Mapping[str, Any]], taken: list[Written]
    ) -> None:
        """One bulk. What was taken is in ``taken`` also when an error tells the breaker of the rest."""
        try:
            with _translated():
                answer = self._client.bulk(index=self.index(kind), operations=operations)
        except TooLarge:
            raise
        except Permanent as error:  # of the request as a whole, which is none of the documents' fault
            raise Transient(str(error)) from None
        statuses = _read(answer, _statuses)
        refused = {one.id: f"status {_OWN_FAULT}" for one in documents if statuses.get(one.id) == _OWN_FAULT}
        settled = [one.id for one in documents if _has(statuses.get(one.id))]
        taken.append(Written(settled, refused))
        if left := {one.id for one in documents}.difference(settled, refused):
            said = sorted({str(statuses.get(one, "nothing")) for one in left})
            raise Transient(f"Elasticsearch did not take all documents: {', '.join(said)}")

    def go_live(self, kind: str) -> None:
        """Let the alias name this version's index and no other, at once; then remove the older ones.

        A newer one stays: it belongs to a deploy that is under way, or to one that was taken back.
        """
        alias, index = self.alias(kind), self.index(kind)
        there = self._call(lambda: self._client.indices.get(index=f"{alias}-v*", expand_wildcards="all"))
        others = {name: int(end) for name in there if (end := name.rpartition("-v")[2]).isdecimal() and name != index}
        older = sorted(name for name, version in others.items() if version < SCHEMA_VERSION)
        self._call(lambda: self._client.indices.refresh(index=index))
        actions = [{"remove": {"index": name, "alias": alias}} for name in others if alias in there[name]["aliases"]]
        add = {"add": {"index": index, "alias": alias}}
        self._call(lambda: self._client.indices.update_aliases(actions=[*actions, add]))
        if older:
            self._call(lambda: self._client.indices.delete(index=older, ignore_unavailable=True))

    def refresh(self, kind: str) -> None:
        """Make what is written searchable now; by itself that takes a second."""
        self._call(lambda: self._client.indices.refresh(index=self.index(kind)))

    def search(self, kind: str, request: Request) -> EngineHits:
        """One page of what is found, of what everybody may find."""
        body = query(request, COUNTED)
        return self._call(lambda: _read(self._client.search(index=self.alias(kind), **body), _found))

    def _call(self, function: Callable[[], T]) -> T:
        def translated() -> T:
            with _translated():
                return function()

        return self._breaker.call(translated)


def _raise(error: ProcessingError) -> None:
    raise error


@contextmanager
def _translated() -> Iterator[None]:
    """The client's errors as ours, with no text of theirs: it may quote documents. All calls may be repeated."""
    from elasticsearch import ApiError, TransportError

    try:
        yield
    except ApiError as error:
        raise _refusal(error.status_code) from None
    except TransportError as error:
        raise Transient(f"Elasticsearch cannot be reached: {type(error).__name__}") from None


def _refusal(status: int) -> ProcessingError:
    """What is no fault of the request may pass; so may what a proxy answers in Elasticsearch's place."""
    reason = f"Elasticsearch answered {status}"
    if status == _TOO_LARGE:
        return TooLarge(reason)
    if status in _REFUSE_US:
        return ServiceRefuses(reason, seconds=REFUSED_PAUSE)
    return Permanent(reason) if status in _REQUESTS_FAULT else Transient(reason)


def _read(answer: Any, how: Callable[[Any], T]) -> T:
    """What an answer says. One that cannot be read is not Elasticsearch's own, but a proxy's: that may pass."""
    try:
        return how(answer)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise Transient(f"Elasticsearch's answer cannot be read: {type(error).__name__}") from None


def _statuses(answer: Any) -> dict[UUID, int]:
    """The statuses by document; an item that cannot be read tells nothing of its document."""
    found: dict[UUID, int] = {}
    for item in answer["items"]:
        with suppress(AttributeError, KeyError, TypeError, ValueError):
            found[UUID(item["index"]["_id"])] = int(item["index"]["status"])
    return found


def _has(status: int | None) -> bool:
    """Whether Elasticsearch has a document, in this version or a newer one."""
    return status is not None and (200 <= status < 300 or status == _STALE)


def _found(answer: Any) -> EngineHits:
    total = answer["hits"]["total"]
    hits = [
        EngineHit(UUID(hit["_id"]), float(hit["_score"] or 0), {k: v[0] for k, v in hit.get("highlight", {}).items()})
        for hit in answer["hits"]["hits"]
    ]
    facets = [answer["aggregations"][name]["found"]["buckets"] for name in ("categories", "statuses")]
    counts = [{str(bucket["key"]): int(bucket["doc_count"]) for bucket in buckets} for buckets in facets]
    return EngineHits(hits, int(total["value"]), total["relation"] == "eq", *counts)
