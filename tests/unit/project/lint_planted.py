"""Checks the import contracts of a copy of the packages, once as it is and once for each planted import.

Usage: python lint_planted.py CONFIG < plants.json

The copy must come first on PYTHONPATH. A plant is `{"file": path, "line": an import}`; the line is taken out again
after its check. Prints, as JSON, the names of the broken contracts: first for the untouched copy, then for each plant.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

from importlinter import configuration
from importlinter.application import use_cases


def broken(config: str, cache: str) -> list[str]:
    """The contracts that do not hold now."""
    options = use_cases.read_user_options(config)
    use_cases._register_contract_types(options)  # The command line does it; nothing public does without printing.
    report = use_cases.create_report(options, cache_dir=cache)
    if report.could_not_run:
        sys.exit(f"not a contract: {report.invalid_contract_options}")
    return [contract.name for contract, check in report.get_contracts_and_checks() if not check.kept]


def main(config: str) -> None:
    """Check, and print what was found."""
    configuration.configure()
    with tempfile.TemporaryDirectory() as cache:
        found = [broken(config, cache)]
        for plant in json.load(sys.stdin):
            path = Path(plant["file"])
            before = path.read_text()
            path.write_text(f"{before}\n{plant['line']}\n")
            found.append(broken(config, cache))
            path.write_text(before)
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1])
