"""`redline scale`: who is asked, what is refused, and what a running job makes of it."""

import asyncio
import contextlib
import json
import threading

import pytest
from worker_fakes import World, make_scaler

from redline.cluster.control import ControlServer, ask, is_running
from redline.cluster.errors import UserError, WorkFailed
from redline.cluster.main import run as redline


def scaled(work, **world):
    async def main():
        async with World(**({"samplers": 1} | world)) as made:
            await made.push(0)
            return await work(made)

    return asyncio.run(main())


def test_both_fleets_grow_and_shrink_by_themselves():
    async def work(world):
        scaler = make_scaler(world)
        asked = []
        scaler.on_asked = asked.append
        state = await scaler.answer({"scale": {"samplers": 3, "sandboxes": 2}})
        assert (state["samplers"]["target"], state["sandboxes"]["target"]) == (3, 2)
        await world.until(lambda: len(world.serving()) == 3)
        await scaler.answer({})
        await scaler.scale({"samplers": 1}, "load")
        assert asked == [{"samplers": 3, "sandboxes": 2}]
        await world.until(lambda: len(scaler.state()["samplers"]["workers"]) == 1)
        (worker,) = scaler.state()["samplers"]["workers"]
        assert (worker["stage"], worker["weight_version"]) == ("serving", 0)
        assert scaler.state()["sandboxes"]["target"] == 2
        assert "samplers: 1 to 3 (asked for)" in world.lines

    scaled(work)


def test_what_the_cluster_cannot_hold_is_refused_as_a_whole():
    async def work(world):
        scaler = make_scaler(world, cpus=5.0)
        with pytest.raises(UserError, match=r"no place for sampler 3 of 3 .*big: 5 CPU"):
            await scaler.scale({"samplers": 4, "sandboxes": 2})
        assert [fleet.target for fleet in world.rollouts.fleets.values()] == [1, 1]
        await scaler.scale({"samplers": 3, "sandboxes": 2})

    scaled(work)


def test_memory_is_asked_for_the_engines_that_are_new():
    asked = []

    async def work(world):
        scaler = make_scaler(world, fits=asked.append)
        await scaler.scale({"samplers": 3})
        await scaler.scale({"sandboxes": 2})
        await scaler.scale({"samplers": 1})

    scaled(work)
    assert asked == [{"samplers": 2}, {"sandboxes": 1}]


@pytest.mark.parametrize("targets", [{"samplers": 0}, {"learners": 2}, {"samplers": "2"}, [1]])
def test_a_wrong_request_changes_nothing(targets):
    async def work(world):
        with pytest.raises(UserError, match="expected"):
            await make_scaler(world).answer({"scale": targets})
        assert world.fleet.target == 1

    scaled(work)


@contextlib.contextmanager
def job(folder, handler):
    """A job that answers requests in a thread of its own."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.yaml").write_text("name: x\n")
    with ControlServer(folder) as server:
        loop = asyncio.new_event_loop()
        serving = loop.create_task(server.serve(handler, print))
        thread = threading.Thread(target=loop.run_until_complete, args=(serving,))
        thread.start()
        try:
            yield
        finally:
            loop.call_soon_threadsafe(serving.cancel)
            with contextlib.suppress(asyncio.CancelledError):
                thread.join()
            loop.close()


async def echo(request):
    if request.get("scale") == {"samplers": 9}:
        raise UserError("the cluster has no place for sampler 9")
    target = request.get("scale", {}).get("samplers", 1)
    workers = [{"name": f"sampler-{n}", "stage": "serving"} for n in range(target)]
    return {"samplers": {"target": target, "workers": workers}, "sandboxes": {"target": 1}}


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_job_is_found_asked_and_gone(tmp_path, capfd, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with job(tmp_path / "runs/mine", echo):
        assert redline(["scale", "samplers=2", "--json"]) == 0
        out = capfd.readouterr().out
        assert json.loads(out)["samplers"]["target"] == 2
        assert redline(["scale", "samplers=9", "--run", "mine"]) == 2
        assert capfd.readouterr().err == "redline: the cluster has no place for sampler 9\n"
        with job(tmp_path / "runs/other", echo):
            assert redline(["scale", "samplers=2"]) == 2
            assert "2 jobs are running (mine, other)" in capfd.readouterr().err
            assert redline(["scale", "samplers=2", "--run", "runs/other"]) == 0
        left = [path.name for path in (tmp_path / "runs/mine/control").iterdir()]
        assert left == ["lock"]
    capfd.readouterr()
    assert redline(["scale", "samplers=2", "--run", "mine"]) == 2
    assert "no job is running at runs/mine" in capfd.readouterr().err
    assert redline(["scale", "samplers=2", "--run", "absent"]) == 2
    assert "no run at runs/absent" in capfd.readouterr().err
    assert redline(["scale", "samplers=2"]) == 2
    assert "no job is running in runs" in capfd.readouterr().err


@pytest.mark.parametrize(
    "counts", [["samplers"], ["samplers=0"], ["learners=2"], ["samplers=1", "samplers=2"]]
)
def test_wrong_usage_is_refused_before_anybody_is_asked(counts, capfd):
    assert redline(["scale", *counts]) == 2
    assert capfd.readouterr().err.count("\n") == 1


def test_a_job_that_does_not_answer_is_named(tmp_path):
    with ControlServer(tmp_path), pytest.raises(WorkFailed, match="no answer within 0 s"):
        ask(tmp_path, {}, seconds=0.2)
    assert not is_running(tmp_path)
    with pytest.raises(WorkFailed, match="ended before it answered"):
        ask(tmp_path, {}, seconds=5.0)


def test_what_is_no_request_is_refused(tmp_path):
    async def main():
        with ControlServer(tmp_path) as server:
            (tmp_path / "control/a.request.json").write_text("{")
            (tmp_path / "control/b.request.json").write_text("[1]")
            serving = asyncio.ensure_future(server.serve(echo, print))
            while not (tmp_path / "control/b.answer.json").exists():
                await asyncio.sleep(0.01)
            serving.cancel()

    asyncio.run(main())
    assert "not readable" in (tmp_path / "control/a.answer.json").read_text()
    assert "expected an object" in (tmp_path / "control/b.answer.json").read_text()


def test_only_one_job_holds_a_run(tmp_path, monkeypatch):
    monkeypatch.setattr("redline.cluster.control._SECONDS_TO_OPEN", 0.1)
    with ControlServer(tmp_path), pytest.raises(WorkFailed, match="held by another job"):
        ControlServer(tmp_path)
