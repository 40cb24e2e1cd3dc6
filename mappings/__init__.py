"""What things are called: record paths, columns, limits, metrics, segments. Data, and the small readers of it."""

from mappings.load import MappingError, PlatformMapping, SpecError, StreamMapping, load

__all__ = ["MappingError", "PlatformMapping", "SpecError", "StreamMapping", "load"]
