# SPDX-License-Identifier: GPL-3.0-or-later
"""A crowd of programs on a mount, several on each core, whose quick requests meet slow ones on the same core and on the same files.

usage: crowd.py FOLDER SECONDS [noseek]
It fails when a call fails, when what is read is not what was written, or when someone is not back in time: a request that is never answered.
"""
import os
import random
import signal
import sys
import time

PROGRAMS_PER_CORE = 4
PATIENCE_S = 60  # for what takes milliseconds
SHARED = 6
BLOCKS = 8  # of each program in each shared file
SEEK = "noseek" not in sys.argv
BLOCK = 4096


def pattern(seed, size):
    return (b"%016d" % seed) * (size // 16)


def check(what, ok):
    if not ok:
        raise AssertionError(what)


def own_file(top, me, turn):
    """Made, synced, renamed over another, read again, its holes asked for."""
    temporary, name = f"{top}/{me}.new", f"{top}/{me}"
    data = pattern(me * 1000000 + turn, random.choice([16, BLOCK, 3 * BLOCK, 40 * BLOCK]))
    with open(temporary, "wb", buffering=0) as f:
        f.write(data)
        if turn % 3 == 0:
            os.fsync(f.fileno())
        if SEEK:
            check("SEEK_DATA", os.lseek(f.fileno(), 0, os.SEEK_DATA) == 0)
        f.seek(0)
    os.rename(temporary, name)
    with open(name, "rb", buffering=0) as f:
        check("what was renamed", f.read(len(data) + 1) == data)
    if turn % 5 == 0:
        with open(name, "r+b", buffering=0) as f:
            f.truncate(16)
            f.truncate(BLOCK)
            check("after truncate", f.read(BLOCK) == data[:16] + bytes(BLOCK - 16))
    if turn % 7 == 0:
        os.unlink(name)
        check("after unlink", not os.path.exists(name))


def shared_file(top, me, count):
    """One of a few that all write, read, sync and ask about at a time; each block has one writer."""
    name = f"{top}/shared{random.randrange(SHARED)}"
    fd = os.open(name, os.O_RDWR | os.O_CREAT, 0o644)
    at = (random.randrange(BLOCKS) * count + me) * BLOCK
    try:
        os.pwrite(fd, pattern(me, BLOCK), at)
        check("own block", os.pread(fd, BLOCK, at) == pattern(me, BLOCK))
        check("size", os.fstat(fd).st_size >= at + BLOCK)
        if SEEK:
            check("data where something was written", os.lseek(fd, at, os.SEEK_DATA) == at)
            check("no hole before the end", at < os.lseek(fd, at, os.SEEK_HOLE) <= BLOCKS * count * BLOCK)
        what = random.randrange(8)
        if what == 0:
            os.fsync(fd)
        elif what == 1:
            os.posix_fallocate(fd, at, BLOCK)
        elif what == 2:
            other = os.open(f"{top}/copy{me}", os.O_RDWR | os.O_CREAT, 0o644)
            os.copy_file_range(fd, other, BLOCK, at, 0)
            os.close(other)
    finally:
        os.close(fd)


def names(top, me):
    folder = f"{top}/folder{me}.{os.getpid()}"
    os.mkdir(folder)
    for i in range(8):
        os.close(os.open(f"{folder}/{i}", os.O_WRONLY | os.O_CREAT, 0o600))
    os.rename(folder, folder + ".moved")
    check("names", sorted(os.listdir(folder + ".moved")) == [str(i) for i in range(8)])
    sync = os.open(folder + ".moved", os.O_RDONLY)
    os.fsync(sync)
    os.close(sync)
    for i in range(8):
        os.stat(f"{folder}.moved/{i}")
        os.unlink(f"{folder}.moved/{i}")
    os.rmdir(folder + ".moved")


def burst(top, me):
    """Quick requests by some, slow ones by others, on the same cores: replies of two threads to one ring as close together as can be."""
    with open(f"{top}/burst{me}", "w") as f:
        for i in range(200):
            if me // 2 % 2:
                os.fsync(f.fileno())
            else:
                check("no such name", not os.path.exists(f"{top}/none{me}.{time.monotonic_ns()}"))


def program(top, me, count, core, seconds):
    random.seed(me)
    os.sched_setaffinity(0, {core})
    end = time.monotonic() + seconds
    turn = 0
    while time.monotonic() < end:
        turn += 1
        own_file(top, me, turn)
        shared_file(top, me, count)
        if turn % 4 == 0:
            names(top, me)
        burst(top, me)


def start(top, me, count, core, seconds):
    pid = os.fork()
    if pid:
        return pid
    try:
        program(top, me, count, core, seconds)
        os._exit(0)
    except BaseException as e:
        print(f"program {me} on core {core}: {type(e).__name__}: {e}", file=sys.stderr, flush=True)
        os._exit(1)


def wait(children, deadline):
    bad = 0
    while children and time.monotonic() < deadline:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if pid:
            children.remove(pid)
            bad += status != 0
        else:
            time.sleep(0.05)
    for pid in children:
        with open(f"/proc/{pid}/wchan") as f:
            print(f"process {pid} is not back: it waits in {f.read()}", file=sys.stderr)
        os.kill(pid, signal.SIGKILL)
    return bad + len(children)


def main():
    top, seconds = sys.argv[1], float(sys.argv[2])
    cores = sorted(os.sched_getaffinity(0))
    count = len(cores) * PROGRAMS_PER_CORE
    children = [start(top, i, count, cores[i % len(cores)], seconds) for i in range(count)]
    sys.exit(1 if wait(children, time.monotonic() + seconds + PATIENCE_S) else 0)


main()
