"""From a site's EMR settings to its adapter.

Each module is imported only for its own EMR: a sync pod must start fast and stay small.
"""

from __future__ import annotations

from collections.abc import Mapping

from ocean_api.addresses import AddressRules
from ocean_api.v1alpha1.spec import EmrSpec, EmrType
from ocean_emr.contract import EmrAdapter


def open_adapter(emr: EmrSpec, credentials: Mapping[str, str], addresses: AddressRules) -> EmrAdapter:
    """The adapter for `emr`, to be used as an async context manager. Asks nobody yet.

    Args:
        emr: The site's EMR settings.
        credentials: The mounted Secret: key to value.
        addresses: Where its connections may lead.

    Raises:
        EmrAuthRefusedError: The credentials lack a key; the text names it.
    """
    return _FACTORIES[emr.type](emr, credentials, addresses)


def _oscar_pro(emr: EmrSpec, credentials: Mapping[str, str], addresses: AddressRules) -> EmrAdapter:
    from ocean_emr.adapters.oscar import OscarAdapter  # noqa: PLC0415 - see the module's docstring

    assert emr.oscar_pro is not None  # noqa: S101 - the spec's own rule
    return OscarAdapter(emr.oscar_pro.url, credentials, ca_bundle=emr.oscar_pro.ca_bundle, addresses=addresses)


def _fhir(emr: EmrSpec, credentials: Mapping[str, str], addresses: AddressRules) -> EmrAdapter:
    from ocean_emr.adapters.fhir_r4 import FhirR4Adapter  # noqa: PLC0415 - see the module's docstring

    assert emr.fhir is not None  # noqa: S101 - the spec's own rule
    return FhirR4Adapter(
        emr.fhir.url,
        credentials,
        token_url=emr.fhir.token_url,
        scopes=emr.fhir.scopes,
        ca_bundle=emr.fhir.ca_bundle,
        addresses=addresses,
    )


def _none(_emr: EmrSpec, _credentials: Mapping[str, str], _addresses: AddressRules) -> EmrAdapter:
    from ocean_emr.adapters.none import NoEmrAdapter  # noqa: PLC0415 - see the module's docstring

    return NoEmrAdapter()


_FACTORIES = {EmrType.OSCAR_PRO: _oscar_pro, EmrType.FHIR: _fhir, EmrType.NONE: _none}
