"""A simulated platform: a seeded fleet that changes by a script, and the exact totals that the script implies."""

from collectors.simulator.disturb import Disturbed, Weather
from collectors.simulator.fleet import Fleet, build
from collectors.simulator.history import Simulator
from collectors.simulator.live import LiveSimulator, SimulatedTime
from collectors.simulator.plan import DEMO_TENANTS, Plan, TenantPlan
from collectors.simulator.truth import Truth, TruthKey, truth_of

__all__ = [
    "DEMO_TENANTS",
    "Disturbed",
    "Fleet",
    "LiveSimulator",
    "Plan",
    "SimulatedTime",
    "Simulator",
    "TenantPlan",
    "Truth",
    "TruthKey",
    "Weather",
    "build",
    "truth_of",
]
