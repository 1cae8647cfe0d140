"""Client of Elasticsearch: versioned indices behind aliases, writes with external versions, and searches.

No document is deleted by id: Elasticsearch forgets the versions of deleted documents after a minute
(``index.gc_deletes``), and a late write would restore them. A document that must not be found is written with
``findable: false`` and its version instead.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, NamedTuple, TypeVar
from uuid import UUID

from fundlyhub.channels.breaker import Breaker
from fundlyhub.channels.elasticsearch_schema import INDEX, SCHEMA_VERSION, TEXTS, Request, query
from fundlyhub.channels.provider_errors import REFUSED_PAUSE
from fundlyhub.errors import Permanent, ProcessingError, ServiceRefuses, Snooze, Transient, WrongUse
from fundlyhub.forks import in_each_process

TIMEOUT = 10.0
"""Seconds for one call."""
COUNTED = 10_000
"""Upper limit of the count of matches."""

_OWN_FAULT = 400
_STALE = 409
_TOO_LARGE = 413
_REQUESTS_FAULT = frozenset({_OWN_FAULT, 404, _STALE})
_REFUSE_US = frozenset({401, 403, 407})

T = TypeVar("T")


class Versioned(NamedTuple):
    """A document in one version; ``body`` is None if it must not be found."""

    id: UUID
    version: int
    body: Mapping[str, Any] | None


class TooLarge(Permanent):
    """A request is larger than Elasticsearch, or a proxy before it, accepts: send fewer documents at a time."""


class Written(NamedTuple):
    """The result of a bulk: documents that Elasticsearch has, in this version or a newer one, and those it refused.

    All others are to be sent again; ``error`` says why.
    """

    settled: Sequence[UUID]
    refused: Mapping[UUID, str]
    error: ProcessingError | None = None


class EngineHit(NamedTuple):
    """A matching document; ``marked`` has a fragment per field, with marks around the matches."""

    id: UUID
    score: float
    marked: Mapping[str, str]


class EngineHits(NamedTuple):
    """A page of matches, their total, and their number by category and status."""

    hits: Sequence[EngineHit]
    total: int
    exact: bool
    categories: Mapping[str, int]
    statuses: Mapping[str, int]


class SearchEngine:
    """Elasticsearch for the search index. Raises Transient, Permanent, or Snooze while the breaker is open."""

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

    def index(self, kind: str, generation: int = 1) -> str:
        """Name of the index that this version of the code writes; each rebuild of the documents has one of its own."""
        return f"{self.alias(kind)}-v{SCHEMA_VERSION}" + (f"-r{generation}" if generation > 1 else "")

    def alias(self, kind: str) -> str:
        """Name of the alias that searches use."""
        return f"{self._prefix}-{kind}"

    def exists(self, kind: str, generation: int = 1) -> bool:
        """Whether the index exists. Success does not count in the breaker, since it would hide failing writes."""
        self._breaker.check()
        try:
            with _translated():
                return bool(self._client.indices.exists(index=self.index(kind, generation)))
        except ProcessingError as error:
            self._breaker.call(partial(_raise, error))
            raise

    def create(self, kind: str, generation: int = 1) -> None:
        """Create the index, unless it exists."""
        try:
            self._call(lambda: self._client.indices.create(index=self.index(kind, generation), **INDEX))
        except Permanent:
            if not self.exists(kind, generation):
                raise

    def write(self, kind: str, documents: Sequence[Versioned], generation: int = 1) -> Written:
        """Write documents, unless a newer version exists.

        Only a 400 is a document's own fault; any other failed document is to be sent again. Raises TooLarge, and,
        when no document was accepted, what any call raises.
        """
        operations: list[Mapping[str, Any]] = []
        for one in documents:
            operations.append({"index": {"_id": str(one.id), "version": one.version, "version_type": "external"}})
            operations.append({"findable": True, **one.body} if one.body is not None else {"findable": False})
        taken: list[Written] = []
        try:
            self._call(lambda: self._bulk(self.index(kind, generation), documents, operations, taken))
        except (Transient, Snooze) as error:
            if taken and (taken[0].settled or taken[0].refused):
                return taken[0]._replace(error=error)
            raise
        return taken[0]

    def _bulk(
        self, index: str, documents: Sequence[Versioned], operations: Sequence[Mapping[str, Any]], taken: list[Written]
    ) -> None:
        """Send one bulk and append its result to ``taken``, also when it then raises for the remaining documents."""
        try:
            with _translated():
                answer = self._client.bulk(index=index, operations=operations)
        except TooLarge:
            raise
        except Permanent as error:  # it is about the whole request, not about a document
            raise Transient(str(error)) from None
        statuses = _read(answer, _statuses)
        refused = {one.id: f"status {_OWN_FAULT}" for one in documents if statuses.get(one.id) == _OWN_FAULT}
        settled = [one.id for one in documents if _has(statuses.get(one.id))]
        taken.append(Written(settled, refused))
        if left := {one.id for one in documents}.difference(settled, refused):
            said = sorted({str(statuses.get(one, "nothing")) for one in left})
            raise Transient(f"Elasticsearch did not take all documents: {', '.join(said)}")

    def go_live(self, kind: str, generation: int = 1) -> None:
        """Point the alias to this index in one step, then remove the older indices.

        A newer index stays: it belongs to a deployment in progress, or to one that was rolled back.
        """
        alias, index = self.alias(kind), self.index(kind, generation)
        there = self._call(lambda: self._client.indices.get(index=f"{alias}-v*", expand_wildcards="all"))
        others = {name: age for name in there if name != index and (age := _age(name, alias))}
        older = sorted(name for name, age in others.items() if age < (SCHEMA_VERSION, generation))
        self._call(lambda: self._client.indices.refresh(index=index))
        actions = [{"remove": {"index": name, "alias": alias}} for name in others if alias in there[name]["aliases"]]
        add = {"add": {"index": index, "alias": alias}}
        self._call(lambda: self._client.indices.update_aliases(actions=[*actions, add]))
        if older:
            self._call(lambda: self._client.indices.delete(index=older, ignore_unavailable=True))

    def refresh(self, kind: str) -> None:
        """Make written documents searchable now; without this it takes a second."""
        self._call(lambda: self._client.indices.refresh(index=f"{self.alias(kind)}-v*"))

    def search(self, kind: str, request: Request) -> EngineHits:
        """One page of the public documents that match."""
        body = query(request, COUNTED)
        return self._call(lambda: _read(self._client.search(index=self.alias(kind), **body), _found))

    def holding(self, kind: str, ids: Sequence[UUID], words: Sequence[str], most: int = 1_000) -> dict[UUID, str]:
        """The texts of documents with one of these ids or words, in all indices of a kind, findable or not.

        For the search for a person: ``most`` of them at most. A word is found as the analyzers see it.
        """
        wanted: list[Mapping[str, Any]] = [{"ids": {"values": [str(id) for id in ids]}}]
        wanted += [{"multi_match": {"query": word, "type": "phrase", "fields": TEXTS}} for word in words]
        indices = f"{self.alias(kind)}-v*"

        def look() -> dict[UUID, str]:
            self._client.indices.refresh(index=indices, ignore_unavailable=True)
            answer = self._client.search(
                index=indices,
                query={"bool": {"should": wanted}},
                source_includes=TEXTS,
                size=most,
                ignore_unavailable=True,
            )
            return _read(answer, _texts)

        return self._call(look)

    def _call(self, function: Callable[[], T]) -> T:
        def translated() -> T:
            with _translated():
                return function()

        return self._breaker.call(translated)


def _age(name: str, alias: str) -> tuple[int, int] | None:
    """The schema version and the generation of an index; None for one that is none of ours."""
    found = re.fullmatch(rf"{re.escape(alias)}-v(\d{{1,9}})(?:-r(\d{{1,9}}))?", name)
    return (int(found[1]), int(found[2] or 1)) if found else None


def _raise(error: ProcessingError) -> None:
    raise error


@contextmanager
def _translated() -> Iterator[None]:
    """Translate the client's errors without their texts, which may quote documents. Every call may be repeated."""
    from elasticsearch import ApiError, TransportError

    try:
        yield
    except ApiError as error:
        raise _refusal(error.status_code) from None
    except TransportError as error:
        raise Transient(f"Elasticsearch cannot be reached: {type(error).__name__}") from None


def _refusal(status: int) -> ProcessingError:
    """The error for a status; statuses that are not about the request are transient, also those of a proxy."""
    reason = f"Elasticsearch answered {status}"
    if status == _TOO_LARGE:
        return TooLarge(reason)
    if status in _REFUSE_US:
        return ServiceRefuses(reason, seconds=REFUSED_PAUSE)
    return Permanent(reason) if status in _REQUESTS_FAULT else Transient(reason)


def _read(answer: Any, how: Callable[[Any], T]) -> T:
    """Read an answer. An unreadable one is a proxy's, so it is transient."""
    try:
        return how(answer)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise Transient(f"Elasticsearch's answer cannot be read: {type(error).__name__}") from None


def _statuses(answer: Any) -> dict[UUID, int]:
    """The status of each document; an unreadable item counts as no status."""
    found: dict[UUID, int] = {}
    for item in answer["items"]:
        with suppress(AttributeError, KeyError, TypeError, ValueError):
            found[UUID(item["index"]["_id"])] = int(item["index"]["status"])
    return found


def _has(status: int | None) -> bool:
    """Whether this status means that Elasticsearch has the document, in this version or a newer one."""
    return status is not None and (200 <= status < 300 or status == _STALE)


def _texts(answer: Any) -> dict[UUID, str]:
    found: dict[UUID, str] = {}
    for hit in answer["hits"]["hits"]:
        id = UUID(hit["_id"])  # an older index may have it too
        found[id] = " ".join([found.get(id, ""), *(str(value) for value in hit["_source"].values() if value)]).strip()
    return found


def _found(answer: Any) -> EngineHits:
    total = answer["hits"]["total"]
    hits = [
        EngineHit(UUID(hit["_id"]), float(hit["_score"] or 0), {k: v[0] for k, v in hit.get("highlight", {}).items()})
        for hit in answer["hits"]["hits"]
    ]
    facets = [answer["aggregations"][name]["found"]["buckets"] for name in ("categories", "statuses")]
    counts = [{str(bucket["key"]): int(bucket["doc_count"]) for bucket in buckets} for buckets in facets]
    return EngineHits(hits, int(total["value"]), total["relation"] == "eq", *counts)
