"""How long files stay in Gradio's cache. (Whose they are is tested through the doors: test_gate, test_events.)"""

from __future__ import annotations

import os
import time
from pathlib import Path

from app.ui.cache import FileCache

HOUR = 3600.0


def test_what_nobody_was_shown_for_a_while_is_deleted_with_its_folder(tmp_path: Path) -> None:
    cache = FileCache(tmp_path / "cache")
    folder = cache.new_folder("ann")
    (folder / "sound.wav").write_bytes(b"x")
    cache.prune(HOUR)
    assert cache.find("ann", str(folder / "sound.wav"))
    time.sleep(0.02)
    cache.prune(0.01)
    assert not (folder / "sound.wav").exists()
    time.sleep(0.02)
    cache.prune(0.01)
    assert not folder.exists()
    assert cache.folder("ann").is_dir()


def test_a_copy_is_as_old_as_the_copying(tmp_path: Path) -> None:
    """A result of last week that is shown today must last until the page has fetched it."""
    cache = FileCache(tmp_path / "cache")
    shown = cache.new_folder("ann") / "old.png"
    shown.write_bytes(b"x")
    os.utime(shown, (0, 0))
    cache.prune(HOUR)
    assert shown.exists()


def test_the_cache_is_private_and_accounts_cannot_be_told_from_it(tmp_path: Path) -> None:
    cache = FileCache(tmp_path / "a" / "cache")
    folder = cache.folder("ann@example.com")
    assert folder.stat().st_mode & 0o777 == folder.parent.stat().st_mode & 0o777 == 0o700
    assert "ann" not in str(folder.relative_to(tmp_path))


def test_a_cache_that_is_reached_through_a_link_finds_its_files(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    cache = FileCache(tmp_path / "link" / "cache")
    file = cache.new_folder("ann") / "x.wav"
    file.write_bytes(b"x")
    assert cache.find("ann", str(file)) == file
    through = tmp_path / "link" / "cache" / file.relative_to(tmp_path / "real" / "cache")
    assert cache.find("ann", str(through)) == file
    assert cache.find("bob", str(file)) is None
