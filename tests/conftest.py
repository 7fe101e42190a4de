"""What all rooms' tests share: served token servers, a PostgreSQL, a headless Chromium."""

import fcntl
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, settings
from sqlalchemy import NullPool, create_engine, make_url, text

from agentsim.server import Assessment, GrantState, Use
from tests.outcomes import Outcome
from tests.served import Served
from tests.sites import Site

# What a shell begins in its background ignores interrupts, and so does all that is begun there; a process that has a
# handler of its own begins others that heed them. Stories of Ctrl-C need those.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# The same examples each time, and none is timed. ``--hypothesis-profile soak`` makes up others, and more of them.
settings.register_profile(
    "usual",
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.register_profile("soak", deadline=None, print_blob=True, max_examples=1_000)
settings.load_profile("usual")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Long files first: whoever is given one last works on alone while the others have nothing left to do."""
    items.sort(key=lambda item: item.get_closest_marker("long") is None)


ROOT = Path(__file__).parents[1]
#: Nothing but what it is asked for: no look-ups of its own, no updates.
_CHROMIUM = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Served]]:
    """Starts served instances, by default all in one folder, so on one database with the same keys."""
    made: list[Served] = []

    def start(*arguments: object, folder: Path | None = None, **variables: str | None) -> Served:
        made.append(Served(folder or tmp_path, *arguments, **variables))
        return made[-1]

    yield start
    for each in made:
        each.close()


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One served instance for the stories of a file; agents, tasks and tokens are each story's own."""
    made = Served(tmp_path_factory.mktemp("served"))
    yield made
    made.close()


@pytest.fixture(scope="session")
def traces_folder() -> Path:
    """The folder of real agent traces: ``AGENTSIM_TRACES``, or beside the repository."""
    folder = Path(os.environ.get("AGENTSIM_TRACES", ROOT / "../shared/data/agent-traces"))
    if not folder.is_dir():
        pytest.skip(f"no real traces at {folder}; set AGENTSIM_TRACES")
    return folder


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """The URL of a PostgreSQL: ``AGENTSIM_TEST_POSTGRES``, or one of the tests' own (one for each test process)."""
    if named := os.environ.get("AGENTSIM_TEST_POSTGRES"):
        yield named
        return
    # A session of its own: an interrupt from the keyboard is for the tests, and reaches it as the end of its input.
    server = subprocess.Popen(
        [sys.executable, Path(__file__).with_name("postgres.py")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert server.stdout is not None
    if url := server.stdout.readline().strip():
        yield url
        _, errors = server.communicate()
        assert server.returncode == 0, errors
    else:
        _, errors = server.communicate()
        pytest.skip(f"no PostgreSQL: {errors.strip()}")


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, Callable[[Path], object]], Path]:
    """Fills a folder that several files read, once for all test processes: the first to ask does it, others wait for it."""
    own = tmp_path_factory.getbasetemp()
    common = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own

    def make(name: str, fill: Callable[[Path], object]) -> Path:
        folder = common / name
        with (common / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (folder / "filled").exists():
                # What somebody else has begun and not finished is no beginning.
                shutil.rmtree(folder, ignore_errors=True)
                folder.mkdir()
                fill(folder)
                (folder / "filled").touch()
        return folder

    return make


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    """Gives a command to ``agentsim`` in this process."""
    # Not above: most files give none, and need not wait for all that a command line takes.
    from agentsim.cli import main

    def call(*words: object) -> Outcome:
        # What was printed before is not of this command.
        capsys.readouterr()
        with pytest.raises(SystemExit) as left:
            main([str(word) for word in words])
        return Outcome(int(left.value.code or 0), *capsys.readouterr())

    return call


@pytest.fixture
def found_by_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Spawned processes find the functions of a story where the story does."""
    monkeypatch.syspath_prepend(str(ROOT))


@pytest.fixture(scope="module")
def new_schema(postgres: str) -> Iterator[Callable[[], str]]:
    """Makes empty schemas in the PostgreSQL, each with a URL of its own.

    They are dropped once the file's stories are over, so after every server of theirs has ended: dropping the tables of
    one that still runs may be the other half of a deadlock.
    """
    made: list[str] = []
    url = make_url(postgres).set(drivername="postgresql+psycopg")
    engine = create_engine(url, poolclass=NullPool)

    def make() -> str:
        made.append(f"world_{uuid4().hex}")
        with engine.begin() as connection:
            connection.execute(text(f"CREATE SCHEMA {made[-1]}"))
        own = url.update_query_dict({"options": f"-csearch_path={made[-1]}"})
        return own.render_as_string(hide_password=False)

    yield make
    for schema in made:
        with engine.begin() as connection:
            connection.execute(text(f"DROP SCHEMA {schema} CASCADE"))


class ByTool:
    """A matcher that finds some tools strange, whoever uses them; what it wants done about each it is told."""

    def __init__(self, **actions: Any) -> None:
        self.actions = actions

    def assess(self, use: Use, state: GrantState) -> Assessment:
        for tool in use.event.details["tools"] if use.event else state.tools:
            if tool in self.actions:
                return Assessment(False, "unusual", "high", 3.25, (f"{tool} is strange",), self.actions[tool])
        return Assessment(True, "normal", "low")


@pytest.fixture
def make_site(tmp_path: Path) -> Iterator[Callable[..., Site]]:
    """Makes sites; they are shut down at the end of the test."""
    made: list[Site] = []

    def make(**options: Any) -> Site:
        folder = tmp_path / f"site-{len(made)}"
        folder.mkdir()
        made.append(Site(folder, **options))
        return made[-1]

    yield make
    for site in made:
        site.close()


@pytest.fixture(scope="module")
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One site for the stories of a file, under the file's ``POLICY``; agents, tasks and tokens are each story's own."""
    made = Site(tmp_path_factory.mktemp("site"), **getattr(request.module, "POLICY", {}))
    yield made
    made.close()


@pytest.fixture(scope="session")
def by_tool() -> type[ByTool]:
    """Makes matchers that act on tools by name."""
    return ByTool


@pytest.fixture(scope="session")
def chromium_path() -> str:
    """Where the machine's Chromium is; whoever has much to make for it asks for this first."""
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if found is None:
        pytest.skip("no Chromium on the PATH")
    return found


# Of each file, not of the session: while it is there its event loop runs in this thread, and others want theirs.
@pytest.fixture(scope="module")
def chromium(chromium_path: str) -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium_path, args=_CHROMIUM)
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium: Any) -> Iterator[Callable[..., Any]]:
    """Opens a page in a browser of its own, without scripts unless they are asked for."""
    opened: list[Any] = []

    def make(width: int = 1280, scheme: str = "light", *, scripts: bool = False) -> Any:
        context = chromium.new_context(
            viewport={"width": width, "height": 900},
            color_scheme=scheme,
            java_script_enabled=scripts,
            # Of the pages, not of what looks at them.
            bypass_csp=scripts,
        )
        opened.append(context)
        return context.new_page()

    yield make
    for context in opened:
        context.close()


@pytest.fixture(scope="session")
def violations() -> Callable[[Any], list[dict[str, Any]]]:
    """What axe-core finds in a page that is open: rule, impact, and the HTML of the place."""
    found = importlib.util.find_spec("axe_playwright_python")
    if found is None or found.origin is None:
        pytest.skip("axe-playwright-python, which carries axe-core, is not installed")
    source = next(Path(found.origin).parent.glob("axe.min.js")).read_text()

    def look(page: Any) -> list[dict[str, Any]]:
        page.evaluate(source)
        return [
            {"rule": each["id"], "impact": each["impact"], "html": node["html"]}
            for each in page.evaluate("axe.run()")["violations"]
            for node in each["nodes"]
        ]

    return look
