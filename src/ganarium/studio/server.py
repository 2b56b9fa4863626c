"""The server of the studio: what the page asks for, and nothing else. `guard` stands before it."""

import asyncio
import secrets
import socket
import tempfile
import webbrowser
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse, HTMLResponse, JSONResponse, Response
from fastapi.staticfiles import StaticFiles
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException

from ganarium import registry
from ganarium.cli.data_report import report as report_lines
from ganarium.data import list_data
from ganarium.data.dataset import decode
from ganarium.data.inspect.dataset import survey
from ganarium.data.inspect.survey import Survey
from ganarium.errors import RunError, UserError
from ganarium.exporting.export import export
from ganarium.exporting.weights.importing import import_weights
from ganarium.pictures.grid import save_grid
from ganarium.runs import gallery
from ganarium.runs.listing import running, summary_of
from ganarium.runs.loading import config_of
from ganarium.runs.options import parse_size
from ganarium.runtime.device import resolve_device
from ganarium.studio.folders import MAX_FILES, WEIGHTS, Folders
from ganarium.studio.following import details, listed, pending
from ganarium.studio.guard import Guard
from ganarium.studio.jobs import Jobs
from ganarium.studio.playing import Player
from ganarium.studio.single_file import STATIC
from ganarium.training.compatibility import model_compatibility
from ganarium.training.recommend import levels, recommend, suited
from ganarium.version import __version__

MIB = 1 << 20
LIMITS = {  # bytes of a body by path
    "/api/upload": 512 * MIB,
    "/api/weights": 512 * MIB,
    **{f"/api/{verb}": 64 * MIB for verb in ("translate", "upscale", "inpaint", "classify", "rebuild")},
}
REPORT_POLICY = (
    "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data:"
)

Answer = Callable[[Path, dict[str, Any], dict[str, bytes]], Response]


class Asked(BaseModel):
    """Base of what a call says: unknown fields are refused."""

    model_config = ConfigDict(extra="forbid")


class DataAsked(Asked):
    data: str = Field(max_length=4096)
    size: str | None = Field(None, max_length=20)


class AdviceAsked(DataAsked):
    minutes: float = Field(gt=0, le=100_000, allow_inf_nan=False)


class TrainAsked(DataAsked):
    model: str = Field(max_length=100)
    name: str | None = Field(None, max_length=120)
    minutes: float | None = Field(None, gt=0, le=100_000, allow_inf_nan=False)
    steps: int | None = Field(None, gt=0, le=10**9)
    seed: int = Field(0, ge=0, lt=2**31)
    options: dict[str, str | int | float | bool] = Field(default_factory=dict, max_length=100)


class RunAsked(Asked):
    run: str = Field(max_length=300)
    steps: int | None = Field(None, gt=0, le=10**9)


class PlayAsked(Asked):
    run: str = Field(max_length=300)
    step: int | None = None
    seed: int = Field(0, ge=0, lt=2**31)
    label: int | None = None
    n: int = 16


class SampleAsked(PlayAsked):
    code: list[float] | None = Field(None, max_length=100)
    sliders: list[float] = Field(default_factory=list, max_length=16)
    truncation: float | None = None
    second_seed: int | None = Field(None, ge=0, lt=2**31)
    crossover: int | None = None
    text: str | None = Field(None, max_length=1000)


class SumAsked(PlayAsked):
    groups: list[tuple[int, list[int]]] = Field(max_length=8)


def create_app(
    folders: Folders, token: str, hosts: Iterable[str], *, device: str = "auto", limits: dict[str, int] | None = None
) -> Any:
    """The ASGI app of a studio, behind its guard. `hosts` are the values of Host that it answers to."""
    app = FastAPI(title="ganarium studio", docs_url=None, redoc_url=None, openapi_url=None)
    jobs, player = Jobs(folders.own / "jobs"), Player(device)
    app.state.player = player
    looked: dict[tuple[str, str | None], Survey] = {}  # the last ones, for the picture that the page asks for next
    slow = asyncio.Semaphore(2)  # surveys and timings at once

    @app.exception_handler(UserError)
    async def bad_input(request: Request, error: UserError) -> JSONResponse:
        return JSONResponse({"error": str(error)}, 400)

    @app.exception_handler(RunError)
    async def cannot(request: Request, error: RunError) -> JSONResponse:
        return JSONResponse({"error": str(error)}, 409)

    @app.exception_handler(RequestValidationError)
    async def malformed(request: Request, error: RequestValidationError) -> JSONResponse:
        where = ".".join(map(str, error.errors()[0]["loc"][1:]))
        return JSONResponse({"error": f"{where or 'the call'}: {error.errors()[0]['msg']}."}, 400)

    @app.get("/")
    def index() -> HTMLResponse:
        return HTMLResponse((STATIC / "studio.html").read_text(encoding="utf-8"))

    # ---- what there is

    @app.get("/api/about")
    def about() -> dict[str, Any]:
        cards = {name: registry.card(name) for name in registry.list_models()}
        shown = ("title", "year", "idea")
        return {
            "version": __version__,
            "device": resolve_device(device),
            "runs": str(folders.runs),
            "opened": [str(place) for place in folders.opened if place != folders.uploads.resolve()],
            "sets": list_data(),
            "found": folders.listing(),
            "models": {name: {key: card[key] for key in shown} for name, card in cards.items()},
        }

    @app.get("/api/options")
    def options(model: str) -> list[dict[str, Any]]:
        config = registry.module(_known_model(model)).Config
        docs = registry.field_docs(config)
        return [
            {"name": field.name, "default": field.default, "help": " ".join(docs.get(field.name, "").split())}
            for field in fields(config)
            if isinstance(field.default, str | int | float | bool | None)
        ]

    @app.get("/api/runs")
    def runs() -> list[dict[str, Any]]:
        return listed(folders.runs, jobs)

    @app.get("/api/gallery")
    def generators() -> list[dict[str, str]]:
        cards = {name: gallery.card(name) for name in gallery.names()}
        return [
            {"name": f"{gallery.PREFIX}{name}", "model": card["model"], "what": card["what"]}
            for name, card in cards.items()
        ]

    @app.get("/api/run")
    def run(name: str) -> dict[str, Any]:
        waiting = [row for row in pending(folders.runs, jobs) if row["name"] == name]
        return waiting[0] if waiting else details(folders.run(name), name, jobs)

    @app.get("/api/said")
    def said(name: str) -> dict[str, str]:
        return {"said": jobs.said(name) if name in jobs.names() else ""}

    @app.get("/api/picture")
    def picture(run: str, file: str) -> FileResponse:
        place = folders.run(run) / "samples"
        if file not in {path.name for path in place.glob("*.png")} | {"training.gif"} or not (place / file).is_file():
            raise UserError(f"{run} has no picture {file[:80]!r}.")
        return FileResponse(place / file)

    @app.get("/api/report")
    def report(run: str) -> Response:
        place = folders.run(run) / "report.html"
        if not place.is_file():
            raise UserError(f"{run} has no report yet.")
        return HTMLResponse(place.read_bytes(), headers={"content-security-policy": REPORT_POLICY})

    # ---- training

    @app.post("/api/upload")
    async def upload(request: Request) -> dict[str, Any]:
        place = folders.new_upload()
        try:
            async with request.form(max_files=MAX_FILES, max_fields=10) as form:
                files = [item for item in form.getlist("files") if isinstance(item, UploadFile)]
                if not files:
                    raise UserError("no file was sent.")
                for file in files:
                    target = folders.place_in(place, file.filename or "")
                    await run_in_threadpool(_write, file, target)
        except MultiPartException as error:
            folders.drop(place)
            raise UserError(f"the upload cannot be read, or has more than {MAX_FILES:,} files.") from error
        except BaseException:
            folders.drop(place)
            raise
        return {"data": str(folders.what_was_uploaded(place)), "files": len(files)}

    @app.post("/api/data")
    async def data(asked: DataAsked) -> dict[str, Any]:
        place = folders.data(asked.data)
        async with slow:
            examined = await run_in_threadpool(survey, place, size=parse_size(asked.size))
            looked[place, asked.size] = examined
            while len(looked) > 2:
                looked.pop(next(iter(looked)))
            return await run_in_threadpool(_looked_at, place, examined)

    @app.get("/api/data-picture")
    def data_picture(data: str, size: str | None = None) -> Response:
        place = folders.data(data)
        examined = looked.get((place, size)) or survey(place, size=parse_size(size))
        return Response(_grid_of(examined), media_type="image/png")

    @app.post("/api/recommend")
    async def advice(asked: AdviceAsked) -> dict[str, Any]:
        given: dict[str, Any] = {"size": asked.size} if asked.size else {}
        place = folders.data(asked.data)
        async with slow:
            chosen = await run_in_threadpool(recommend, place, minutes=asked.minutes, device=device, **given)
        own = {key: value for key, value in chosen.options.items() if key not in ("data", "minutes", "size")}
        return {
            "model": chosen.model,
            "size": chosen.options.get("size"),
            "options": own,
            "reasons": chosen.reasons,
            "others": chosen.others,
            "steps": chosen.steps,
            "command": chosen.command,
        }

    @app.post("/api/levels")
    async def qualities(asked: DataAsked) -> dict[str, Any]:
        given: dict[str, Any] = {"size": asked.size} if asked.size else {}
        place = await run_in_threadpool(folders.data, asked.data)
        async with slow:
            model, offers = await run_in_threadpool(levels, place, device=device, **given)
        return {"model": model, "levels": [asdict(level) for level in offers]}

    @app.post("/api/train")
    def train(asked: TrainAsked) -> dict[str, str]:
        model, place = _known_model(asked.model), folders.data(asked.data)
        if (asked.minutes is None) == (asked.steps is None):
            raise UserError("say how long to train: in minutes or in steps.")
        parse_size(asked.size)
        name = asked.name or folders.free_name(f"{model}-{Path(asked.data).stem}")
        out = folders.new_run(name)
        known = {field.name for field in fields(registry.module(model).Config)}
        words = ["train", model, f"--data={place}", f"--out={out}", f"--seed={asked.seed}", f"--device={device}"]
        words += [f"--minutes={asked.minutes:g}"] if asked.minutes else [f"--steps={asked.steps}"]
        words += [f"--size={asked.size}"] if asked.size else []
        for key, value in asked.options.items():
            if key not in known | {"batch_size", "channels", "fit", "layout", "classes", "characters", "precision"}:
                raise UserError(f"{model} has no option {key[:80]!r}.")
            flag = key.replace("_", "-")
            words.append((f"--{flag}" if value else f"--no-{flag}") if isinstance(value, bool) else f"--{flag}={value}")
        jobs.start(name, words)
        return {"run": name}

    @app.post("/api/stop")
    def stop(asked: RunAsked) -> dict[str, str]:
        jobs.stop(asked.run)
        return {"run": asked.run}

    @app.post("/api/resume")
    def resume(asked: RunAsked) -> dict[str, str]:
        place = folders.run(asked.run)
        if running(place):
            raise UserError(f"{asked.run} is being trained already.")
        known = summary_of(place, asked.run)
        if known.state == "imported":
            raise UserError(f"{asked.run} holds weights of another program, and no training to go on with.")
        if known.step >= (asked.steps or known.total) > 0:
            raise UserError(f"{asked.run} has done {known.step:,} steps already: name a later step to go on to.")
        jobs.start(asked.run, ["resume", str(place), *([f"--steps={asked.steps}"] if asked.steps else [])])
        return {"run": asked.run}

    @app.post("/api/weights")
    async def weights(request: Request) -> dict[str, Any]:
        """Weights of another program, by the rules of `ganarium import`: read as numbers, and nothing is run."""
        place = await run_in_threadpool(folders.new_upload)
        try:
            async with request.form(max_files=1, max_fields=5) as form:
                file, size = form.get("file"), form.get("size") or None
                if not isinstance(file, UploadFile) or isinstance(size, UploadFile):
                    raise UserError("no file of weights was sent.")
                target = folders.place_in(place, file.filename or "", WEIGHTS)
                await run_in_threadpool(_write, file, target)
            async with slow:
                out = folders.new_run(folders.free_name(target.stem))
                run = await run_in_threadpool(import_weights, target, out, size=size)
        except MultiPartException as error:
            raise UserError("the upload cannot be read, or has more than one file.") from error
        finally:
            folders.drop(place)
        return {"run": run.name}

    # ---- playing

    async def played(run: str, work: Callable[..., Any], **given: Any) -> Any:
        return await player.ask(work, await run_in_threadpool(folders.run, run), **given)

    @app.get("/api/abilities")
    async def abilities(run: str, step: int | None = None) -> dict[str, Any]:
        return {**await played(run, player.abilities, step=step), "example": _data_of_run(folders, run) is not None}

    @app.get("/api/example")
    async def example(run: str, step: int | None = None, direction: str | None = None, number: int = 0) -> Response:
        if _data_of_run(folders, run) is None:
            raise UserError(f"the data of {run} are not in a folder that the studio opened.")
        asked = {"step": step, "direction": direction, "number": abs(number) % 10_000}
        return as_png(await played(run, player.example, **asked))

    @app.post("/api/sample")
    async def sample(asked: SampleAsked) -> Response:
        return as_png(await played(asked.run, player.sample, **asked.model_dump(exclude={"run"})))

    @app.post("/api/walk")
    async def walk(asked: PlayAsked) -> Response:
        made = await played(asked.run, player.walk, step=asked.step, seed=asked.seed, label=asked.label)
        return Response(made, media_type="image/gif")

    @app.post("/api/sum")
    async def sum_of_codes(asked: SumAsked) -> Response:
        return as_png(await played(asked.run, player.arithmetic, **asked.model_dump(exclude={"run"})))

    @app.post("/api/export")
    async def export_page(asked: PlayAsked) -> FileResponse:
        place = folders.run(asked.run)
        if asked.step is not None:
            place = player.checkpoint(place, asked.step)
        shipped = asked.run.startswith(gallery.PREFIX)
        out = folders.own / "exported" / asked.run.removeprefix(gallery.PREFIX) if shipped else None
        async with slow:
            (exported,) = await run_in_threadpool(export, place, to="html", out=out)
        headers = {"x-difference": f"{exported.difference:.1e}", "content-security-policy": REPORT_POLICY}
        return FileResponse(exported.path, filename=exported.path.name, media_type="text/html", headers=headers)

    def with_picture(answer: Answer) -> Callable[..., Awaitable[Response]]:
        """A call that sends a picture, and maybe a mask, beside the run's name."""

        async def call(request: Request) -> Response:
            async with request.form(max_files=2, max_fields=10) as form:
                sent = {key: await item.read() for key, item in form.items() if isinstance(item, UploadFile)}
                said = {key: item for key, item in form.items() if isinstance(item, str)}
            if "picture" not in sent:
                raise UserError("no picture was sent.")
            step = said.get("step", "")
            if step and not step.isdecimal():
                raise UserError("the step must be a whole number.")
            given: dict[str, Any] = {"step": int(step) if step else None}
            if said.get("direction"):
                given["direction"] = said["direction"]
            return await played(said.get("run", ""), answer, given=given, sent=sent)

        return call

    def as_png(content: bytes) -> Response:
        return Response(content, media_type="image/png")

    def mapped(place: Path, given: dict[str, Any], sent: dict[str, bytes]) -> Response:
        return as_png(player.translate(place, sent["picture"], **{"direction": None, **given}))

    def enlarged(place: Path, given: dict[str, Any], sent: dict[str, bytes]) -> Response:
        return as_png(player.upscale(place, sent["picture"], step=given["step"]))

    def filled(place: Path, given: dict[str, Any], sent: dict[str, bytes]) -> Response:
        if "mask" not in sent:
            raise UserError("no mask was sent: paint what is to be filled.")
        return as_png(player.inpaint(place, sent["picture"], sent["mask"], step=given["step"]))

    def classified(place: Path, given: dict[str, Any], sent: dict[str, bytes]) -> Response:
        return JSONResponse(player.classify(place, sent["picture"], step=given["step"]))

    def rebuilt(place: Path, given: dict[str, Any], sent: dict[str, bytes]) -> Response:
        return as_png(player.rebuild(place, sent["picture"], step=given["step"]))

    for verb, answer in (
        ("translate", mapped),
        ("upscale", enlarged),
        ("inpaint", filled),
        ("classify", classified),
        ("rebuild", rebuilt),
    ):
        app.add_api_route(f"/api/{verb}", with_picture(answer), methods=["POST"])

    app.mount("/", StaticFiles(directory=STATIC))
    return Guard(app, token, frozenset(host.lower() for host in hosts), LIMITS | (limits or {}))


def _known_model(name: str) -> str:
    """A model of ganarium by its name; a path of a file is not taken, since its code would run."""
    if name not in registry.list_models():
        raise UserError(f"there is no model {name[:80]!r} in ganarium.")
    return name


def _write(file: UploadFile, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("xb") as out:
        while part := file.file.read(MIB):
            out.write(part)


def _data_of_run(folders: Folders, run: str) -> str | None:
    """The data of a run, if the studio may read them and they are there."""
    config = config_of(folders.run(run))
    options = config["options"]
    if "imported" in config or "channels" not in options:  # weights that came without data
        return None
    with suppress(UserError):
        return folders.data(options["data"] or "")
    return None


def _looked_at(data: str, examined: Survey) -> dict[str, Any]:
    """What `ganarium data` says of a data set, for the page."""
    models = model_compatibility(examined)
    choices = suited(examined)
    return {
        "data": data,
        "name": examined.name,
        "refusal": examined.refusal,
        "lines": report_lines(examined, models, choices),
        "shape": list(examined.shape),
        "fits": [name for name, reason in models.items() if not reason],
        "choices": [{"model": choice.model, "reason": choice.reason} for choice in choices],
        "sizes": bool(examined.fit),
        "picture": examined.grid is not None,
    }


def _grid_of(examined: Survey) -> bytes:
    if examined.grid is None:
        raise UserError("these data have no pictures to show.")
    with tempfile.TemporaryDirectory() as folder:
        path = save_grid(decode(examined.grid), Path(folder) / "grid.png", columns=examined.columns)
        return path.read_bytes()


def serve(
    runs: Path, opened: Iterable[Path], *, host: str, port: int, device: str, browser: bool, say: Callable[[str], None]
) -> None:
    """Serves the studio until it is interrupted. `port` 0 takes a free one."""
    folders, token = Folders(runs, opened), secrets.token_urlsafe(24)
    resolve_device(device)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((host, port))
        except OSError as error:
            raise UserError(f"the studio cannot listen on {host}, port {port}: {error.strerror}.") from error
        listener.listen(128)  # before the address is said: whoever reads it may call at once
        port = listener.getsockname()[1]
        shown = f"[{host}]" if ":" in host else host
        hosts = {f"{name}:{port}" for name in (shown, *(("127.0.0.1", "localhost") if _is_loopback(host) else ()))}
        address = f"http://{shown}:{port}/?token={token}"
        say(f"the studio is at {address}")
        say(f"runs in {runs}; Ctrl-C ends the studio, and no training")
        if browser:
            webbrowser.open(address)
        app = create_app(folders, token, hosts, device=device)
        config = uvicorn.Config(app, log_level="warning", access_log=False, server_header=False, ws="none")
        uvicorn.Server(config).run(sockets=[listener])


def _is_loopback(host: str) -> bool:
    return host in ("127.0.0.1", "localhost", "::1")
