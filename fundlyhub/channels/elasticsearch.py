"""The door to Elasticsearch: versioned indices behind aliases, guarded writes, and searches.

Nothing is ever deleted by id: Elasticsearch forgets the versions of deleted documents after a minute
(``index.gc_deletes``), and a late write would bring them back. What may not be found any more is written as a
document that says so, with its version.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple, TypeVar
from uuid import UUID

from fundlyhub.channels.breaker import Breaker
from fundlyhub.channels.elasticsearch_schema import INDEX, SCHEMA_VERSION, Request, query
from fundlyhub.errors import Permanent, Transient, WrongUse
from fundlyhub.forks import in_each_process

TIMEOUT = 10.0
"""Seconds for one call."""
COUNTED = 10_000
"""Matches that are counted at most."""

_PASSING = frozenset({408, 429, 500, 502, 503, 504})
_STALE = 409

T = TypeVar("T")


class Versioned(NamedTuple):
    """A document as of a version; ``body`` None for what may not be found any more."""

    id: UUID
    version: int
    body: Mapping[str, Any] | None


class Written(NamedTuple):
    """What became of a bulk: what Elasticsearch has by now, in this version or a newer one, and what it refused."""

    settled: Sequence[UUID]
    refused: Mapping[UUID, str]


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
        """Whether the index is there."""
        return bool(self._call(lambda: self._client.indices.exists(index=self.index(kind))))

    def create(self, kind: str) -> None:
        """Make the index; that somebody else was quicker is fine."""
        try:
            self._call(lambda: self._client.indices.create(index=self.index(kind), **INDEX))
        except Permanent:
            if not self.exists(kind):
                raise

    def write(self, kind: str, documents: Sequence[Versioned]) -> Written:
        """Write documents, unless a newer version is there. Raises Transient when one must be sent again."""
        operations: list[Mapping[str, Any]] = []
        for one in documents:
            operations.append({"index": {"_id": str(one.id), "version": one.version, "version_type": "external"}})
            operations.append({"findable": True, **one.body} if one.body is not None else {"findable": False})
        index = self.index(kind)
        statuses = self._call(lambda: _read(self._client.bulk(index=index, operations=operations), _statuses))
        if passing := sorted({status for status in statuses.values() if status in _PASSING}):
            raise Transient(f"Elasticsearch did not take all documents: {', '.join(map(str, passing))}")
        if {one.id for one in documents} - statuses.keys():
            raise Transient("Elasticsearch did not say what became of all documents")
        refused = {one: f"status {status}" for one, status in statuses.items() if status >= 400 and status != _STALE}
        return Written([one for one in statuses if one not in refused], refused)

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


@contextmanager
def _translated() -> Iterator[None]:
    """The client's errors as ours, with no text of theirs: it may quote documents. All calls may be repeated."""
    from elasticsearch import ApiError, TransportError

    try:
        yield
    except ApiError as error:
        reason = f"Elasticsearch answered {error.status_code}"
        raise Transient(reason) if error.status_code in _PASSING else Permanent(reason) from None
    except TransportError as error:
        raise Transient(f"Elasticsearch cannot be reached: {type(error).__name__}") from None


def _read(answer: Any, how: Callable[[Any], T]) -> T:
    """What an answer says. One that cannot be read is not Elasticsearch's own, but a proxy's: that may pass."""
    try:
        return how(answer)
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise Transient(f"Elasticsearch's answer cannot be read: {type(error).__name__}") from None


def _statuses(answer: Any) -> dict[UUID, int]:
    results = [item["index"] for item in answer["items"]]
    return {UUID(result["_id"]): int(result["status"]) for result in results}


def _found(answer: Any) -> EngineHits:
    total = answer["hits"]["total"]
    hits = [
        EngineHit(UUID(hit["_id"]), float(hit["_score"] or 0), {k: v[0] for k, v in hit.get("highlight", {}).items()})
        for hit in answer["hits"]["hits"]
    ]
    facets = [answer["aggregations"][name]["found"]["buckets"] for name in ("categories", "statuses")]
    counts = [{str(bucket["key"]): int(bucket["doc_count"]) for bucket in buckets} for buckets in facets]
    return EngineHits(hits, int(total["value"]), total["relation"] == "eq", *counts)
