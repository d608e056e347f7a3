"""Follows one log file through its rotations, by rename and by copy-and-truncate, without losing or doubling lines.

A file is known by device, inode and content. While a tail is open its inode cannot be given to another file. What
appears beside the log under a rotation name is one of: the file itself, renamed; a copy of it, of which only the
unread end is taken, once the original is emptied; or a whole generation that came and went between two looks. Each may
have been compressed meanwhile: what was read of it says which it is, and only the rest is taken.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from .log_compressed import head_of, plain_name, unpacked
from .log_siblings import Sibling, is_rotated, open_regular
from .log_tail import HEAD, Mark, Print, Raw, Tail, mark_at, print_of, restored

#: A renamed file is kept open this long after it last grew: its writer may not have noticed yet.
LINGER_SECONDS = 60.0
#: How often rotated files are listed again when they were renamed meanwhile.
SETTLE_TRIES = 5
#: Looks in which a file that was read before is looked for, when it was renamed just as it was looked for.
FIND_TRIES = 3
#: A file that was read: its key, how far, within a line that was cut, to its end.
Read = tuple[tuple[int, int], Mark, bool, bool]


class Family:
    """One log file and what its rotations leave beside it."""

    def __init__(self, path: Path, *, max_line: int, from_end: bool) -> None:
        self.path, self._max_line, self._from_end = path, max_line, from_end
        self._active: Tail | None = None
        self._draining: list[Tail] = []
        self._known: dict[tuple[int, int], Print] = {}  #: rotated files that need no reading, by their first bytes
        self._saved: list[Read] | None = None
        self._missing: list[Read] = []  #: read before, and not found again yet
        self._find_tries = FIND_TRIES
        self._settled = True
        self._first = True
        self._compressed = False  #: the restored position knows which compressed files were read
        self._unreadable: dict[tuple[int, int], int] = {}  #: compressed files that are not whole, by their size
        self.caught_up = False  #: the last look read everything that was there
        self.lost_tails = 0  #: times the unread end of an emptied file could not be found

    def read(self, now: float, budget: int) -> Raw:
        """New lines since the last look. Raises OSError when the file cannot be read."""
        lines = Raw()
        emptied = [tail for tail in self._tails() if not tail.mark.holds(tail.fd)]
        siblings = self._siblings(emptied)  # listed after the check: the copy of an emptied file is there by now
        try:
            if self._first:
                self._begin(siblings)
            self._find_missing(siblings)
            for tail in emptied:
                self._recover(tail, siblings)
            self._look_at_path()
            for tail in self._tails():
                lines.extend(self._drain(tail, now, budget))
            for sibling in [] if self._missing else siblings:  # one of them may be what is missing
                if not sibling.taken and self._is_generation(sibling):
                    tail = self._adopt(sibling, Mark())
                    self._draining.append(tail)
                    lines.extend(self._drain(tail, now, budget))
        finally:
            for sibling in siblings:
                if not sibling.taken:
                    os.close(sibling.fd)
        lines.extend(self._let_go(now))
        self._first = False
        return lines

    @property
    def empty(self) -> bool:
        """Nothing is open and nothing rotated is left that must be remembered: the log is gone."""
        return not self._tails() and not self._known and not self._missing and not self._first

    def close(self) -> None:
        for tail in self._tails():
            tail.close()
        self._active, self._draining = None, []

    # --- position across restarts ----------------------------------------------------------------------------------

    def position(self) -> dict[str, Any]:
        tails = [
            {
                "device": tail.key[0],
                "inode": tail.key[1],
                **tail.mark.saved(),
                "skipping": tail.skipping,
                "done": tail is not self._active and os.fstat(tail.fd).st_size == tail.mark.offset,
            }
            for tail in self._tails()
        ]
        tails += [
            {"device": key[0], "inode": key[1], **mark.saved(), "skipping": skipping, "done": done}
            for key, mark, skipping, done in self._missing
        ]
        return {"tails": tails, "known": [[*key, *known] for key, known in self._known.items()], "compressed": True}

    def restore(self, position: dict[str, Any]) -> None:
        """Go on where ``position`` was taken; before the first ``read``."""
        self._from_end = False
        self._compressed = bool(position.get("compressed"))
        self._known = {(device, inode): (length, digest) for device, inode, length, digest in position["known"]}
        self._saved = [
            (
                (saved["device"], saved["inode"]),
                restored(saved),
                bool(saved["skipping"]),
                bool(saved["done"]),
            )
            for saved in position["tails"]
        ]

    # --- the steps of one look -------------------------------------------------------------------------------------

    def _tails(self) -> list[Tail]:
        return [*self._draining, *([self._active] if self._active else [])]

    def _siblings(self, emptied: list[Tail]) -> list[Sibling]:
        """Rotated files that are neither open already nor known, oldest first."""
        for tries_left in reversed(range(SETTLE_TRIES)):
            names = self._rotated_names()
            found, known = self._open_siblings(sorted(name for name, _ in names), emptied)
            settled = names == self._rotated_names()
            if settled or not tries_left:
                break
            for sibling in found:  # renamed while it was looked at: a file may have been missed or seen twice
                os.close(sibling.fd)
        self._settled = settled
        self._known = known if settled else {**self._known, **known}
        return found

    def _rotated_names(self) -> set[tuple[str, int]]:
        """(name, inode) of what rotation left."""
        try:
            with os.scandir(self.path.parent) as entries:
                return {
                    (entry.name, entry.inode())
                    for entry in entries
                    if is_rotated(plain_name(entry.name), self.path.name)
                }
        except FileNotFoundError:
            return set()

    def _open_siblings(
        self, names: list[str], emptied: list[Tail]
    ) -> tuple[list[Sibling], dict[tuple[int, int], Print]]:
        """(files that must be looked at, those known before)."""
        found: list[tuple[float, Sibling]] = []
        opened = {tail.key for tail in self._tails()}
        known: dict[tuple[int, int], Print] = {}
        for name in names:
            opened_file = open_regular(self.path.parent / name, unreadable_is_absent=True)
            if opened_file is None:
                continue
            fd, state = opened_file
            key = (state.st_dev, state.st_ino)
            if key in opened:
                os.close(fd)
                continue
            opened.add(key)
            if plain_name(name) == name:
                sibling = self._plain(fd, key, state, known)
            else:
                sibling = None if plain_name(name) in names else self._text_of(fd, name, key, state, known, emptied)
                os.close(fd)
            if sibling is not None:
                found.append((state.st_mtime, sibling))
        return [sibling for _, sibling in sorted(found, key=lambda pair: pair[0])], known

    def _plain(
        self, fd: int, key: tuple[int, int], state: os.stat_result, known: dict[tuple[int, int], Print]
    ) -> Sibling | None:
        head = os.pread(fd, HEAD, 0)
        if key in self._known and print_of(head[: self._known[key][0]]) == self._known[key]:
            known[key] = self._known[key]
            os.close(fd)
            return None
        return Sibling(fd, key, state.st_size, head)

    def _text_of(
        self,
        fd: int,
        name: str,
        key: tuple[int, int],
        state: os.stat_result,
        known: dict[tuple[int, int], Print],
        emptied: list[Tail],
    ) -> Sibling | None:
        """A compressed file as its text; None for one that was read before, is being read, or is not whole (yet)."""
        head = head_of(fd, name, HEAD)
        if not head or self._unreadable.get(key) == state.st_size:
            return None
        read = next((one for one in self._known.values() if print_of(head[: one[0]]) == one), None)
        if read is None and self._first and not self._compressed:
            read = print_of(head)  # older than our look at it: of compressed files only news are read
        if read is not None:
            known[key] = read
            return None
        if any(head.startswith(tail.mark.head) for tail in self._tails() if tail.mark.head and tail not in emptied):
            return None  # the file itself is open still
        text = unpacked(fd, name)
        if text is None:
            self._unreadable[key] = state.st_size
            return None
        return Sibling(text, key, os.fstat(text).st_size, head, final=True)

    def _begin(self, siblings: list[Sibling]) -> None:
        """The first look: what is there already is old, unless a position says how far it was read."""
        if self._saved is None:
            if self._from_end:
                self._known |= {sibling.key: print_of(sibling.head) for sibling in siblings if sibling.size}
            return
        self._missing, self._saved = self._saved, None

    def _find_missing(self, siblings: list[Sibling]) -> None:
        """Go on in files that were read before. One that is not there may have been renamed a moment ago: look again.

        Of a file that was read to its end nothing can be missing; it is remembered, so that it is not read again.
        """
        missing = [one for one in self._missing if not self._resume(*one[:2], siblings, skipping=one[2])]
        self._known |= {key: mark.prints[0] for key, mark, _, done in missing if done and mark.prints is not None}
        self._missing = [one for one in missing if not one[3]]
        self._find_tries -= bool(missing)
        if not self._find_tries:
            self.lost_tails += len(self._missing)
            self._missing = []
        if not self._missing:
            self._find_tries = FIND_TRIES

    def _resume(self, key: tuple[int, int], mark: Mark, siblings: list[Sibling], *, skipping: bool) -> bool:
        """Find one file of the saved position again: in its place, renamed, or as a copy."""
        if not mark.offset:  # nothing was read of it; any file may have its inode by now
            return True
        place = self._open_path()
        if place is not None and place.key == key and self._active is None and mark.holds(place.fd):
            place.mark, place.skipping, self._active = mark, skipping, place
            return True
        if place is not None:
            place.close()
        same = next((s for s in siblings if s.key == key and not s.taken and mark.holds(s.fd)), None)
        if same is not None:
            self._draining.append(self._adopt(same, mark, skipping=skipping))
            return True
        return self._continue_in_copy(mark, siblings, skipping=skipping)

    def _recover(self, tail: Tail, siblings: list[Sibling]) -> None:
        """An emptied file: its unread end is in the copy that was made before."""
        mark, skipping = tail.mark.copy(), tail.skipping
        tail.restart()
        if self._continue_in_copy(mark, siblings, skipping=skipping):
            return
        if self._settled:
            self.lost_tails += 1
        else:
            self._missing.append((tail.key, mark, skipping, False))

    def _continue_in_copy(self, mark: Mark, siblings: list[Sibling], *, skipping: bool) -> bool:
        copy = next((s for s in siblings if not s.taken and mark.holds(s.fd)), None)
        if copy is None:
            return False
        tail = self._adopt(copy, mark, skipping=skipping)
        tail.copied = True
        self._draining.append(tail)
        return True

    def _adopt(self, sibling: Sibling, mark: Mark, *, skipping: bool = False) -> Tail:
        sibling.taken = True
        return Tail(sibling.fd, sibling.key, self._max_line, mark, skipping, copied=sibling.final)

    def _look_at_path(self) -> None:
        """Open what is under the log's name now; what was there before is drained."""
        place = self._open_path()
        if place is None:
            if self._active is not None:
                self._draining.append(self._active)
                self._active = None
            return
        if any(tail.key == place.key for tail in self._tails()):
            place.close()
            self._promote(place.key)
            return
        if self._first and self._from_end:
            place.mark = mark_at(place.fd, _line_start(place.fd))
        if self._active is not None:
            self._draining.append(self._active)
        self._active = place

    def _promote(self, key: tuple[int, int]) -> None:
        """The file under the log's name is open already; make it the active one."""
        if self._active is not None and self._active.key != key:
            self._draining.append(self._active)
            self._active = None
        if self._active is None:
            self._active = next(tail for tail in self._draining if tail.key == key)
            self._draining.remove(self._active)

    def _open_path(self) -> Tail | None:
        found = open_regular(self.path)
        if found is None:
            return None
        fd, state = found
        return Tail(fd, (state.st_dev, state.st_ino), self._max_line)

    def _drain(self, tail: Tail, now: float, budget: int) -> Raw:
        lines = tail.read(budget)
        if lines.pieces:
            tail.idle_since = None
        elif tail.idle_since is None:
            tail.idle_since = now
        return lines

    def _is_generation(self, sibling: Sibling) -> bool:
        """False for what may be a copy, whole or in the making, of a file that is open here."""
        if not sibling.size:
            return False
        heads = [tail.mark.head for tail in self._tails() if tail.mark.head]
        return not any(sibling.head.startswith(head) or head.startswith(sibling.head) for head in heads)

    def _let_go(self, now: float) -> Raw:
        """Close rotated files at their end; what stands there without a line end is a line too."""
        lines = Raw()
        for tail in list(self._draining):
            idle = tail.idle_since is not None and now - tail.idle_since >= LINGER_SECONDS
            at_end = os.fstat(tail.fd).st_size == tail.mark.offset
            if idle or (tail.copied and (at_end or tail.idle_since is not None)):
                lines.extend(tail.rest())
                if tail.mark.head:
                    self._known[tail.key] = print_of(tail.mark.head)
                tail.close()
                self._draining.remove(tail)
        return lines


def _line_start(fd: int) -> int:
    """Where the last line begins that is not finished: the end of the file, or less."""
    end = size = os.fstat(fd).st_size
    while end > 0:
        start = max(0, end - 65_536)
        found = os.pread(fd, end - start, start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        if size - start > 1 << 20:
            return size
        end = start
    return 0
