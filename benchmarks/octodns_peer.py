"""The peer that plans: octoDNS, from PyPI, in a virtualenv of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from platformdirs import user_cache_path

VERSION = "1.22.0"

_ZONE = """\
---
'':
  - {type: MX, values: [{preference: 10, exchange: mail.example.}]}
  - {type: TXT, value: v=spf1 -all}
blog: {type: CNAME, value: www.example.}
mail: {type: A, value: 10.0.0.2}
www: {type: A, value: 10.0.0.1}
"""

RECORDS_OF_A_ZONE = 5

_CONFIG = """\
manager:
  plan_outputs:
    json: {{class: octodns.provider.plan.PlanJson}}
providers:
  source: {{class: octodns.provider.yaml.YamlProvider, directory: {folder}/source, enforce_order: false}}
  target: {{class: octodns.provider.yaml.YamlProvider, directory: {folder}/target, enforce_order: false}}
zones:
  '*': {{sources: [source], targets: [target]}}
"""


def command() -> str:
    """Return the path of `octodns-sync`; install it first if it isn't there."""
    venv = user_cache_path("codat-iac") / f"octodns-{VERSION}"
    sync = venv / "bin" / "octodns-sync"
    if not sync.exists():
        subprocess.run([sys.executable, "-m", "venv", venv], check=True)
        subprocess.run(
            [
                venv / "bin" / "pip",
                "install",
                "--quiet",
                "--disable-pip-version-check",
                f"octodns=={VERSION}",
            ],
            check=True,
        )
    return str(sync)


def write(folder: Path, records: int) -> Path:
    """Write zones with about as many *records* twice, as source and target, and return the config's path."""
    for side in ("source", "target"):
        zones = folder / side
        zones.mkdir(parents=True)
        for number in range(max(1, records // RECORDS_OF_A_ZONE)):
            (zones / f"zone-{number}.example.yaml").write_text(_ZONE)
    config = folder / "config.yaml"
    config.write_text(_CONFIG.format(folder=folder))
    return config
