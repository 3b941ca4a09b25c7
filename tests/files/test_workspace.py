from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from orchestrator_dagster.errors import FileMissingError, PathError, SizeLimitError
from orchestrator_dagster.files.glob_pattern import GlobPattern
from orchestrator_dagster.files.run_quota import RunQuota
from orchestrator_dagster.files.workspace import Workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(tmp_path)


def left_over(folder: Path) -> list[str]:
    return [each.name for each in folder.rglob("*") if each.name.endswith((".tmp", ".lock"))]


def test_written_is_what_is_read(workspace):
    written = workspace.write("a/b/ü.txt", "é\r\n\0".encode())
    assert workspace.read_text("a/b/ü.txt") == "é\r\n\0"
    assert (written.bytes, written.sha256) == (5, hashlib.sha256("é\r\n\0".encode()).hexdigest())
    assert workspace.relative(written.path) == "a/b/ü.txt"
    assert left_over(workspace.root) == []


def test_a_failed_write_leaves_the_older_file(workspace):
    workspace.write("a.txt", b"old")

    def chunks():
        yield b"new"
        raise RuntimeError("the source broke")

    with pytest.raises(RuntimeError):
        workspace.write("a.txt", chunks())
    assert workspace.read_bytes("a.txt") == b"old"
    assert left_over(workspace.root) == []


def test_modes_are_kept_and_new_files_follow_the_umask(workspace):
    path = workspace.write("secret.txt", b"1").path
    umask = os.umask(0)
    os.umask(umask)
    assert path.stat().st_mode & 0o777 == 0o666 & ~umask
    path.chmod(0o600)
    workspace.write("secret.txt", b"2")
    workspace.append("secret.txt", b"3")
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.read_bytes() == b"23"


def test_without_replace_only_one_of_many_writers_wins(workspace):
    start, won, lost = threading.Barrier(8), [], []

    def work(number: int) -> None:
        start.wait()
        try:
            workspace.write("once.txt", str(number).encode(), replace=False)
            won.append(str(number))
        except PathError as error:
            lost.append("exists already" in error.message)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert len(won) == 1
    assert lost == [True] * 7
    assert workspace.read_text("once.txt") == won[0]
    assert left_over(workspace.root) == []


def test_appends_of_threads_and_processes_are_whole_and_none_is_lost(workspace):
    code = (
        "import sys; from pathlib import Path; from orchestrator_dagster.files.workspace import Workspace\n"
        "w = Workspace(Path(sys.argv[1]))\n"
        "for n in range(15): w.append('log.txt', (sys.argv[2] * 300 + '\\n').encode())\n"
    )
    processes = [subprocess.Popen([sys.executable, "-c", code, str(workspace.root), letter]) for letter in "ab"]
    threads = [
        threading.Thread(target=lambda: [workspace.append("log.txt", b"t" * 300 + b"\n") for _ in range(15)])
        for _ in range(2)
    ]
    for each in threads:
        each.start()
    for each in (*threads, *processes):
        each.join() if isinstance(each, threading.Thread) else each.wait()
    lines = workspace.read_text("log.txt").split("\n")
    assert lines.pop() == ""
    assert sorted(lines) == sorted(["a" * 300] * 15 + ["b" * 300] * 15 + ["t" * 300] * 30)
    assert left_over(workspace.root) == []


def test_a_killed_append_leaves_no_half(workspace):
    """The process is killed after it has written half of what it appends."""
    workspace.write("log.txt", b"first\n")
    code = (
        "import os, signal, sys; from pathlib import Path\n"
        "import orchestrator_dagster.files.workspace as module\n"
        "w = module.Workspace(Path(sys.argv[1]))\n"
        "copy = module.Workspace._copy\n"
        "def half(self, chunks, handle, name):\n"
        "    copy(self, [next(iter(chunks)), b'second ha'], handle, name); handle.flush()\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "module.Workspace._copy = half\n"
        "w.append('log.txt', b'second half\\n')\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(workspace.root)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert workspace.read_bytes("log.txt") == b"first\n"
    workspace.append("log.txt", b"third\n")  # the lock went with the process
    assert workspace.read_bytes("log.txt") == b"first\nthird\n"


def test_links_inside_are_followed(workspace):
    workspace.write("real/a.txt", b"x")
    (workspace.root / "link").symlink_to("real")
    assert workspace.resolve("link/a.txt") == workspace.resolve("real/a.txt")
    workspace.write("link/b.txt", b"y")
    assert (workspace.root / "real" / "b.txt").read_bytes() == b"y"
    (workspace.root / "file_link").symlink_to("real/a.txt")
    workspace.write("file_link", b"z")
    assert (workspace.root / "real" / "a.txt").read_bytes() == b"z"
    assert (workspace.root / "file_link").is_symlink()


def test_a_root_behind_a_link_and_extra_roots(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "extra").mkdir()
    (tmp_path / "alias").symlink_to("real")
    workspace = Workspace(tmp_path / "alias", extra_roots=(tmp_path / "extra",))
    workspace.write("a.txt", b"1")
    written = workspace.write(tmp_path / "extra" / "b.txt", b"2")
    assert workspace.relative(workspace.resolve("a.txt")) == "a.txt"
    assert workspace.relative(written.path) == str(tmp_path.resolve() / "extra" / "b.txt")
    assert workspace.move("a.txt", tmp_path / "extra" / "c.txt").read_bytes() == b"1"


def test_a_root_that_does_not_exist_yet_is_made(tmp_path):
    assert Workspace(tmp_path / "new" / "root").write("a.txt", b"1").path.read_bytes() == b"1"


def test_within_a_folder(workspace):
    assert workspace.write("out/a.txt", b"1", within=Path("out")).bytes == 1
    with pytest.raises(PathError, match="leaves the folder"):
        workspace.write("a.txt", b"1", within=Path("out"))
    with pytest.raises(PathError, match="leaves the workspace"):
        workspace.write("a.txt", b"1", within=Path(".."))


def test_errors_say_what_is_there(workspace):
    workspace.write("docs/report.md", b"1")
    with pytest.raises(FileMissingError, match=r'no file "docs/reprot\.md"') as problem:
        workspace.read_bytes("docs/reprot.md")
    assert problem.value.hint == 'did you mean "report.md"?'
    with pytest.raises(PathError, match='"docs" is a folder, a file was expected'):
        workspace.read_bytes("docs")
    with pytest.raises(PathError, match='"docs" is a folder, a file was to be written there'):
        workspace.write("docs", b"1")
    with pytest.raises(PathError, match="cannot be opened as a folder: Not a directory"):
        workspace.write("docs/report.md/x.txt", b"1")
    with pytest.raises(PathError, match="Not a directory"):
        workspace.make_folder("docs/report.md")
    workspace.write("latin.txt", b"caf\xe9")
    with pytest.raises(PathError, match=r"not utf-8 text \(byte 3\)"):
        workspace.read_text("latin.txt")
    assert workspace.read_text("latin.txt", "latin-1") == "café"
    with pytest.raises(PathError, match='no encoding "utf-9"'):
        workspace.read_text("latin.txt", "utf-9")
    with pytest.raises(PathError, match="is not empty"):
        workspace.remove("docs")
    with pytest.raises(FileMissingError):
        workspace.remove("docs/nothing")
    with pytest.raises(FileMissingError):
        workspace.move("docs/nothing", "x")
    with pytest.raises(PathError, match="into itself"):
        workspace.move("docs", "docs/inner")
    with pytest.raises(PathError, match="exists already"):
        workspace.move("docs/report.md", "latin.txt", replace=False)
    with pytest.raises(PathError, match="is a folder"):
        workspace.move("latin.txt", "docs")
    with pytest.raises(SizeLimitError, match="raise the workspace resource's `max_file_bytes`"):
        Workspace(workspace.root, max_file_bytes=3).read_bytes("latin.txt")


def test_long_names(workspace):
    name = "ü" * 120 + ".txt"  # 244 bytes: a temporary name must not be longer
    assert workspace.write(name, b"1").bytes == 1
    assert workspace.append(name, b"2").bytes == 2


@pytest.mark.parametrize(
    ("pattern", "path", "fits"),
    [
        ("*.md", "a.md", True), ("*.md", "d/a.md", False), ("**/*.md", "a.md", True), ("**/*.md", "d/e/a.md", True),
        ("d/**", "d/e/a.md", True), ("d/**", "d", False), ("d/**/a.md", "d/a.md", True), ("?.md", "ab.md", False),
        ("[ab].md", "b.md", True), ("[!ab].md", "b.md", False), ("*", ".git", False), (".*", ".git", True),
        ("**", "d/.git/x", False), ("*.MD", "a.md", False),
        ("./d/*", "d/a", True), ("**/d/**/*.md", "x/d/y/z.md", True),
    ],
)  # fmt: skip
def test_patterns(pattern, path, fits):
    assert GlobPattern(pattern).matches(path.split("/")) is fits


@settings(deadline=None)
@given(st.lists(st.sampled_from(["a", "b", ".c"]), min_size=1, max_size=6), st.data())
def test_a_pattern_made_from_a_path_fits_it(names, data):
    parts = [name if name.startswith(".") else data.draw(st.sampled_from([name, "*", "?", "[ab]"])) for name in names]
    assert GlobPattern("/".join(parts)).matches(names)
    assert GlobPattern("**/" * 30 + "*", hidden=True).matches(names)
    assert GlobPattern("**", hidden=True).matches(names)


def test_a_run_may_write_so_much_in_all(tmp_path):
    quota = RunQuota(tmp_path / "book" / "written", 100)
    one, two = (Workspace(tmp_path / name, quota=quota) for name in ("a", "b"))
    for workspace in (one, two):
        workspace.root.mkdir()
    one.write("x.txt", b"x" * 60)
    two.write("y.txt", b"y" * 30)
    one.write("x.txt", b"z" * 10)
    with pytest.raises(SizeLimitError, match=r'1 bytes of "z.txt" the run has written 101 bytes, .* 100 for all of it'):
        one.write("z.txt", b"z")
    assert sorted(path.name for path in tmp_path.rglob("*.*")) == ["x.txt", "y.txt"]  # no half file is left
    assert (one.root / "x.txt").read_bytes() == b"z" * 10


def test_processes_of_a_run_count_together(tmp_path):
    code = (
        "import sys; from pathlib import Path; from orchestrator_dagster.files.run_quota import RunQuota\n"
        "quota = RunQuota(Path(sys.argv[1]), 10**6)\n"
        "for _ in range(300): quota.add(7, 'x')"
    )
    book = tmp_path / "written"
    running = [subprocess.Popen([sys.executable, "-c", code, str(book)]) for _ in range(3)]
    assert [one.wait() for one in running] == [0, 0, 0]
    assert RunQuota(book, 10**6).add(0, "x") == 3 * 300 * 7
