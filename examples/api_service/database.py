"""The service's own tables, in its own database: the Events DB is a schema beside them. And what it only reads."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any, TypeVar
from uuid import UUID, uuid4

from fastapi import HTTPException
from psycopg import AsyncConnection
from sqlalchemy import DateTime, ForeignKey, MetaData, Numeric, inspect
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.schema import CreateSchema

from fundlyhub.database import renew_after_fork
from fundlyhub.settings import Branch, get_settings


def engine_of(branch: Branch) -> AsyncEngine:
    """An engine on one of the three databases, in which our tables are found by their bare names."""
    dsn = get_settings().dsn(branch)

    async def connect() -> AsyncConnection:
        return await AsyncConnection.connect(dsn, options=f"-c search_path={branch} -c timezone=UTC")

    engine = create_async_engine("postgresql+psycopg://", async_creator=connect, pool_size=10, hide_parameters=True)
    renew_after_fork(engine)  # a server may load us before it forks its workers
    return engine


own, app_db, analytics = engine_of("events"), engine_of("app"), engine_of("analytics")
transaction = async_sessionmaker(own, expire_on_commit=False).begin
"""``async with transaction() as session:`` commits at its end, and rolls back when anything is raised in it."""


class Base(DeclarativeBase):
    """All tables of the service live in a schema of their own."""

    metadata = MetaData(schema="api")
    type_annotation_map = {datetime: DateTime(timezone=True), Decimal: Numeric}  # noqa: RUF012 - SQLAlchemy's way


class User(Base):
    """Somebody who signed up."""

    __tablename__ = "users"
    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    name: Mapped[str]
    email: Mapped[str]


class Campaign(Base):
    """What is collected for."""

    __tablename__ = "campaigns"
    id: Mapped[UUID] = mapped_column(primary_key=True, default=uuid4)
    owner_id: Mapped[UUID] = mapped_column(ForeignKey(User.id))
    title: Mapped[str]
    goal_amount: Mapped[Decimal]
    currency: Mapped[str]
    created_at: Mapped[datetime]


class Donation(Base):
    """A gift that has been paid."""

    __tablename__ = "donations"
    id: Mapped[UUID] = mapped_column(primary_key=True)
    campaign_id: Mapped[UUID] = mapped_column(ForeignKey(Campaign.id), index=True)
    donor_id: Mapped[UUID | None] = mapped_column(ForeignKey(User.id))
    amount: Mapped[Decimal]
    refunded: Mapped[Decimal] = mapped_column(default=Decimal(0))
    is_anonymous: Mapped[bool]
    completed_at: Mapped[datetime]


class Follow(Base):
    """Who follows what."""

    __tablename__ = "follows"
    follower_id: Mapped[UUID] = mapped_column(ForeignKey(User.id), primary_key=True)
    kind: Mapped[str] = mapped_column(primary_key=True)
    followed_id: Mapped[UUID] = mapped_column(primary_key=True)
    since: Mapped[datetime]


Row = TypeVar("Row", bound=Base)


def columns(row: Base) -> dict[str, Any]:
    """A row as it is answered."""
    return {column.key: getattr(row, column.key) for column in row.__table__.columns}


async def found(session: AsyncSession, kind: type[Row], key: Any, *, for_update: bool = False) -> Row:
    """The row of this key; without it the answer is 404."""
    if (row := await session.get(kind, key, with_for_update=for_update)) is None:
        raise HTTPException(404, f"no such {kind.__name__.lower()}")
    return row


async def create_tables() -> None:
    """Make what is missing. A real service has migrations."""
    async with own.begin() as db:
        if not await db.run_sync(lambda sync: inspect(sync).has_schema("api")):  # who owns it may not make others
            await db.execute(CreateSchema("api"))
        await db.run_sync(Base.metadata.create_all)
