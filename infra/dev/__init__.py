"""Real servers for tests and development: Kafka, ClickHouse and PostgreSQL as plain processes on loopback.

`infra.dev.kafka.KafkaServer`, `infra.dev.clickhouse.ClickHouseServer` and `infra.dev.postgres.PostgresServer` share the
life cycle of `infra.dev.process.Server`; `infra.dev.fixtures` has them as pytest fixtures; `python -m infra.dev up`
starts them for a person. Linux only: ends of processes are watched through pidfd and /proc.
"""
