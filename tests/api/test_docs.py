"""docs/api.md is true: every route, problem and metric stands there, and its examples work."""

import json
import re
import shlex
from pathlib import Path

import httpx

from api.metrics import METRICS
from api.problems import KINDS
from tests.api.conftest import Api
from tests.api.world import World

TEXT = (Path(__file__).parents[2] / "docs" / "api.md").read_text(encoding="utf-8")


def test_every_problem_with_its_status_is_documented() -> None:
    documented = dict(re.findall(r"`/problems/([a-z-]+)` \| (\d+)", TEXT))
    assert documented == {kind: str(status) for kind, (status, _) in KINDS.items()}


def test_every_metric_is_documented() -> None:
    assert set(re.findall(r"`(stratometer_api_\w+)`", TEXT)) == set(METRICS)


def test_every_route_is_documented(api: Api) -> None:
    for path in api("").get("/v1/openapi.json").json()["paths"]:
        assert path in TEXT or path.removeprefix("/v1") in TEXT, f"{path} is not in docs/api.md"


def test_the_examples_work(api: Api, url: str, world: World) -> None:
    api("admin").put("/v1/accounts/doc", json={"name": "Doc"}).raise_for_status()
    lines = api("acme").get(
        "/v1/lines", params={"account": "acme", "from": "2026-10-01T00:00:00Z", "to": "2026-11-01T00:00:00Z"}
    )
    names = {
        "URL": url,
        "INGEST": world.tokens["ingest"],
        "KEY": world.tokens["admin"],
        "DIGEST": lines.json()["items"][0]["digest"],
    }
    blocks = re.findall(r"```sh\n(.*?)```", TEXT, re.DOTALL)
    commands = [c for block in blocks for c in re.split(r"(?m)^(?=curl )", block) if c.strip()]
    assert len(commands) >= 6
    for command in commands:
        filled = re.sub(r"\$([A-Z]+)", lambda m: names[m.group(1)], command).replace("\\\n", " ")
        words = shlex.split(filled)[1:]
        pairs = [words[i + 1].partition(": ") for i, word in enumerate(words) if word == "-H"]
        headers = {name: value for name, _, value in pairs}
        body = next((words[i + 1] for i, w in enumerate(words) if w in ("-d", "--data-binary")), None)
        method = next((words[i + 1] for i, w in enumerate(words) if w == "-X"), "POST" if body else "GET")
        target = next(w for w in words if w.startswith("http"))
        answer = httpx.request(method, target, headers=headers, content=body)
        assert answer.is_success, answer.text
        assert json.loads(answer.text)
