"""What every event of ours says of itself in OCSF (Open Cybersecurity Schema Framework 1.7.0, schema.ocsf.io)."""

from importlib.metadata import version
from typing import Any

#: The newest schema that is widely taken in; ``anomaly_analyses`` came with 1.5.0, ``is_alert`` with 1.4.0. The version of
#: the product is looked up once: it is read from files each time.
METADATA: dict[str, Any] = {
    "version": "1.7.0",
    "product": {"name": "agentsim", "vendor_name": "agentsim", "version": version("agentsim")},
}
