"""The topics are created as schemas/topics.py states; creating them again changes nothing."""

import pytest
from confluent_kafka.admin import ConfigResource, ResourceType  # type: ignore[attr-defined]

from infra.dev.kafka import KafkaServer
from pipeline.kafka import MESSAGE_BYTES_MAX, KafkaConfig, admin, create_topics
from schemas.errors import Transient

pytestmark = pytest.mark.server
DAY_MS = 86_400_000


def test_topics_have_the_stated_settings(kafka_server: KafkaServer) -> None:
    config = KafkaConfig(kafka_server.bootstrap, topic_prefix="stated.")
    made = create_topics(config)
    assert sorted(made) == ["stated.resources", "stated.samples", "stated.samples.dead", "stated.usage.touched"]
    assert create_topics(config) == []
    client = admin(config)
    found = client.list_topics(timeout=10).topics
    partitions = {name: len(found[name].partitions) for name in made}
    assert partitions == {
        "stated.samples": 8,
        "stated.usage.touched": 8,
        "stated.resources": 4,
        "stated.samples.dead": 1,
    }
    settings = {name: described(client, name) for name in made}
    assert {s["max.message.bytes"] for s in settings.values()} == {str(MESSAGE_BYTES_MAX)}
    assert {name: s["cleanup.policy"] for name, s in settings.items()} == {
        "stated.samples": "delete",
        "stated.usage.touched": "delete",
        "stated.resources": "compact",
        "stated.samples.dead": "compact",
    }
    assert settings["stated.samples"]["retention.ms"] == str(7 * DAY_MS)
    assert settings["stated.usage.touched"]["retention.ms"] == str(DAY_MS)


def test_an_installation_chooses_its_partitions(kafka_server: KafkaServer) -> None:
    config = KafkaConfig(kafka_server.bootstrap, topic_prefix="chosen.", partitions=3)
    create_topics(config)
    found = admin(config).list_topics(timeout=10).topics
    assert {len(found[f"chosen.{name}"].partitions) for name in ("samples", "usage.touched", "resources")} == {3}
    assert len(found["chosen.samples.dead"].partitions) == 1


def test_brokers_that_are_away_are_transient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.kafka.METADATA_TIMEOUT_SECONDS", 0.5)
    with pytest.raises(Transient, match=r"127\.0\.0\.1:1"):
        create_topics(KafkaConfig("127.0.0.1:1"))


def described(client: object, topic: str) -> dict[str, str]:
    resource = ConfigResource(ResourceType.TOPIC, topic)
    future = client.describe_configs([resource])[resource]  # type: ignore[attr-defined]
    return {name: entry.value for name, entry in future.result(30).items()}
