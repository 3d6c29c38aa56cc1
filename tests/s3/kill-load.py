# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs on a mount whose daemon is killed while they read and write, and what must be there afterwards.

usage: kill-load.py load MOUNT KEPT SEED PID    reads, edits and writes on MOUNT, and kills PID after a part of it
       kill-load.py compare MOUNT KEPT          every file of KEPT is the same on MOUNT

KEPT has what was promised: a file is in it from before it is written, and counts once it was closed (a file that was not is taken away again). Of an edit that was
not closed either content is right; compare takes over which it is. Where the kill falls is a part of the bytes to be read, so that it does not depend on the
machine's speed, and then now and then some time more, for what is done by the clock.
"""
import concurrent.futures
import contextlib
import os
import random
import signal
import sys
import threading
import time

BLOCK = 4096
PATIENCE_S = 120
WORK = 1.2  # of the bytes there are, so many are read before the latest kill
LATER_S = (0, 0.03, 1.6)  # and then it comes within so long
MADE_MAX = 5


class Load:
    def __init__(self, mount, kept, seed):
        self.mount, self.kept, self.seed = mount, kept, seed
        self.read_bytes, self.killed, self.wrong = 0, False, []
        self.lock = threading.Lock()
        self.files = sorted(f for f in os.listdir(kept) if not f.startswith((".", "edited", "made")))

    def random(self, name):
        return random.Random(f"{self.seed}/{name}")

    def check(self, name, off, got):
        with open(f"{self.kept}/{name}", "rb") as f:
            if os.pread(f.fileno(), len(got), off) != got:
                raise AssertionError(f"{name}: what is read at {off} differs")
        with self.lock:
            self.read_bytes += len(got)

    def whole(self, r, step):
        """Whole files one after the other, so that is read ahead."""
        for name in r.sample(self.files, len(self.files)):
            with open(f"{self.mount}/{name}", "rb", buffering=0) as f:
                off = 0
                while got := f.read(step):
                    self.check(name, off, got)
                    off += len(got)
                if off != os.path.getsize(f"{self.kept}/{name}"):
                    raise AssertionError(f"{name} ends at {off}")

    def here_and_there(self, r):
        """Some reads anywhere in one file."""
        name = r.choice(self.files)
        size = os.path.getsize(f"{self.kept}/{name}")
        with open(f"{self.mount}/{name}", "rb", buffering=0) as f:
            for _ in range(r.randrange(1, 6)):
                off = r.randrange(size)
                self.check(name, off, os.pread(f.fileno(), r.randrange(1, 300000), off))

    def make(self, r):
        """A new file, or one of those goes."""
        made = [f for f in os.listdir(self.kept) if f.startswith("made")]
        if len(made) >= MADE_MAX:
            name = r.choice(made)
            os.unlink(f"{self.kept}/{name}")
            os.unlink(f"{self.mount}/{name}")
        name = f"made-{self.seed}-{r.randrange(1 << 40):x}"
        data = r.randbytes(r.choice((300, 20000, 150000, 700000)))
        with open(f"{self.kept}/{name}", "wb") as f:
            f.write(data)
        try:
            with open(f"{self.mount}/{name}", "wb", buffering=0) as f:
                f.write(data)
        except OSError:
            os.unlink(f"{self.kept}/{name}")
            raise
        time.sleep(r.random() / 4)

    def edit(self, r):
        """A block of a stored file, which may be in the bucket alone, is another."""
        name = r.choice([f for f in os.listdir(self.kept) if f.startswith("edited")])
        at = r.randrange(os.path.getsize(f"{self.kept}/{name}") // BLOCK) * BLOCK
        data = r.randbytes(BLOCK)
        with open(f"{self.kept}/.pending", "wb") as f:
            f.write(f"{name} {at}\n".encode() + data)
        with open(f"{self.mount}/{name}", "r+b", buffering=0) as f:
            f.seek(at)
            f.write(data)
        with open(f"{self.kept}/{name}", "r+b") as f:
            f.seek(at)
            f.write(data)
        os.unlink(f"{self.kept}/.pending")
        time.sleep(r.random() / 2)

    def again(self, name, step, *args):
        """A program that goes on until the kill, and must not fail before."""
        r = self.random(name)
        try:
            while not self.killed:
                step(r, *args)
        except OSError as e:
            if not self.killed:
                self.wrong.append(f"{name}: {e}")
        except AssertionError as e:
            self.wrong.append(f"{name}: {e}")

    def run(self, pid):
        r = self.random("kill")
        until = r.random() * WORK * sum(os.path.getsize(f"{self.kept}/{f}") for f in self.files)
        later = r.random() * r.choice(LATER_S)
        programs = [("whole", self.whole, 65536), ("large", self.whole, 1 << 20), ("random", self.here_and_there),
                    ("more", self.here_and_there), ("make", self.make), ("edit", self.edit)]
        threads = [threading.Thread(target=self.again, args=p) for p in programs]
        for t in threads:
            t.start()
        end = time.monotonic() + PATIENCE_S
        while self.read_bytes < until and not self.wrong:
            if time.monotonic() > end:
                self.wrong.append(f"{self.read_bytes} of {until} bytes were read in {PATIENCE_S} s")
            time.sleep(0.002)
        time.sleep(later)
        self.killed = True
        os.kill(pid, signal.SIGKILL)
        for t in threads:
            t.join()
        print(f"killed after {self.read_bytes >> 10} KiB and {later:.3f} s more")


def settle(mount, kept):
    """Which content an edit that was under way has: the old one or the new one."""
    with contextlib.suppress(FileNotFoundError), open(f"{kept}/.pending", "rb") as f:
        name, at = f.readline().decode().split()
        data = f.read()
        with open(f"{mount}/{name}", "rb") as g:
            got = os.pread(g.fileno(), BLOCK, int(at))
        if len(data) == BLOCK and got == data:
            with open(f"{kept}/{name}", "r+b") as g:
                os.pwrite(g.fileno(), data, int(at))
        os.unlink(f"{kept}/.pending")


def differs(mount, kept, name):
    try:
        with open(f"{kept}/{name}", "rb") as a, open(f"{mount}/{name}", "rb") as b:
            want, got = a.read(), b.read()
    except OSError as e:
        return f"{name}: {e}"
    at = next((i for i, (x, y) in enumerate(zip(want, got)) if x != y), None) if want != got else None
    return None if want == got else f"{name}: {len(got)} bytes of {len(want)}, other ones from {at} on"


def compare(mount, kept):
    settle(mount, kept)
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        names = sorted(os.listdir(kept))
        return [d for d in pool.map(lambda name: differs(mount, kept, name), names) if d]


if sys.argv[1] == "load":
    load = Load(*sys.argv[2:5])
    load.run(int(sys.argv[5]))
    wrong = load.wrong
else:
    wrong = compare(*sys.argv[2:4])
for line in wrong:
    print(line)
sys.exit(bool(wrong))
