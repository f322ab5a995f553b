"""The gateway's metrics. No label names a clinic: there are thousands, and each one's queue has metrics of its own."""

from __future__ import annotations

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

from ocean_emr.gateway.answers import Refusal

REGISTRY: Final = CollectorRegistry()
ProcessCollector(registry=REGISTRY)

ACCEPTED: Final = Counter("ocean_gateway_accepted", "Messages kept", registry=REGISTRY)
REPLAYED: Final = Counter("ocean_gateway_replayed", "Messages that waited already", registry=REGISTRY)
REGISTERED: Final = Counter("ocean_gateway_registered", "Registrations echoed", registry=REGISTRY)
REFUSED: Final = Counter("ocean_gateway_refused", "Requests refused", ["reason"], registry=REGISTRY)
GONE: Final = Counter("ocean_gateway_gone", "Requests whose sender did not wait or came to no end", registry=REGISTRY)
SECONDS: Final = Histogram(
    "ocean_gateway_request_seconds",
    "From the request's first lines to its answer",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
    registry=REGISTRY,
)
CONNECTIONS_REFUSED: Final = Counter(
    "ocean_gateway_connections_refused", "Connections closed at once, because there were too many", registry=REGISTRY
)
WAITING: Final = Gauge("ocean_gateway_waiting", "Messages that wait for PostgreSQL", registry=REGISTRY)

for _refusal in Refusal:
    REFUSED.labels(_refusal)  # from the beginning, so that the first one shows as an increase
