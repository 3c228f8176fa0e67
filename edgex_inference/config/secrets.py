"""The one door to secrets."""

from collections.abc import Mapping
from dataclasses import replace

from edgex_inference.config.schema import Secret


class Secrets:
    """Those of Writable.InsecureSecrets, and what was posted since; a posted value holds until its entry changes.

    EdgeX's secret store is not built: starting with EDGEX_SECURITY_SECRET_STORE on is refused (config/load.py).
    """

    def __init__(self, entries: Mapping[str, Secret]) -> None:
        self._configured = dict(entries)
        self._posted: dict[str, Mapping[str, str]] = {}

    @property
    def configured(self) -> Mapping[str, Secret]:
        """Writable.InsecureSecrets itself."""
        return self._configured

    def of(self, name: str) -> Mapping[str, str]:
        """The values of a secret by its SecretName; empty where there is none."""
        entry = next((one for one in self._configured.values() if one.secret_name == name), Secret())
        return {**entry.secret_data, **self._posted.get(name, {})}

    def store(self, name: str, values: Mapping[str, str]) -> None:
        """Sets values of a secret, in memory; those that are not named stay."""
        self._posted[name] = {**self._posted.get(name, {}), **values}

    def take_up(self, entries: Mapping[str, Secret]) -> None:
        """Another Writable.InsecureSecrets: where an entry changed, what was posted before is gone."""
        before = {one.secret_name: one for one in self._configured.values()}
        for entry in entries.values():
            if before.get(entry.secret_name) != entry:
                self._posted.pop(entry.secret_name, None)
        self._configured = dict(entries)

    def entries(self) -> Mapping[str, Secret]:
        """As Writable.InsecureSecrets would have them; a secret that only was posted is under its own name."""
        found = {
            key: replace(entry, secret_data=self.of(entry.secret_name))
            for key, entry in self._configured.items()
        }
        known = {entry.secret_name for entry in found.values()}
        return found | {
            name: Secret(secret_name=name, secret_data=values)
            for name, values in self._posted.items()
            if name not in known
        }
