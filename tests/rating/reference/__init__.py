"""An independent reference: rational arithmetic, one row at a time, sharing no code with the engine."""

from tests.rating.reference.document import Refused
from tests.rating.reference.group import Line
from tests.rating.reference.numbers import amount_micros, best_price, rounded
from tests.rating.reference.rating import rate, registry_of

__all__ = ["Line", "Refused", "amount_micros", "best_price", "rate", "registry_of", "rounded"]
