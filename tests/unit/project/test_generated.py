"""What is made from the models is what the repository holds. `make generate` puts it right."""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

import pytest

GENERATED = {
    "ocean_api.crdgen": ("crds/oceansites.yaml", "charts/ocean-operator/files/oceansites.yaml"),
    "ocean_api.reasons_doc": ("docs/reasons.md",),
    "ocean_api.reference_doc": ("docs/reference/oceansite.md",),
    "ocean_emr.gateway.openapi": ("docs/reference/gateway-openapi.json",),
}


@pytest.mark.parametrize(("module", "path"), [(module, path) for module, paths in GENERATED.items() for path in paths])
def test_a_generated_file_is_as_it_would_be_made_now(
    root: Path, module: str, path: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As by `python -m MODULE`."""
    monkeypatch.delitem(sys.modules, module, raising=False)
    runpy.run_module(module, run_name="__main__")
    made = capsys.readouterr().out

    assert "`make generate`" in made
    assert (root / path).read_text() == made, f"{path}: run `make generate`"
