"""Ways to leave the workspace through the tools that run, search, read and save: all are refused, nothing changes."""

from __future__ import annotations

import contextlib
import os
import shutil
import threading
from pathlib import Path

import pytest
from nasty_site import serve

from orchestrator_dagster.errors import PathError, StepError
from orchestrator_dagster.files.workspace import Workspace
from orchestrator_dagster.tools.browser import headless_browser
from orchestrator_dagster.tools.commands.python import python_executor
from orchestrator_dagster.tools.commands.terminal import terminal
from orchestrator_dagster.tools.http import http_client
from orchestrator_dagster.tools.search import web_search
from orchestrator_dagster.tools.settings import SearchSettings, ToolSettings
from orchestrator_dagster.tools.tool import ToolContext

SECRET = "the secret outside"


@pytest.fixture
def place(tmp_path):
    """``outside/`` with a secret beside ``work/``, the workspace, with links that lead out of it."""
    outside, work = tmp_path / "outside", tmp_path / "work"
    outside.mkdir()
    (outside / "secret.md").write_text(SECRET)
    (work / "deep").mkdir(parents=True)
    links = {
        "to_folder": outside, "to_root": Path("/"), "to_parent": Path(".."), "deep/up": Path("../../outside"),
        "chain": Path("chain2"), "chain2": Path("to_folder"), "to_proc": Path("/proc/self/cwd"), "loop": Path("loop"),
        "dangling": outside / "new",
    }  # fmt: skip
    for name, target in links.items():
        (work / name).symlink_to(target)
    os.mkfifo(work / "pipe")
    return work


FOLDERS = [
    "..", "../", "../outside", "deep/../../outside", "missing/../../outside", "../" * 30 + "etc", "/", "/etc", "//etc",
    "{work}/../outside", "{work}-other", "~", "~root", "to_folder", "to_root", "to_root/etc", "to_parent", "to_parent/outside",
    "deep/up", "chain", "to_proc", "loop", "dangling", "pipe", "/proc/self/cwd", "/proc/self/root", "/dev", "/dev/shm", "/sys",
    "deep\0", "deep\n../outside", "", "   ", "file:///etc", "C:\\", "\\\\server\\share", "..\\outside", "．．/outside",
    "..／outside", "․․/outside", "..∕outside", ".. /outside", "\x1b[2K", "deep/\u202e..", "\ud800", "x" * 5000,
]  # fmt: skip


@pytest.mark.parametrize("folder", FOLDERS)
def test_no_folder_outside_to_work_in(place, folder):
    folder = folder.replace("{work}", str(place))
    context = ToolContext(Workspace(place))
    mark = place.parent / "ran"
    before = sorted(place.parent.rglob("*"))
    for call in (
        lambda: terminal.find(None).call(context, {"command": ["touch", str(mark)], "working_dir": folder}),
        lambda: python_executor.find(None).call(context, {"code": f"open({str(mark)!r}, 'w')", "working_dir": folder}),
        lambda: web_search.find(None).call(context, {"query": "secret", "folder": folder}),
    ):
        with pytest.raises(StepError) as refused:
            call()
        assert isinstance(refused.value, PathError), refused.value
    assert sorted(place.parent.rglob("*")) == before


@pytest.mark.parametrize(
    "name",
    ["../out.bin", "/tmp/out.bin", "to_folder/out.bin", "deep/up/out.bin", "dangling", "pipe", "/dev/full", "~/out"],
)
def test_no_file_outside_to_write_or_read(place, name):
    """What was answered is not written; where the path alone is wrong, nothing is even asked for."""
    with serve() as site:
        context = ToolContext(Workspace(place), settings=ToolSettings(allowed_hosts=[site.host]))
        before = sorted(place.parent.rglob("*"))
        with pytest.raises(PathError):
            http_client.find("get").call(context, {"url": f"{site.url}/bytes", "save_to": name})
        assert site.paths in ([], ["/bytes"] if name == "pipe" else [])
        for parameters in ({"file": name}, {"path": name}):
            tool = python_executor if "file" in parameters else headless_browser
            with pytest.raises(PathError):
                tool.find(None).call(context, parameters)
        with pytest.raises(PathError):
            headless_browser.find("screenshot").call(
                context, {"url": f"{site.url}/article", "save_to": name.replace("pipe", "../pipe")}
            )
        assert sorted(place.parent.rglob("*")) == before


def test_the_folder_of_the_settings_stays_inside_too(place):
    for folder in ("../outside", "to_folder", "/etc"):
        settings = ToolSettings(search=SearchSettings(backend="folder", folder=folder))
        with pytest.raises(PathError):
            web_search.find(None).call(ToolContext(Workspace(place), settings=settings), {"query": "secret"})


def test_a_search_does_not_follow_links_out(place):
    (place / "notes.md").write_text("nothing of interest")
    (place / "link.md").symlink_to(place.parent / "outside" / "secret.md")
    context = ToolContext(Workspace(place))
    assert web_search.find(None).call(context, {"query": "secret outside", "folder": "."})["results"] == []


def test_no_page_of_the_machine(place):
    """URLs are no way to files."""
    context = ToolContext(Workspace(place), settings=ToolSettings(allow_private_addresses=True))
    for url in (
        "file:///etc/passwd",
        "file://localhost/etc/passwd",
        "view-source:file:///etc/passwd",
        "about:blank",
        "data:text/html,x",
        "chrome://version",
    ):
        for javascript in (False, True):
            with pytest.raises(StepError, match="URL"):
                headless_browser.find("fetch").call(context, {"url": url, "javascript": javascript})
        with pytest.raises(StepError, match="URL"):
            http_client.find("get").call(context, {"url": url})


def test_a_command_never_works_outside_while_a_link_flickers(place):
    """``swap`` changes between a folder and a link out, between the check and the start of the command."""
    (place / "folder").mkdir()
    (place / "link").symlink_to(place.parent / "outside")
    done = threading.Event()

    def flicker() -> None:
        while not done.is_set():
            for kind in ("folder", "link"):
                with contextlib.suppress(OSError):
                    (place / kind).rename(place / "swap")
                    done.wait(0.002)
                    (place / "swap").rename(place / kind)

    thread = threading.Thread(target=flicker)
    thread.start()
    context = ToolContext(Workspace(place))
    seen, refused = set(), 0
    try:
        for _ in range(40):
            try:
                made = terminal.find(None).call(
                    context, {"command": ["sh", "-c", "ls; touch here"], "working_dir": "swap"}
                )
                seen.add(made["stdout"])
            except PathError:
                refused += 1
    finally:
        done.set()
        thread.join()
    assert refused
    assert "secret.md" not in " ".join(seen)
    assert [each.name for each in (place.parent / "outside").iterdir()] == ["secret.md"]


def test_a_private_folder_is_gone_and_is_nobody_elses(place):
    context = ToolContext(Workspace(place))
    code = "import os, stat, tempfile\nresult = [tempfile.gettempdir(), stat.S_IMODE(os.stat(os.environ['HOME']).st_mode)]\nopen(result[0] + '/left', 'w')"
    folder, mode = python_executor.find(None).call(context, {"code": code})["result"]
    assert mode == 0o700
    assert not Path(folder).exists()
    # A link that the code leaves there is removed, not followed.
    keep = place.parent / "outside"
    terminal.find(None).call(context, {"command": f'ln -s "{keep}" "$HOME/out"', "shell": True})
    assert (keep / "secret.md").read_text() == SECRET
    with contextlib.suppress(StepError):
        python_executor.find(None).call(
            context, {"code": "import os; os.symlink('/etc', os.environ['HOME'] + '/etc'); 1 / 0"}
        )
    assert Path("/etc/passwd").exists()
    shutil.rmtree(place)
    with pytest.raises(PathError):
        terminal.find(None).call(context, {"command": "ls"})
