"""A service whose model must be compiled first: what /ready says meanwhile, and that it answers afterwards."""

from typing import Any


async def test_ready_says_how_far_a_long_compilation_is(stage: Any, make: Any) -> None:
    stage.simple()
    strings = stage.model(card={"files": [{"path": "model.fake", "format": "fake-source"}]})
    strings.compiling.append("hang")
    async with stage.running(settled=False):
        await stage.until(lambda: any("beans" in one for one in stage.service.engine.fleet.compiling))
        status, body = await stage.get("/ready")
        assert status == 503
        (told,) = [
            reason for reason in body["reasons"] if reason.startswith("compiling fake:CPU double 1 for ")
        ]
        assert told.endswith("s: counting beans, 25%")
        assert (await stage.get("/live"))[0] == 200
        strings.release.set()
        await stage.until(lambda: stage.service.view.ready()[0])
        await stage.send(make.event("p", X=1))
        await stage.have(1)
        assert not [reason for reason in (await stage.get("/ready"))[1]["reasons"] if "compiling" in reason]
    assert strings.compiled == 1
