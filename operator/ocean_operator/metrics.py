"""The operator's metrics. Labels never name a person, and sites only where a number is useless without them."""

from __future__ import annotations

from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

REGISTRY: Final = CollectorRegistry()
ProcessCollector(registry=REGISTRY)

LEADER: Final = Gauge("ocean_operator_leader", "1 while this replica leads", registry=REGISTRY)
SITES: Final = Gauge("ocean_sites", "OceanSites by the reason in their summary", ["reason"], registry=REGISTRY)
MESSAGES_WAITING: Final = Gauge(
    "ocean_messages_waiting", "Messages that wait to be delivered", ["namespace", "name"], registry=REGISTRY
)
MESSAGES_OLDEST: Final = Gauge(
    "ocean_messages_oldest_seconds",
    "Age of the oldest message that waits, 0 while none does",
    ["namespace", "name"],
    registry=REGISTRY,
)
MESSAGES_HELD: Final = Gauge(
    "ocean_messages_held", "Messages that wait for a person", ["namespace", "name"], registry=REGISTRY
)
QUEUE_DEPTH: Final = Gauge("ocean_workqueue_depth", "Keys waiting for a worker", ["queue"], registry=REGISTRY)
QUEUE_RETRIES: Final = Counter("ocean_workqueue_retries", "Passes that failed", ["queue"], registry=REGISTRY)
WORK_SECONDS: Final = Histogram("ocean_workqueue_work_seconds", "Duration of one pass", ["queue"], registry=REGISTRY)
API_WRITES: Final = Counter("ocean_api_writes", "Writes to the API server", ["verb", "kind"], registry=REGISTRY)
API_ERRORS: Final = Counter("ocean_api_errors", "Refused or failed API calls", ["code"], registry=REGISTRY)
WATCH_AGE: Final = Gauge(
    "ocean_watch_audit_age_seconds", "Since the watches were last compared with a LIST", registry=REGISTRY
)
WATCH_LOSSES: Final = Counter(
    "ocean_watch_losses", "Objects a watch had lost or kept wrongly", ["kind"], registry=REGISTRY
)
ADMISSIONS: Final = Counter("ocean_admission_reviews", "Reviews answered", ["allowed"], registry=REGISTRY)
