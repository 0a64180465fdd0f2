"""Resource descriptors: what a resource is called and who owned it, over time. They travel on topic `resources`.

A descriptor never takes part in a sample's identity and never changes a number that is already metered.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import orjson

from schemas.errors import Poison


@dataclass(frozen=True, slots=True)
class Descriptor:
    """One resource as seen at one instant.

    Attributes:
        site: the platform installation.
        resource: kind/native uuid, as in the samples.
        name: the platform's name for it; may change, may repeat.
        tenant: owner as the platform names it, or "".
        seen_at: seconds since 1970.
        attributes: further facts for people (guest OS, host, folder).
    """

    site: str
    resource: str
    name: str
    tenant: str
    seen_at: int
    attributes: Mapping[str, str] = field(default_factory=dict)

    @property
    def kind(self) -> str:
        """The part of the resource key before the slash, for example ``vm``."""
        return self.resource.partition("/")[0]

    @property
    def key(self) -> bytes:
        """Key on the compacted topic: the newest descriptor of a resource replaces the older ones."""
        return f"{self.site}\0{self.resource}".encode()


def encode(descriptor: Descriptor) -> bytes:
    """Return the descriptor as JSON."""
    return orjson.dumps(
        {
            "site": descriptor.site,
            "resource": descriptor.resource,
            "name": descriptor.name,
            "tenant": descriptor.tenant,
            "seen_at": descriptor.seen_at,
            "attributes": dict(descriptor.attributes),
        },
        option=orjson.OPT_SORT_KEYS,
    )


def decode(payload: bytes) -> Descriptor:
    """Return the descriptor of its JSON form; raises Poison when it is not one."""
    try:
        fields = orjson.loads(payload)
        return Descriptor(
            str(fields["site"]),
            str(fields["resource"]),
            str(fields["name"]),
            str(fields["tenant"]),
            int(fields["seen_at"]),
            {str(k): str(v) for k, v in fields["attributes"].items()},
        )
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise Poison("bad_descriptor", f"not a resource descriptor: {error!r}") from error
