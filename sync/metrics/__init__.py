"""What is known of each customer, worked out from the facts by SQLAlchemy Core expressions.

There is one definition for a full run, for the people whose facts changed, and for any earlier instant.
"""

from sync.metrics.counting import MetricSettings
from sync.metrics.derive import MetricsReport, excluded_counts, other_currencies, refresh
from sync.metrics.rewind import as_of

__all__ = ["MetricSettings", "MetricsReport", "as_of", "excluded_counts", "other_currencies", "refresh"]
