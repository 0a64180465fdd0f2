"""One settings tree: defaults, then a TOML file, then environment variables `STRATOMETER_…` (`__` between levels).

Everything is checked before anything starts, and every problem is listed at once; an unknown key is a problem.
"""

import os
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ModelWrapValidatorHandler,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from schemas.errors import Misconfigured
from schemas.meters import Registry, builtin

PREFIX: Final = "STRATOMETER_"
CONFIG_VARIABLE: Final = "STRATOMETER_CONFIG"
DEV_ADMIN_TOKEN: Final = "sm_admin_development-only"  # noqa: S105 - refused outside --dev
TOKEN_LENGTH_MIN: Final = 20

_serves: ContextVar[bool] = ContextVar("serves", default=True)
"""Whether this process serves the API: only then it needs the admin token."""

Seconds = Annotated[int, Field(ge=1, le=31 * 86400)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class KafkaSettings(_Section):
    """Kafka, in the cluster deployment."""

    bootstrap_servers: str = Field("127.0.0.1:9092", description="host:port, several separated by commas")
    topic_prefix: str = Field("", description="put before every topic name, to share a broker")
    replication_factor: Annotated[int, Field(ge=1)] = Field(1, description="of the topics we create; 3 in production")
    partitions: Annotated[int, Field(ge=0)] = Field(0, description="of each topic we create; 0 takes our default")
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = Field(
        "PLAINTEXT", description="as in librdkafka"
    )
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = Field("PLAIN", description="for SASL_…")
    sasl_username: str = Field("", description="for SASL_…")
    sasl_password: SecretStr = Field(SecretStr(""), description="for SASL_…")
    ssl_ca_location: str = Field("", description="file of CA certificates for SSL and SASL_SSL")


class WarehouseSettings(_Section):
    """ClickHouse, on a server or embedded."""

    url: SecretStr = Field(
        SecretStr(""), description="clickhouse://user:password@host:9000/database; empty: chDB in data_dir"
    )
    insert_timeout_seconds: Seconds = Field(20, description="of one write; settle's cut-off stays behind it")
    cluster: str = Field("", description="name of a ClickHouse cluster: Replicated… and Distributed tables")


class BooksSettings(_Section):
    """The SQL store."""

    url: SecretStr = Field(
        SecretStr(""), description="postgresql+psycopg://user:password@host/database; empty: SQLite in data_dir"
    )


class StreamSettings(_Section):
    """Metering and live rating."""

    take_messages_max: Annotated[int, Field(ge=1, le=5000)] = Field(200, description="batches in one durable write")
    take_within_seconds: Annotated[float, Field(gt=0, le=10)] = Field(0.3, description="longest wait to fill a write")
    rate_debounce_seconds: Annotated[float, Field(gt=0, le=600)] = Field(5.0, description="between two live ratings")
    sweep_seconds: Seconds = Field(300, description="how often accounts that no trigger named are looked for")
    metrics_port: Annotated[int, Field(ge=0, le=65000)] = Field(
        0, description="worker n serves Prometheus metrics on this port + n, on loopback; 0 serves none"
    )
    watchdog_seconds: Seconds = Field(120, description="a worker with lag and no durable write this long exits")


class SettleSettings(_Section):
    """Closing windows and posting debits."""

    grace_seconds: Annotated[int, Field(ge=0, le=31 * 86400)] = Field(
        7200, description="how long after its end a window waits for late data"
    )
    cutoff_margin_seconds: Annotated[int, Field(ge=0, le=3600)] = Field(
        60, description="how far the cut-off stays behind the clock; above insert_timeout_seconds in a cluster"
    )
    late_days: Annotated[int, Field(ge=0, le=3660)] = Field(
        400, description="how far back late data still adjusts a settled cycle"
    )
    every_seconds: Seconds = Field(60, description="how often `up` looks for cycles to settle")


class CollectSettings(_Section):
    """Collectors and their spool."""

    interval_seconds: Seconds = Field(300, description="between two polls")
    spool_bytes_max: Annotated[int, Field(ge=1 << 20)] = Field(
        20 * 1024**3, description="size at which a spool refuses more"
    )
    spool_sync_seconds: Annotated[float, Field(ge=0, le=60)] = Field(
        0.2, description="longest time a poll may lie unsynced; 0 syncs every append"
    )


class ApiSettings(_Section):
    """REST API and live page."""

    host: str = Field("127.0.0.1", description="address to listen on")
    port: Annotated[int, Field(ge=0, le=65535)] = Field(8080, description="port; 0 takes a free one")
    admin_token: SecretStr = Field(
        SecretStr(DEV_ADMIN_TOKEN), description="first admin key, written to the books at start; the default needs dev"
    )


class Settings(BaseSettings):
    """All settings."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
        nested_model_default_partial_update=True,
    )

    deployment: Literal["embedded", "cluster"] = Field("embedded", description="one process, or real engines")
    data_dir: Path = Field(Path("stratometer-data"), description="spools, chDB, SQLite")
    dev: bool = Field(False, description="accepts development defaults, opens the live page to anyone on loopback")
    log_json: bool = Field(False, description="logs as JSON lines instead of text")
    kafka: KafkaSettings = KafkaSettings()
    warehouse: WarehouseSettings = WarehouseSettings()
    books: BooksSettings = BooksSettings()
    stream: StreamSettings = StreamSettings()
    settle: SettleSettings = SettleSettings()
    collect: CollectSettings = CollectSettings()
    api: ApiSettings = ApiSettings()
    meters: tuple[dict[str, Any], ...] = Field((), description="own meters, each as in schemas/meters.yaml")

    @model_validator(mode="after")
    def _whole(self) -> "Settings":
        problems = []
        if self.deployment == "cluster":
            if not self.warehouse.url.get_secret_value().startswith("clickhouse://"):
                problems.append(
                    "warehouse.url: a cluster needs a ClickHouse server: clickhouse://user:password@host:9000/db"
                )
            if not self.books.url.get_secret_value().startswith("postgresql"):
                problems.append(
                    "books.url: a cluster needs PostgreSQL: postgresql+psycopg://user:password@host/database"
                )
            if self.settle.cutoff_margin_seconds <= self.warehouse.insert_timeout_seconds:
                problems.append(
                    "settle.cutoff_margin_seconds: must be above warehouse.insert_timeout_seconds, or a settle job "
                    "could read before a slow insert ends"
                )
        else:
            problems += [
                f"{name}.url: the embedded deployment keeps its stores in data_dir: remove it, or choose cluster"
                for name, url in (("warehouse", self.warehouse.url), ("books", self.books.url))
                if url.get_secret_value().startswith(("clickhouse", "postgresql"))
            ]
        if _serves.get():
            problems += self._token_problems()
        try:
            self.registry()
        except Misconfigured as error:
            problems += error.problems
        if problems:
            raise ValueError("\n".join(problems))
        return self

    def _token_problems(self) -> list[str]:
        token = self.api.admin_token.get_secret_value()
        if token == DEV_ADMIN_TOKEN:
            if self.dev:
                return []
            return [
                f"api.admin_token: set {PREFIX}API__ADMIN_TOKEN to sm_admin_<at least {TOKEN_LENGTH_MIN} random "
                "characters>; the default is for --dev only"
            ]
        if not token.startswith("sm_admin_") or len(token) < len("sm_admin_") + TOKEN_LENGTH_MIN:
            return [f"api.admin_token: must read sm_admin_ and at least {TOKEN_LENGTH_MIN} random characters"]
        return []

    @model_validator(mode="wrap")
    @classmethod
    def _everything_at_once(cls, values: Any, handler: ModelWrapValidatorHandler[Self]) -> Self:
        """Look at the whole also where single settings are wrong, as if those had their defaults."""
        try:
            return handler(values)
        except ValidationError as error:
            found = _problems_of(error)
            wrong = [problem["loc"] for problem in error.errors() if problem["loc"]]
        if wrong:
            try:
                handler(_without(values, wrong))
            except ValidationError as error:
                found += [problem for problem in _problems_of(error) if problem not in found]
        raise ValueError("\n".join(found))

    def registry(self) -> Registry:
        """Return the built-in meters and the operator's own; raises Misconfigured."""
        return builtin().extended(self.meters)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Take arguments, then the environment, then the TOML file."""
        del dotenv_settings, file_secret_settings
        path = os.environ.get(CONFIG_VARIABLE)
        return init_settings, env_settings, TomlConfigSettingsSource(settings_cls, Path(path) if path else None)


def load(*, serves: bool = True, **overrides: object) -> Settings:
    """Return the settings of this process.

    Args:
        serves: whether this process serves the API, and so needs an admin token that is safe.
        overrides: top-level values from the command line; None means not given.

    Raises:
        Misconfigured: lists every problem, each with the name of the setting.
    """
    problems = _unknown_variables(os.environ)
    path = os.environ.get(CONFIG_VARIABLE)
    if path and not Path(path).is_file():
        problems.append(f"{CONFIG_VARIABLE}: no file at {path}")
    settings = None
    _serves.set(serves)
    try:
        settings = Settings(**{k: v for k, v in overrides.items() if v is not None})  # type: ignore[arg-type]
    except ValidationError as error:
        problems += _problems_of(error)
    except ValueError as error:  # a TOML file that cannot be read
        problems.append(f"{path}: {error}")
    if problems or settings is None:
        raise Misconfigured(problems)
    return settings


def _problems_of(error: ValidationError) -> list[str]:
    """Return one line a problem, with the setting's name and without its value, which may be a secret."""
    problems = []
    for found in error.errors(include_url=False, include_input=False):
        name = ".".join(map(str, found["loc"]))
        text = found["msg"].removeprefix("Value error, ")
        problems += [f"{name}: {line}" if name else line for line in text.split("\n")]
    return problems


def _without(values: Mapping[str, Any], wrong: Sequence[tuple[int | str, ...]]) -> dict[str, Any]:
    """Return the values without those at the given places; of a list, the whole list goes."""
    rest = dict(values)
    for first, *inner in wrong:
        name, value = str(first), rest.get(str(first))
        if inner and isinstance(value, Mapping):
            rest[name] = _without(value, [tuple(inner)])
        else:
            rest.pop(name, None)
    return rest


def _unknown_variables(environment: Mapping[str, str]) -> list[str]:
    known = {f"{PREFIX}{name}".upper() for name in Settings.model_fields} | {CONFIG_VARIABLE, f"{PREFIX}DEV_CACHE"}
    own = sorted(name for name in environment if name.upper().startswith(PREFIX))
    return [
        f"{name}: no such setting; see docs/operations.md"
        for name in own
        if name.upper() not in known and not any(name.upper().startswith(f"{k}__") for k in known)
    ]
