"""Attribution: at every instant each resource of each tenant has exactly one payer."""

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase

from hypothesis import given, settings
from hypothesis import strategies as st

from billing.accounts import UNATTRIBUTED
from billing.protocol import MappingRule
from pipeline.attribution import needs_resources, resolve
from schemas.claim import Claim
from schemas.ids import resource_id, tenant_id
from schemas.period import FOREVER, Period

SITES, TENANTS, RESOURCES = ("vc-1", "vc-2"), ("acme", "acme-lab", "beta", ""), ("vm/1", "vm/2", "disk/1")
KEYS = {tenant_id(s, t): (s, t) for s in SITES for t in TENANTS}
OWNED = {key: {resource_id(site, r): r for r in RESOURCES} for key, (site, _) in KEYS.items()}
INSTANTS = (0, 10, 20, 30, FOREVER)


@st.composite
def rule_sets(draw: st.DrawFn) -> list[MappingRule]:
    rules = []
    for number in range(draw(st.integers(0, 8))):
        start, end = sorted(draw(st.lists(st.sampled_from(INSTANTS), min_size=2, max_size=2, unique=True)))
        rules.append(
            MappingRule(
                number + 1,
                draw(st.sampled_from(["*", "vc-1", "vc-?"])),
                draw(st.sampled_from(["*", "acme", "acme*", "beta", ""])),
                draw(st.sampled_from(["a", "b", "c"])),
                draw(st.sampled_from(["*", "*", "vm/1", "vm/*", "disk/[0-9]"])),
                start,
                end,
            )
        )
    return rules


def holders(claims: Mapping[str, Sequence[Claim]], tenant: int, resource: int, instant: int) -> list[str]:
    return [
        account
        for account, found in claims.items()
        for c in found
        if c.tenant_id == tenant
        and instant in c.period
        and (resource in c.only if c.only is not None else resource not in c.excluded)
    ]


def expected(rules: Sequence[MappingRule], site: str, tenant: str, resource: str, instant: int) -> str:
    """The rule of the design, told another way: the best of the matching rules, by what it names exactly."""

    def exact(pattern: str) -> bool:
        return not set(pattern) & set("*?[")

    matching = [
        r
        for r in rules
        if fnmatchcase(site, r.site)
        and fnmatchcase(tenant, r.tenant)
        and fnmatchcase(resource, r.resource)
        and r.start <= instant < r.end
    ]
    if not matching:
        return UNATTRIBUTED
    best = max(matching, key=lambda r: (r.resource != "*", exact(r.resource), exact(r.tenant), exact(r.site), r.id))
    return best.account


@settings(max_examples=150, deadline=None)
@given(rule_sets())
def test_exactly_one_payer_and_it_is_the_best_rules(rules: list[MappingRule]) -> None:
    """Invariant 9's twin for accounts: nobody pays twice for a sample, and none is without an owner."""
    claims = resolve(rules, KEYS, OWNED)
    for tenant, (site, name) in KEYS.items():
        for resource, key in OWNED[tenant].items():
            for instant in (0, 9, 10, 15, 20, 29, 30, 31, FOREVER - 1):
                assert holders(claims, tenant, resource, instant) == [expected(rules, site, name, key, instant)]


@settings(max_examples=60, deadline=None)
@given(rule_sets())
def test_resources_need_to_be_known_only_where_a_rule_names_them(rules: list[MappingRule]) -> None:
    wanted = needs_resources(rules, KEYS)
    assert resolve(rules, KEYS, {t: OWNED[t] for t in wanted}) == resolve(rules, KEYS, OWNED)


@settings(max_examples=60, deadline=None)
@given(rule_sets(), st.randoms(use_true_random=False))
def test_the_order_in_which_rules_are_read_does_not_matter(rules: list[MappingRule], chance: object) -> None:
    """Invariant 2."""
    shuffled = list(rules)
    chance.shuffle(shuffled)  # type: ignore[attr-defined]
    assert resolve(shuffled, KEYS, OWNED) == resolve(rules, KEYS, OWNED)


def payer(rules: Sequence[MappingRule], resource: str = "vm/1", instant: int = 5, tenant: str = "acme") -> str:
    claims = resolve(rules, KEYS, OWNED)
    (found,) = holders(claims, tenant_id("vc-1", tenant), resource_id("vc-1", resource), instant)
    return found


def test_precedence_told_rule_by_rule() -> None:
    rules = [MappingRule(1, "vc-1", "acme", "a"), MappingRule(2, "*", "acme*", "b")]
    assert payer(rules) == "a", "an exact tenant beats a pattern, though recorded earlier"
    rules.append(MappingRule(3, "*", "acme", "c"))
    assert payer(rules) == "a", "an exact site beats a pattern"
    rules.append(MappingRule(4, "vc-1", "acme", "b"))
    assert payer(rules) == "b", "the one recorded last"
    rules.append(MappingRule(5, "*", "*", "c", resource="vm/*"))
    assert payer(rules) == "c", "a rule for resources beats all others"
    assert payer(rules, "disk/1") == "b"
    rules.append(MappingRule(6, "*", "*", "a", resource="vm/1"))
    assert (payer(rules), payer(rules, "vm/2")) == ("a", "c")
    assert payer([r for r in rules if r.id != 6]) == "c", "a retired rule is as if it had never been"


def test_boundaries_are_half_open() -> None:
    rules = [MappingRule(1, "*", "acme", "a", start=10, end=20), MappingRule(2, "*", "acme", "b", start=20)]
    found = [payer(rules, instant=i) for i in (9, 10, 19, 20)]
    assert found == [UNATTRIBUTED, "a", "a", "b"]


def test_neighbouring_periods_of_the_same_claim_are_joined() -> None:
    rules = [MappingRule(1, "*", "acme", "a"), MappingRule(2, "*", "beta", "b", start=10, end=20)]
    claims = resolve(rules, {t: n for t, n in KEYS.items() if n == ("vc-1", "acme")}, {})
    assert claims == {"a": (Claim(Period(0, FOREVER), tenant_id("vc-1", "acme")),)}
