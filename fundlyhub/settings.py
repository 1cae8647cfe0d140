"""Settings: frozen, read once from the environment (prefix ``FUNDLYHUB_``)."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any, Literal, Self

from platformdirs import user_data_path
from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator, model_validator
from pydantic_settings import BaseSettings, InitSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from fundlyhub import server_urls
from fundlyhub.addresses import sender_mailbox
from fundlyhub.errors import WrongUse
from fundlyhub.secret_files import from_files

Branch = Literal["events", "app", "analytics"]
"""The three databases; also the names of our schemas in them and of the migration branches."""

BRANCHES: tuple[Branch, ...] = ("events", "app", "analytics")

# What a backend cannot do without: the setting that chooses it, and its name there.
_NEEDED_BY = {
    "elasticsearch_url": ("search_backend", "elasticsearch"),
    "sendgrid_api_key": ("email_backend", "sendgrid"),
    "smtp_url": ("email_backend", "smtp"),
    "fcm_service_account_file": ("push_backend", "fcm"),
    "twilio_account_sid": ("sms_backend", "twilio"),
    "twilio_auth_token": ("sms_backend", "twilio"),
    "twilio_from": ("sms_backend", "twilio"),
}

PREFIX = "FUNDLYHUB_"
"""How our variables begin."""
PREFETCH = 4
"""Messages that a worker holds for each of its processes, so that none waits for the next one."""
CONSUMER_TIMEOUT = 1_800
"""Seconds after which RabbitMQ takes back what a worker holds and has not acknowledged: its default."""
LONGEST_TIME_LIMIT = CONSUMER_TIMEOUT / PREFETCH - 30
"""Seconds that a batch may take at most: its process holds others, which run after it and must come in time."""
SENDING_TIME = 60.0
"""Seconds after which a run of notifications begins no further sending, and hands the rest back."""
SLICE_TIME = 10.0
"""The same for messages to many: what is left goes behind the other events in the queue."""


def _soft_limit(queue: str) -> Any:
    return Field(240.0, gt=0, description=f"Time after which a batch of {queue} is interrupted")


def _ceiling(default: str, whom: str) -> Any:
    text = f"Most messages to one {whom}; further ones are held back. 0 is no limit"
    return Field(default, pattern=r"^\d{1,6}/hour \d{1,6}/day$", description=text)


def _hard_limit(queue: str) -> Any:
    text = f"Time after which the process of a batch of {queue} is killed"
    return Field(300.0, gt=0, le=LONGEST_TIME_LIMIT, description=text)


class Settings(BaseSettings):
    """All that can be set from outside. Times are in seconds.

    A DSN is anything that libpq takes: a ``postgresql://`` URL or ``key=value`` pairs. DSNs and URLs
    may hold passwords, so they are secrets here and never shown whole.
    """

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="ignore", hide_input_in_errors=True)

    events_dsn: SecretStr | None = Field(None, description="Events DB: the API's own database, where the log is")
    app_dsn: SecretStr | None = Field(None, description="App DB: subscriptions, feed, notifications")
    analytics_dsn: SecretStr | None = Field(None, description="Analytics DB: the read models")
    broker_url: SecretStr | None = Field(None, description="Celery's broker: amqp://, redis:// or unix://")
    redis_url: SecretStr | None = Field(None, description="Redis or Valkey for shared state")
    streams_url: SecretStr | None = Field(None, description="Redis or Valkey of the streams, if it is another one")
    search_backend: Literal["postgres", "elasticsearch"] = Field("postgres", description="Where searches run")
    elasticsearch_url: SecretStr | None = Field(None, validate_default=True, description="Its URL, for elasticsearch")
    secret_key: SecretStr | None = Field(
        None, description="Key of the hashes that stand for addresses, and of the links in mails"
    )
    site_url: str = Field("http://localhost:8000", description="Where the platform's pages are, for links")
    public_url: str = Field("http://localhost:8010", description="Where `fundlyhub webhooks` is reached from outside")
    trusted_proxies: str = Field("", description="Proxies whose headers `webhooks` and `console` believe")
    console_proxy_header: str = Field("", description="Header by which a trusted proxy names the console's user")
    email_from: str = Field("FundlyHub <no-reply@localhost>", description="Who mails come from, as `Name <address>`")
    email_backend: Literal["sendgrid", "smtp", "file"] = Field("file", description="How e-mail leaves")
    sendgrid_api_key: SecretStr | None = Field(None, validate_default=True, description="SendGrid's API key")
    sendgrid_base_url: str | None = Field(None, description="SendGrid's address, when it is not the usual one")
    sendgrid_webhook_key: str | None = Field(None, description="SendGrid's public key for its signed events, base64")
    smtp_url: SecretStr | None = Field(
        None, validate_default=True, description="smtp://user:password@host:587 (STARTTLS) or smtps://…:465"
    )
    push_backend: Literal["fcm", "file"] = Field("file", description="How push messages leave")
    fcm_service_account_file: Path | None = Field(None, validate_default=True, description="Firebase's service account")
    fcm_base_url: str | None = Field(None, description="FCM's address, when it is not the usual one")
    sms_backend: Literal["twilio", "file"] = Field("file", description="How text messages leave")
    twilio_account_sid: str | None = Field(None, validate_default=True, description="Twilio's account")
    twilio_auth_token: SecretStr | None = Field(None, validate_default=True, description="Twilio's token")
    twilio_from: str | None = Field(None, validate_default=True, description="The number that text messages come from")
    twilio_base_url: str | None = Field(None, description="Twilio's address, when it is not the usual one")
    data_dir: Path = Field(
        default_factory=lambda: user_data_path("fundlyhub"),
        description="Folder of the embedded servers, and of what the file backends write",
    )

    call_timeout: float = Field(10.0, gt=0, le=60, description="Time that a provider has for each connect and answer")
    notification_lease: float = Field(
        120.0, gt=0, description="Time that a message belongs to the worker that sends it: several times CALL_TIMEOUT"
    )
    breaker_rest: float = Field(30.0, gt=0, description="Rest of an open circuit breaker; doubles up to ten times that")
    notification_patience: float = Field(
        21_600.0, ge=0, description="Time that a message waits for what it needs to know, before it is given up"
    )
    notification_max_age: float = Field(
        604_800.0, ge=0, description="Age of an event, when it is published, beyond which nobody is told; 0 is no limit"
    )
    sign_in_max_age: float = Field(
        86_400.0, ge=0, description="The same for a new sign-in, of which nobody wants to hear after days"
    )
    email_ceiling: str = _ceiling("40/hour 600/day", "user or address by mail")
    push_ceiling: str = _ceiling("60/hour 900/day", "user or device by push")
    sms_ceiling: str = _ceiling("5/hour 10/day", "user or number by text message")
    processors: str = Field("fundlyhub.processors.event_lookup", description="Modules with further processors")
    relay_poll: float = Field(0.2, gt=0, le=60, description="Safety poll of a sleeping relay")
    relay_page: int = Field(5_000, ge=1, le=100_000, description="Positions that the relay reads at a time")
    sweep_interval: float = Field(30.0, gt=0, description="Pause between two sweeps")
    sweep_grace: float = Field(120.0, ge=0, description="Age at which an event without a trace is sent again")
    sweep_patience: float = Field(
        3_600.0, ge=0, description="Age at which it is sent again even though its queue is not empty"
    )
    claims_retention: float = Field(0.0, ge=0, description="Days after which claims are dropped; 0 keeps them all")
    claims_partition: int = Field(10_000_000, ge=1_000, description="Positions in a partition of the claims")
    writes_soft_time_limit: float = _soft_limit("writes")
    writes_time_limit: float = _hard_limit("writes")
    projections_soft_time_limit: float = _soft_limit("projections")
    projections_time_limit: float = _hard_limit("projections")
    notifications_soft_time_limit: float = _soft_limit("notifications")
    notifications_time_limit: float = _hard_limit("notifications")
    broadcasts_soft_time_limit: float = _soft_limit("broadcasts")
    broadcasts_time_limit: float = _hard_limit("broadcasts")
    broadcasts_rate: float = Field(
        0.0, ge=0, description="Messages to many that a process sends a second through a channel; 0 is no limit"
    )
    erase_after: float | None = Field(
        None, ge=0, description="Days after which users that an event has deleted are erased; nobody unless it is set"
    )
    ingest_streams: str = Field(
        "events,events:stream,fundlyhub-events", description="Streams that are taken into the log, separated by commas"
    )
    ingest_group: str = Field("fundlyhub", min_length=1, description="Our consumer group on them")
    ingest_batch: int = Field(500, ge=1, le=10_000, description="Entries of each stream that are read at a time")
    ingest_claim_after: float = Field(
        60.0, gt=0, description="Age at which an entry that a consumer has not acknowledged is taken over"
    )
    ingest_trim: bool = Field(False, description="Whether entries that all groups have acknowledged are dropped")
    mirror: str = Field("", description="Event types, and fields of them, that are mirrored to streams")
    mirror_length: int = Field(10_000, ge=1, description="Entries that each mirrored stream keeps, more or less")
    log_format: Literal["console", "json"] = Field("console", description="How logs are written: as text, or as JSON")
    metrics_port: int | None = Field(
        None, ge=0, le=65_535, description="Port of this process's own numbers and health; none unless it is set"
    )
    metrics_host: str = Field("127.0.0.1", min_length=1, description="Address that it listens at there")
    load_bytes: int = Field(8_388_608, ge=1_048_576, description="Bytes of events that a process reads at a time")
    worker_memory_limit: int = Field(
        512, ge=0, description="Megabytes at which a worker's process is replaced after its batch; 0 is no limit"
    )
    stop_limit: float = Field(20.0, ge=0, description="Time that a busy worker has to finish when it is stopped")
    connect_timeout: float = Field(10.0, ge=1, description="Longest wait for a connection to a database or the broker")
    broker_timeout: float = Field(30.0, ge=5, description="Longest wait for an answer of the broker")
    statement_timeout: float = Field(60.0, gt=0, description="Longest statement in a database")
    lock_timeout: float = Field(20.0, gt=0, description="Longest wait for a lock in a database")

    @classmethod
    def settings_customise_sources(
        cls, settings_cls: type[BaseSettings], *sources: PydanticBaseSettingsSource, **named: PydanticBaseSettingsSource
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """From the environment, and from files that it names."""
        files = InitSettingsSource(settings_cls, init_kwargs=dict(from_files(cls.model_fields, PREFIX)))
        return *sources, named["init_settings"], named["env_settings"], files

    @field_validator(*server_urls.SCHEMES)
    @classmethod
    def _known_scheme(cls, value: SecretStr | str | None, info: ValidationInfo) -> SecretStr | str | None:
        if value is not None:
            server_urls.check(_plain(value), server_urls.SCHEMES[str(info.field_name)])
        return value

    @field_validator(*_NEEDED_BY)
    @classmethod
    def _given_for_its_backend(
        cls, value: SecretStr | str | Path | None, info: ValidationInfo
    ) -> SecretStr | str | Path | None:
        chooser, backend = _NEEDED_BY[str(info.field_name)]
        if (value is None or not _plain(value)) and info.data.get(chooser) == backend:
            raise ValueError(f"must be set, since FUNDLYHUB_{chooser.upper()} is {backend}")
        return value

    @field_validator("twilio_account_sid")
    @classmethod
    def _like_an_account(cls, value: str | None) -> str | None:
        if value is not None and not re.fullmatch("AC[0-9a-fA-F]{32}", value):
            raise ValueError("must be AC and 32 hexadecimal digits")
        return value

    @field_validator("email_from")
    @classmethod
    def _one_mailbox(cls, value: str) -> str:
        sender_mailbox(value)
        return value

    @model_validator(mode="after")
    def _limits_in_order(self) -> Self:
        for queue in ("writes", "projections", "notifications", "broadcasts"):
            soft, hard = self.time_limits(queue)
            if soft >= hard:
                name = f"FUNDLYHUB_{queue.upper()}"
                raise ValueError(f"{name}_SOFT_TIME_LIMIT must be below {name}_TIME_LIMIT")
        # A run that is cut off in mid-call leaves messages of which nobody knows whether they went out.
        for queue, sending in (("notifications", SENDING_TIME), ("broadcasts", SLICE_TIME)):
            enough = sending + 3 * self.call_timeout
            if self.time_limits(queue)[0] < enough:
                raise ValueError(
                    f"FUNDLYHUB_{queue.upper()}_SOFT_TIME_LIMIT must be at least {enough:g}: "
                    f"{sending:g} and three times FUNDLYHUB_CALL_TIMEOUT"
                )
        return self

    def time_limits(self, queue: str) -> tuple[float, float]:
        """Seconds after which a batch of a queue is interrupted, and after which its process is killed."""
        return getattr(self, f"{queue}_soft_time_limit"), getattr(self, f"{queue}_time_limit")

    def dsn(self, branch: Branch) -> str:
        """The DSN of a database.

        Raises WrongUse when it is not set.
        """
        return _required(getattr(self, f"{branch}_dsn"), f"{branch}_dsn")

    @property
    def secret(self) -> bytes:
        """The secret key. Raises WrongUse when it is not set."""
        return _required(self.secret_key, "secret_key").encode()

    @property
    def broker(self) -> str:
        """The broker's URL, as kombu takes it. Raises WrongUse when it is not set."""
        return server_urls.for_kombu(_required(self.broker_url, "broker_url"))

    @property
    def broker_tls(self) -> dict[str, Any] | None:
        """TLS to RabbitMQ, as kombu takes it; None without it, and for Redis, whose URL says it."""
        return server_urls.amqp_tls(_required(self.broker_url, "broker_url"))

    @property
    def redis(self) -> str:
        """The URL of Redis or Valkey, as redis-py takes it. Raises WrongUse when it is not set."""
        return server_urls.for_redis(_required(self.redis_url, "redis_url"))

    @property
    def streams(self) -> str:
        """The URL of the server that has the streams. Raises WrongUse when none is set."""
        return self.redis if self.streams_url is None else server_urls.for_redis(self.streams_url.get_secret_value())

    @property
    def broker_is_amqp(self) -> bool:
        """Whether the broker is RabbitMQ, with quorum queues and a dead-letter exchange."""
        return self.broker.startswith("amqp")


def _plain(value: SecretStr | str | Path) -> str:
    return value.get_secret_value() if isinstance(value, SecretStr) else str(value)


def _required(value: SecretStr | None, name: str) -> str:
    if value is None or not value.get_secret_value():
        raise WrongUse(f"FUNDLYHUB_{name.upper()} is not set; set it, or run `fundlyhub up` to start embedded servers")
    return value.get_secret_value()


@cache
def get_settings() -> Settings:
    """The settings of this process, read once.

    Raises WrongUse that names each wrong variable, never its value.
    """
    try:
        return Settings()
    except ValidationError as error:
        faults = (_fault(fault["loc"], fault["msg"]) for fault in error.errors(include_input=False, include_url=False))
        raise WrongUse("wrong setting: " + "; ".join(faults)) from None


def _fault(place: tuple[int | str, ...], text: str) -> str:
    """What is wrong with a variable, or with several together, which the text then names itself."""
    name = ".".join(str(part) for part in place).upper()
    text = text.removeprefix("Value error, ")
    return f"FUNDLYHUB_{name}: {text}" if name else text
