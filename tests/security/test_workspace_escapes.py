"""Ways to leave the workspace: each is tried for reading and for changing, is refused, and nothing outside changes."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import threading
from pathlib import Path

import pytest

from orchestrator_dagster.errors import PathError, SizeLimitError
from orchestrator_dagster.files.path_text import check_path_text
from orchestrator_dagster.files.workspace import Workspace
from orchestrator_dagster.tools.filesystem import filesystem
from orchestrator_dagster.tools.tool import ToolContext

SECRET = "the secret outside"


@pytest.fixture
def place(tmp_path):
    """``outside/`` with a secret beside ``work/``, the workspace, with some links in it."""
    outside, work = tmp_path / "outside", tmp_path / "work"
    outside.mkdir()
    (outside / "secret.txt").write_text(SECRET)
    (work / "deep" / "er").mkdir(parents=True)
    (work / "inside.txt").write_text("inside")
    (tmp_path / "work-other").mkdir()
    (tmp_path / "work-other" / "secret.txt").write_text(SECRET)
    links = {
        "to_file": outside / "secret.txt",
        "to_folder": outside,
        "to_root": Path("/"),
        "to_parent": Path(".."),
        "deep/up": Path("../../outside"),
        "chain": Path("chain2"),
        "chain2": Path("to_folder"),
        "dangling": outside / "new.txt",
        "to_proc": Path("/proc/self"),
        "loop_a": Path("loop_b"),
        "loop_b": Path("loop_a"),
    }
    for name, target in links.items():
        (work / name).symlink_to(target)
    return work


WAYS = {
    "up": "../outside/secret.txt",
    "up from a folder": "deep/../../outside/secret.txt",
    "up from a missing folder": "missing/../../outside/secret.txt",
    "up with doubled separators": "deep//..//..//outside//secret.txt",
    "up with dots between": "./deep/./.././../outside/secret.txt",
    "far up": "../" * 40 + "etc/passwd",
    "the parent itself": "..",
    "the parent with a slash": "../",
    "a sibling with the same beginning": "../work-other/secret.txt",
    "absolute": "/etc/passwd",
    "absolute with many slashes": "////etc/passwd",
    "absolute, then up": "{work}/../outside/secret.txt",
    "absolute, same beginning": "{work}-other/secret.txt",
    "the file system's root": "/",
    "home": "~",
    "a file in home": "~/.ssh/id_rsa",
    "another's home": "~root/.bashrc",
    "a link to a file": "to_file",
    "a link to a folder": "to_folder/secret.txt",
    "a link to a folder, up again": "to_folder/../outside/secret.txt",
    "a link to the root": "to_root/etc/passwd",
    "a link to the parent": "to_parent/outside/secret.txt",
    "a relative link": "deep/up/secret.txt",
    "a chain of links": "chain/secret.txt",
    "a dangling link": "dangling",
    "a link to proc": "to_proc/environ",
    "a loop of links": "loop_a",
    "a file in a loop of links": "loop_a/x.txt",
    "proc's environment": "/proc/self/environ",
    "proc's root": "/proc/self/root/etc/passwd",
    "proc's current folder": "/proc/self/cwd/../outside/secret.txt",
    "an open file of the process": "/proc/self/fd/0",
    "a device": "/dev/zero",
    "memory": "/dev/mem",
    "the terminal": "/dev/tty",
    "the kernel": "/sys/kernel/notes",
    "NUL in the middle": "inside.txt\0/../../outside/secret.txt",
    "NUL at the end": "../outside/secret.txt\0.md",
    "a line end": "inside.txt\n../outside/secret.txt",
    "an escape character": "\x1b[2Kinside.txt",
    "empty": "",
    "blanks": "   ",
    "a file URL": "file:///etc/passwd",
    "a file URL with one slash": "file:/etc/passwd",
    "an http URL": "http://127.0.0.1/secret.txt",
    "a bucket": "s3://bucket/secret.txt",
    "a drive": "C:\\Windows\\win.ini",
    "a drive with slashes": "C:/Windows/win.ini",
    "a share": "\\\\server\\share\\secret.txt",
    "a device path": "\\\\?\\C:\\secret.txt",
    "up with backslashes": "..\\outside\\secret.txt",
    "up with mixed separators": "deep\\..\\..\\outside/secret.txt",
    "full-width dots": "．．/outside/secret.txt",
    "full-width separator": "..／outside／secret.txt",
    "two dot leader": "‥/outside/secret.txt",
    "one dot leaders": "․․/outside/secret.txt",
    "division slash": "..∕outside∕secret.txt",
    "fraction slash": "..⁄outside⁄secret.txt",
    "full-width backslash": "..＼outside＼secret.txt",
    "up with a blank behind": ".. /outside/secret.txt",
    "up with a blank before": " ../outside/secret.txt",
    "three dots": ".../outside/secret.txt",
    "direction override": "deep/\u202etxt.terces",
    "zero width in dots": ".\u200b./outside/secret.txt",
    "zero width joined to a name": "inside\u200b.txt",
    "a lone surrogate": "inside\ud800.txt",
    "a name that is too long": "x" * 5000,
    "bytes": b"../outside/secret.txt",
    "a path object": Path("../outside/secret.txt"),
}


def snapshot(folder: Path) -> list[tuple[str, bytes]]:
    return sorted((str(each), each.read_bytes() if each.is_file() else b"") for each in folder.rglob("*"))


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_no_way_out(place, way):
    path = way.replace("{work}", str(place)) if isinstance(way, str) else way
    workspace = Workspace(place)
    outside = snapshot(place.parent / "outside")
    for attempt in (
        lambda: workspace.read_bytes(path),
        lambda: workspace.write(path, b"x"),
        lambda: workspace.append(path, b"x"),
        lambda: workspace.make_folder(path),
        lambda: workspace.existing_file(path),
        lambda: workspace.copy("inside.txt", path),
    ):
        with pytest.raises(PathError):
            attempt()
    assert snapshot(place.parent / "outside") == outside
    assert (place / "inside.txt").read_text() == "inside"


@pytest.mark.parametrize("way", [way for way in WAYS.values() if isinstance(way, str)])
def test_no_way_out_with_the_tool(place, way):
    path = way.replace("{work}", str(place))
    context = ToolContext(Workspace(place))
    outside = snapshot(place.parent / "outside")
    for action, parameters in (
        ("read", {"path": path}),
        ("read", {"path": path, "encoding": "base64"}),
        ("read_many", {"paths": [path]}),
        ("read_many", {"path": path, "pattern": "*"}),
        ("write", {"path": path, "content": "x"}),
        ("list", {"path": path}),
        ("glob", {"path": path, "pattern": "**"}),
        ("copy", {"path": path, "destination": "copied"}),
        ("copy", {"path": "inside.txt", "destination": path}),
        ("move", {"path": "inside.txt", "destination": path}),
        ("mkdir", {"path": path}),
        ("exists", {"path": path}),
        ("info", {"path": path}),
    ):
        with pytest.raises(PathError):
            filesystem.find(action).call(context, parameters)
    assert snapshot(place.parent / "outside") == outside
    assert not (place / "copied").exists()


@pytest.mark.parametrize("pattern", ["../*", "/etc/*", "deep/../../outside/*", "..", "/", "~/*", "a\0*", "．．/*", " "])
def test_no_pattern_leads_out(place, pattern):
    context = ToolContext(Workspace(place))
    for action in ("glob", "list", "read_many"):
        with pytest.raises(PathError):
            filesystem.find(action).call(context, {"pattern": pattern})


def test_a_search_does_not_follow_links_out(place):
    context = ToolContext(Workspace(place))
    assert filesystem.find("glob").call(context, {"pattern": "**/*.txt"})["items"] == ["inside.txt"]
    listed = filesystem.find("list").call(context, {"recursive": True})["items"]
    assert {item["name"]: item["type"] for item in listed}["to_file"] == "link"
    assert not [item for item in listed if "secret" in item["path"]]


@pytest.mark.parametrize("path", [".", "./", "deep/..", "{work}", "{work}/", "../work", "to_self", "extra", "holds"])
@pytest.mark.parametrize("recursive", [True, False])
def test_a_root_is_never_deleted_or_moved(place, path, recursive):
    (place / "extra" / "sub").mkdir(parents=True)
    (place / "holds" / "root").mkdir(parents=True)
    (place / "to_self").symlink_to(".")
    workspace = Workspace(place, extra_roots=(place / "extra", place / "holds" / "root"))
    context = ToolContext(workspace)
    path = path.replace("{work}", str(place))
    if path == "to_self":  # only the link goes
        assert filesystem.find("delete").call(context, {"path": path, "recursive": recursive})["count"] == 1
    else:
        with pytest.raises(PathError):
            filesystem.find("delete").call(context, {"path": path, "recursive": recursive})
        with pytest.raises(PathError):
            filesystem.find("move").call(context, {"path": path, "destination": "deep/moved"})
    assert (place / "inside.txt").exists()
    assert (place / "extra" / "sub").exists()
    assert (place / "holds" / "root").exists()


def test_deleting_and_moving_a_link_leaves_its_target(place):
    workspace = Workspace(place)
    workspace.move("to_file", "deep/moved")
    assert (place / "deep" / "moved").is_symlink()
    assert workspace.remove("deep/moved") == 1
    assert workspace.remove("to_folder", recursive=True) == 1
    assert workspace.remove("dangling") == 1
    assert (place.parent / "outside" / "secret.txt").read_text() == SECRET
    (place / "tree").mkdir()
    (place / "tree" / "out").symlink_to(place.parent / "outside")
    assert workspace.remove("tree", recursive=True) == 2
    assert (place.parent / "outside" / "secret.txt").read_text() == SECRET


def test_the_kernels_files_stay_closed_with_the_root_of_all_as_root():
    workspace = Workspace(Path("/"))
    for path in ("/proc/self/environ", "proc/self/environ", "/dev/zero", "/sys/kernel", "/dev"):
        with pytest.raises(PathError, match="holds no files of a workspace"):
            workspace.resolve(path)
    assert Workspace(Path("/dev/shm/area")).resolve("a.txt") == Path("/dev/shm/area/a.txt")


@pytest.mark.parametrize("kind", ["pipe", "socket"])
def test_what_is_no_regular_file_is_refused_without_waiting(place, kind, monkeypatch):
    path = place / "special"
    if kind == "pipe":
        os.mkfifo(path)
    else:
        monkeypatch.chdir(place)  # a socket's path may only be short
        server = socket.socket(socket.AF_UNIX)
        server.bind("special")
        server.close()
    workspace = Workspace(place)
    for attempt in (
        lambda: workspace.read_bytes("special"),
        lambda: workspace.write("special", b"x"),
        lambda: workspace.append("special", b"x"),
        lambda: workspace.copy("special", "copied"),
        lambda: workspace.copy("inside.txt", "special"),
    ):
        with pytest.raises(PathError, match="not a regular file"):
            attempt()
    assert not (place / "copied").exists()


def test_a_hard_link_is_replaced_not_written_through(place):
    os.link(place.parent / "outside" / "secret.txt", place / "hard.txt")
    workspace = Workspace(place)
    workspace.append("hard.txt", b"more")
    workspace.write("hard.txt", b"other")
    assert (place.parent / "outside" / "secret.txt").read_text() == SECRET


def test_a_folder_that_becomes_a_link_after_the_check(place):
    """The path was resolved; then somebody puts a link in the place of its folder, or of the file itself."""
    workspace = Workspace(place)
    (place / "deep" / "er" / "secret.txt").write_text("mine")
    resolved = workspace.resolve("deep/er/secret.txt")
    (place / "deep" / "er").rename(place / "away")
    (place / "deep" / "er").symlink_to(place.parent / "outside")
    for held in (workspace.folder(resolved.parent), workspace.atomic(resolved)):
        with pytest.raises(PathError, match="cannot be opened as a folder"), held:
            pytest.fail("a link was followed")
    assert (place.parent / "outside" / "secret.txt").read_text() == SECRET


def test_nothing_leaks_while_a_link_flickers(place):
    """A reader and a writer work on ``swap/secret.txt`` while ``swap`` changes between a folder and a link out."""
    (place / "folder").mkdir()
    (place / "folder" / "secret.txt").write_text("mine")
    (place / "link").symlink_to(place.parent / "outside")
    done = threading.Event()

    def flicker() -> None:
        while not done.is_set():
            for kind in ("folder", "link"):
                with contextlib.suppress(OSError):  # the writer has just made the folder itself
                    (place / kind).rename(place / "swap")
                    (place / "swap").rename(place / kind)
                if (place / "swap").is_dir():
                    shutil.rmtree(place / "swap", ignore_errors=True)

    thread = threading.Thread(target=flicker)
    thread.start()
    workspace = Workspace(place)
    seen, refused = set(), 0
    try:
        for _ in range(300):
            try:
                seen.add(workspace.read_text("swap/secret.txt"))
                workspace.write("swap/secret.txt", b"mine")
            except (PathError, FileNotFoundError):  # it leads out, or went away in the middle
                refused += 1
    finally:
        done.set()
        thread.join()
    assert seen <= {"mine"}
    assert refused, "the link was never met: the test shows nothing"
    assert (place.parent / "outside" / "secret.txt").read_text() == SECRET
    assert [each.name for each in (place.parent / "outside").iterdir()] == ["secret.txt"]


def test_sizes_are_limited(place):
    workspace = Workspace(place, max_file_bytes=10)
    (place / "big.txt").write_bytes(b"x" * 11)
    for attempt in (
        lambda: workspace.read_bytes("big.txt"),
        lambda: workspace.write("new.txt", [b"x" * 6, b"x" * 6]),
        lambda: workspace.append("inside.txt", b"x" * 6),
        lambda: workspace.copy("big.txt", "new.txt"),
        lambda: filesystem.find("read_many").call(ToolContext(workspace), {"paths": ["inside.txt"] * 2}),
    ):
        with pytest.raises(SizeLimitError):
            attempt()
    assert (place / "inside.txt").read_text() == "inside"
    assert not (place / "new.txt").exists()
    assert not [each for each in place.iterdir() if each.name.endswith(".tmp")]


@pytest.mark.parametrize(
    "path",
    ["CON", "con.txt", "a/NUL", "lpt1.log", "COM¹", "file.txt:stream", "C:relative", "//server/share", "a./b", "a /b",
     "\\\\.\\x", "x.txt."],
)  # fmt: skip
def test_what_windows_reads_otherwise(path):
    with pytest.raises(PathError):
        check_path_text(path, windows=True)


@pytest.mark.parametrize(
    "path",
    ["a.txt", "../a", ".hidden", "a..b", "..a", "a...", "~backup.txt", "./~/x", "$HOME/x", "1⁄2 cup.md",
     "議事録／2024.md", "a: b", "naïve café", "%2e%2e/x", "-rf", "a\u200db", "-", "C:", "con"],
)  # fmt: skip
def test_plain_names_are_not_refused(path):
    assert check_path_text(path, windows=False) == path
