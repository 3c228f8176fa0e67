"""The part of the accelerator's contract suite for plug-ins that compile: what `compile` makes is what `load` takes."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from edgex_inference.contracts.accelerator import Artefact, Format, LoadRequest, Session
from edgex_inference.contracts.errors import AcceleratorUnavailable, ModelRejected
from edgex_inference.testing.accelerator_reports import ReportPromises
from edgex_inference.testing.accelerator_suite import numbers
from edgex_inference.testing.kinds import Kind


class CompilePromises(ReportPromises):
    """Promises of `compile` and `identity`; nothing of this runs where a plug-in has none, or reads another format."""

    def test_an_artefact_stands_alone(self, tmp_path: Path) -> None:
        if not self._compiles:
            return
        path = self.model(Kind.ONE, tmp_path / "model")
        folder = tmp_path / "cache"
        request = self._request(path, cache=folder)
        made = self._compiled(request)
        assert made.format in self.plugin.formats
        assert all(type(part) is str for pair in made.made_with.items() for part in pair)
        assert made.made_with, "nothing is said of what it depends on"
        for file in (made.path, *made.beside):
            assert file.is_file()
            assert folder in file.parents, f"{file} lies outside of the folder that was given"
        path.unlink()
        self._check_artefact(request, made, scale=2, offset=1)

    def test_two_artefacts_are_apart(self, tmp_path: Path) -> None:
        if not self._compiles:
            return
        kept = []
        for kind in (Kind.ONE, Kind.OTHER):
            request = self._request(
                self.model(kind, tmp_path / kind.name / "model"), cache=tmp_path / kind.name / "cache"
            )
            kept.append((request, self._compiled(request)))
        self._check_artefact(*kept[0], scale=2, offset=1)
        self._check_artefact(*kept[1], scale=3, offset=-1)

    def test_identity_is_what_an_artefact_is_made_with(self, tmp_path: Path) -> None:
        if not self._compiles or self.plugin.identity is None:
            return
        request = self._request(self.model(Kind.ONE, tmp_path), cache=tmp_path / "cache")
        before = dict(self.plugin.identity(request))
        assert before == dict(self._compiled(request).made_with)
        assert before == dict(self.plugin.identity(request)), "it depends on what was compiled before"

    def test_a_damaged_artefact_is_rejected(self, tmp_path: Path) -> None:
        if not self._compiles:
            return
        request = self._request(self.model(Kind.ONE, tmp_path), cache=tmp_path / "cache")
        made = self._compiled(request)
        whole = made.path.read_bytes()
        for content in (whole[: len(whole) // 2], b"", b"\xff" * len(whole)):
            made.path.write_bytes(content)
            with pytest.raises(ModelRejected) as caught:
                self._opened(request, made)
            assert caught.value.reason

    def test_what_cannot_be_compiled_is_refused(self, tmp_path: Path) -> None:
        if not self._compiles:
            return
        cache = tmp_path / "cache"
        with pytest.raises(ModelRejected):
            self._compiled(self._request(self.model(Kind.BROKEN, tmp_path / "broken"), cache=cache))
        path = self.model(Kind.ONE, tmp_path / "good")
        with pytest.raises(ModelRejected, match="foreign-format"):
            self._compiled(self._request(path, format=Format("foreign-format"), cache=cache))
        elsewhere = self._request(path, device="NoSuchDevice", cache=cache)  # may be one of another machine
        try:
            made = self._compiled(elsewhere)
        except AcceleratorUnavailable as error:
            refusal = str(error)
        else:
            with pytest.raises(AcceleratorUnavailable) as caught:
                self._opened(elsewhere, made)
            refusal = str(caught.value)
        assert "NoSuchDevice" in refusal

    def test_progress_is_told_in_order(self, tmp_path: Path) -> None:
        if not self._compiles:
            return
        told: list[tuple[float | None, str]] = []
        path = self.model(Kind.ONE, tmp_path)
        request = self._request(
            path, cache=tmp_path / "cache", progress=lambda share, what: told.append((share, what))
        )
        self._compiled(request)
        assert all(what and "\n" not in what for _, what in told)
        shares = [share for share, _ in told if share is not None]
        assert all(0 <= share <= 1 for share in shares)
        assert shares == sorted(shares)

    @property
    def _compiles(self) -> bool:
        return self.plugin.compile is not None and self.format in self.plugin.compiles

    def _compiled(self, request: LoadRequest) -> Artefact:
        assert self.plugin.compile is not None
        assert request.cache is not None
        request.cache.mkdir(parents=True, exist_ok=True)  # as the service does
        return self.plugin.compile(request)

    def _opened(self, request: LoadRequest, made: Artefact) -> Session:
        assert self.plugin.load is not None
        beside = tuple(one.name for one in made.beside)
        return self.plugin.load(replace(request, path=made.path, format=made.format, beside=beside))

    def _check_artefact(self, request: LoadRequest, made: Artefact, *, scale: float, offset: float) -> None:
        session = self._opened(request, made)
        x = numbers(1, 11)
        assert np.allclose(session.infer({"x": x})["y"], scale * x + offset, atol=self.tolerance)
        session.close()
