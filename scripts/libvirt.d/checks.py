# SPDX-License-Identifier: GPL-2.0-or-later
"""What scripts/libvirt-tests holds against what. Its first word is the check:

    guest SAID NESTCTL...                what the guest says of itself, and nestctl of it
    qemu ANSWERS URI DOMAIN NESTCTL...   QEMU's own walks; kept in ANSWERS, with nestctl's maps
    core SAID ANSWERS NESTCTL...         a core of the same moment
    same ANSWERS NESTCTL...              another way to the same guest
    peek ANSWERS NESTCTL...              the same, and that it is virDomainMemoryPeek()'s
    drgn CORE ANSWERS URI DOMAIN PID NESTCTL...   drgn on the core, and on the QEMU, stopped
    names URI DOMAIN NESTBOX NESTCTL     our statistics by the names virsh has for QEMU's
    changing NESTCTL...                  a guest that maps and unmaps all the time
    figures CORE URI DOMAIN NESTCTL      how fast (docs/libvirt.md)

NESTCTL... is a command line: the program with its options for the source. Prints a line for each
claim; the exit status is 1 where one does not hold.
"""

import json
import os
import random
import re
import struct
import subprocess
import sys
import tempfile
import time

PAGE = 4096
USER_END = 1 << 47
failed = False


def claim(text, problems):
    """problems: what speaks against it, an iterable of texts."""
    global failed
    problems = list(problems)
    print("%s: %s" % ("FAILED" if problems else "ok", text))
    for problem in problems[:5]:
        print("  " + problem)
    failed = failed or bool(problems)


def run(command, *words, status=(0,)):
    done = subprocess.run([*command, *words], capture_output=True, text=True, timeout=120)
    if done.returncode not in status:
        sys.exit("FAILED: %s: status %d: %s" % (" ".join(words[:4]), done.returncode, done.stderr))
    return done.stdout


def virsh(uri, *words):
    return run(["virsh", "-q", "-c", uri], *words)


def read_maps(nestctl, *words):
    """Ranges as (start, end, rights, page bytes), by address."""
    value = json.loads(run(nestctl, "--json", *words, "maps"))
    return [(int(one["start"], 16), int(one["end"], 16), one["rights"], one["page-bytes"])
            for one in value["maps"]]


def translate(nestctl, addresses):
    """{address: physical or None}, by the tables of CPU 0."""
    found = {}
    for at in range(0, len(addresses), 1000):
        part = addresses[at:at + 1000] + [0]  # never only one
        value = json.loads(run(nestctl, "--json", "--cr3", "cpu0", "translate",
                               *map(hex, part), status=(0, 1)))
        for one in value["translations"]:
            physical = one.get("physical")
            found[int(one["address"], 16)] = int(physical, 16) if physical else None
    return found


# ---- the guest's own words ----


def read_said(path):
    """The lines of /proc/vmallocinfo; {address: (physical, rights)} of the second list of pages."""
    areas, pages = [], {}
    for line in open(path):
        kind, _, rest = line.rstrip("\n").partition(" ")
        if kind == "vmallocinfo":
            areas.append(rest)
        elif kind == "again":
            pages = {}
        elif kind == "page":
            address, physical, rights = rest.split()
            pages[int(address, 16)] = (int(physical, 16), rights)
    return areas, pages


def compare_areas(areas, nestctl):
    found = run(nestctl, "areas").splitlines()
    for at, (ours, theirs) in enumerate(zip(found, areas)):
        if ours != theirs:
            yield "line %d: '%s', the guest has '%s'" % (at + 1, ours, theirs)
    if len(found) != len(areas):
        yield "%d areas, the guest has %d" % (len(found), len(areas))


def compare_pages(pages, found):
    for address, (physical, rights) in pages.items():
        # What nobody may touch is there, and no page table says so.
        want = None if rights == "---" else physical
        if found[address] != want:
            yield "%#x: %s, the guest has %s" % (address, found[address], want)


def compare_ranges(pages, ranges):
    here = {at: rights for start, end, rights, _ in ranges for at in range(start, end, PAGE)}
    there = {at: rights for at, (_, rights) in pages.items() if rights != "---"}
    for at in sorted(set(here) ^ set(there)):
        yield "%#x: mapped %s" % (at, "here alone" if at in here else "in the guest alone")
    for at in sorted(set(here) & set(there)):
        ours, theirs = here[at], there[at]
        if "u" not in ours or ("x" in ours) != ("x" in theirs) or ("w" in ours and "w" not in theirs):
            yield "%#x: rights %s, the guest has %s" % (at, ours, theirs)


def check_guest(said, *nestctl):
    areas, pages = read_said(said)
    claim("areas are the guest's /proc/vmallocinfo (%d lines)" % len(areas),
          compare_areas(areas, nestctl) if areas else ["it said nothing"])
    claim("its %d user pages are where /proc/self/pagemap has them" % len(pages),
          compare_pages(pages, translate(nestctl, list(pages))) if len(pages) > 50 else ["too few"])
    claim("maps has these pages, no other, with their rights",
          compare_ranges(pages, read_maps(nestctl, "--cr3", "cpu0", "--end", hex(USER_END))))


# ---- QEMU's own walks ----


def read_info_mem(uri, domain):
    """info mem as (start, end, writable, user)."""
    text = virsh(uri, "qemu-monitor-command", domain, "--hmp", "info mem")
    return [(int(m[1], 16), int(m[2], 16), m[4][2] == "w", m[4][0] == "u")
            for m in re.finditer(r"^(\w+)-(\w+) (\w+) (\S{3})\r?$", text, re.M)]


def merged(ranges):
    """Ours in QEMU's terms: neighbours of one right to write and to be user's are one."""
    out = []
    for start, end, rights, _ in ranges:
        kind = ("w" in rights, "u" in rights)
        if out and out[-1][1] == start and out[-1][2:] == kind:
            out[-1] = (out[-1][0], end, *kind)
        else:
            out.append((start, end, *kind))
    return out


def compare_mem(ours, theirs):
    for one in sorted(set(ours) ^ set(theirs)):
        yield "%#x-%#x w=%d u=%d: %s alone has it" % (*one, "nestctl" if one in set(ours) else "QEMU")


def draw_addresses(ranges, count):
    """Most of them mapped; ends of ranges, what lies beyond them, and anything."""
    seed = int(os.environ.get("NESTBOX_SEED", random.randrange(1 << 32)))
    print("NESTBOX_SEED=%d" % seed)
    draw = random.Random(seed)
    out = set()
    while len(out) < count:
        start, end, _, _ = draw.choice(ranges)
        kind, address = draw.random(), draw.randrange(-USER_END, USER_END)
        if kind < 0.7:
            address = draw.randrange(start, end)
        elif kind < 0.85:
            address = draw.choice([start, start - 1, end - 1, end])
        # gva2gpa takes an upper half that is none as it is.
        if address % (1 << 64) < USER_END or address % (1 << 64) >= (1 << 64) - USER_END:
            out.add(address % (1 << 64))
    return list(out)


def ask_qemu(uri, domain, addresses):
    """gva2gpa of each, in few calls of virsh."""
    found = {}
    for at in range(0, len(addresses), 250):
        part = addresses[at:at + 250]
        text = virsh(uri, "; ".join("qemu-monitor-command %s --hmp 'gva2gpa %#x'" % (domain, one)
                                    for one in part))
        said = re.findall(r"gpa: (\w+)|(Unmapped)", text)
        if len(said) != len(part):
            sys.exit("FAILED: %d answers to %d questions:\n%s" % (len(said), len(part), text[:300]))
        for address, (physical, _) in zip(part, said):
            found[address] = int(physical, 16) if physical else None
    return found


def compare_walks(ours, theirs):
    for address, physical in theirs.items():
        if ours[address] != physical:
            yield "%#x: %s, QEMU has %s" % (address, ours[address], physical)


def check_qemu(answers, uri, domain, *nestctl):
    ranges = read_maps(nestctl, "--cr3", "cpu0")
    claim("maps is QEMU's info mem (%d ranges)" % len(ranges),
          compare_mem(merged(ranges), read_info_mem(uri, domain)))
    theirs = ask_qemu(uri, domain, draw_addresses(ranges, 1000))
    mapped = sum(one is not None for one in theirs.values())
    claim("%d random addresses, %d of them mapped, walk as QEMU's gva2gpa" % (len(theirs), mapped),
          compare_walks(translate(nestctl, list(theirs)), theirs) if mapped > 500 else ["too few"])
    with open(answers, "w") as file:
        json.dump({"walks": list(theirs.items()), "maps": ranges,
                   "kernel": read_maps(nestctl)}, file)


def load_answers(path):
    with open(path) as file:
        value = json.load(file)
    return dict(value["walks"]), [tuple(one) for one in value["maps"]], \
        [tuple(one) for one in value["kernel"]]


def compare_same(walks, ranges, kernel, nestctl):
    yield from compare_walks(translate(nestctl, list(walks)), walks)
    if read_maps(nestctl, "--cr3", "cpu0") != ranges:
        yield "maps of CPU 0's tables are others"
    if read_maps(nestctl) != kernel:
        yield "maps of the kernel's tables are others"


def check_core(said, answers, *nestctl):
    areas, _ = read_said(said)
    claim("its core has the same areas", compare_areas(areas, nestctl))
    claim("and the same maps and walks", compare_same(*load_answers(answers), nestctl))
    claim("and its audit finds nothing",
          [line for line in run(nestctl, "audit", status=(0, 1)).splitlines()
           if "VIOLATIONS" in line])


def check_same(answers, *nestctl):
    claim("QEMU's own socket gives the same", compare_same(*load_answers(answers), nestctl))


def check_peek(answers, *nestctl):
    about = run(nestctl, "about")
    claim("memory is asked for page by page where the process is not known",
          [] if "asked for page by page" in about else [about.splitlines()[0]])
    claim("and is the same", compare_same(*load_answers(answers), nestctl))


# ---- drgn ----


def host_addresses(uri, domain):
    """Where QEMU's process has RAM: (physical, bytes, address), as drgn's own attach asks."""
    text = virsh(uri, "qemu-monitor-command", domain, "--hmp", "info mtree -f")
    view = [part for part in text.split("FlatView") if 'AS "memory"' in part][0]
    for first, last in re.findall(r"^ +(\w+)-(\w+) \(prio -?\d+, ram\)", view, re.M):
        said = virsh(uri, "qemu-monitor-command", domain, "--hmp", "gpa2hva 0x" + first)
        at = re.search(r"is (0x\w+)", said)
        if at:
            yield int(first, 16), int(last, 16) + 1 - int(first, 16), int(at[1], 16)


def attach_drgn(drgn, uri, domain, pid):
    """drgn on a QEMU that runs: its memory as segments that are read from the process."""
    memory = os.open("/proc/%s/mem" % pid, os.O_RDONLY)
    program = drgn.Program(drgn.host_platform)
    for start, size, host in host_addresses(uri, domain):
        program.add_memory_segment(
            start, size,
            lambda address, count, offset, physical, host=host:
                os.pread(memory, count, host + offset), physical=True)
    return program


def check_drgn(core, answers, uri, domain, pid, *nestctl):
    try:
        import drgn
    except ImportError:
        print("skipped: drgn: no python3-drgn (scripts/setup test)")
        if os.environ.get("NESTBOX_REQUIRE_LIBVIRT"):
            sys.exit(1)
        return
    walks, _, _ = load_answers(answers)
    dead = drgn.Program()
    dead.set_core_dump(core)
    live = attach_drgn(drgn, uri, domain, pid)
    # QEMU gives its cores no virtual addresses, without which drgn 0.0.22 finds no root table.
    with open(core, "rb") as file:
        said = re.search(rb"SYMBOL\(swapper_pg_dir\)=(\w+)", file.read(1 << 20))
    root = int(said[1], 16)
    page = translate(nestctl, [root])[root]
    dead.add_memory_segment(root & -PAGE, PAGE, lambda address, count, offset, physical:
                            dead.read((page & -PAGE) + offset, count, True))
    # drgn walks the kernel's tables.
    kernel = {at: gpa for at, gpa in walks.items()
              if at >= 1 << 63 and gpa is not None and gpa % PAGE <= PAGE - 16
              # Below are ROMs as well, which are in the core alone.
              and gpa >= 1 << 20}

    def read(program, address, physical):
        try:
            return program.read(address, 16, physical)
        except drgn.FaultError as error:
            return str(error)

    known = [(at, gpa) for at, gpa in kernel.items() if isinstance(read(dead, gpa, True), bytes)]
    claim("drgn reads its core at %d of these addresses as nestctl walks them" % len(known),
          ["%#x: %s, not %s" % (at, read(dead, at, False), read(dead, gpa, True))
           for at, gpa in known if read(dead, at, False) != read(dead, gpa, True)]
          if len(known) > 200 else ["too few: %d" % len(known)])
    claim("drgn attached to the QEMU itself reads the same bytes",
          ["%#x: %s, not %s" % (gpa, read(live, gpa, True), read(dead, gpa, True))
           for _, gpa in known if read(live, gpa, True) != read(dead, gpa, True)])


# ---- names ----


def names_of(text):
    return {line.strip().partition("=")[0] for line in text.splitlines() if "=" in line}


def check_names(uri, domain, nestbox, nestctl):
    groups = ["--state", "--cpu-total", "--balloon", "--vcpu", "--dirtyrate"]
    theirs = names_of(virsh(uri, "domstats", domain, *groups))
    with tempfile.TemporaryDirectory() as folder:
        socket = os.path.join(folder, "s")
        run([nestbox], "run", "--kvm", "soft", "--cpus", "2", "--memory", "32M", "--daemonize",
            "--socket", socket)
        ours = names_of(run([nestctl], "-s", socket, "domstats", *groups))
        tags = run([nestctl], "-s", socket, "dommemstat").split()[::2]
        run([nestctl], "-s", socket, "quit")
    want = {"state.state", "state.reason", "cpu.time", "cpu.user", "cpu.system", "balloon.current",
            "balloon.maximum", "balloon.rss", "vcpu.current", "vcpu.maximum", "vcpu.1.state",
            "vcpu.1.time", "vcpu.1.delay", "dirtyrate.calc_status"}
    claim("domstats has virsh's names", ["%s: virsh %s, nestctl %s" %
                                         (one, one in theirs, one in ours)
                                         for one in sorted(want) if one not in theirs & ours])
    virsh_tags = {line.split()[0] for line in virsh(uri, "dommemstat", domain).splitlines()}
    claim("dommemstat has what virsh has of QEMU, but what nobody counts",
          ["%s is missing" % one for one in virsh_tags - set(tags)])


# ---- figures ----


def best(what, repeat, command, *words):
    """The least of some runs, of a process from start to end: passed, and its processor time."""
    passed, busy = 1e9, 1e9
    for _ in range(repeat):
        start = time.perf_counter()
        process = subprocess.Popen([*command, *words], stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        passed = min(passed, time.perf_counter() - start)
        busy = min(busy, usage.ru_utime + usage.ru_stime)
        if status:
            sys.exit("FAILED: %s" % what)
    print("%-44s %8.1f ms passed, %8.1f ms of a processor" % (what, passed * 1e3, busy * 1e3))


WALK_DRGN = """
import struct, sys, time
import drgn
program = drgn.Program()
program.set_core_dump(sys.argv[1])
root, count, start = int(sys.argv[2], 16), 0, time.perf_counter()
tables = [(root, 4, 0)]
while tables:
    table, level, base = tables.pop()
    page = struct.unpack("<512Q", program.read(table, 4096, True))
    for i, entry in enumerate(page):
        if entry & 1:
            at = base | i << 12 + 9 * (level - 1)
            if level == 1 or (level < 4 and entry & 0x80):
                count += 1
            else:
                tables.append((entry & 0xffffffffff000, level - 1, at))
sys.exit(count != int(sys.argv[3]))
"""

WALK_GDB = """
import gdb, struct
memory = gdb.selected_inferior()
base = int(gdb.parse_and_eval("$offset"))
count, tables = 0, [(int(gdb.parse_and_eval("$root")), 4)]
while tables:
    table, level = tables.pop()
    page = struct.unpack("<512Q", bytes(memory.read_memory(base + table, 4096)))
    for entry in page:
        if entry & 1:
            if level == 1 or (level < 4 and entry & 0x80):
                count += 1
            else:
                tables.append((entry & 0xffffffffff000, level - 1))
gdb.execute("quit %d" % (count != int(gdb.parse_and_eval("$leaves"))))
"""


def give_virtual(core, base):
    """QEMU's core has no virtual addresses, which are all that gdb knows: those of the direct map."""
    with open(core, "r+b") as file:
        header = file.read(64)
        at, = struct.unpack_from("<Q", header, 32)
        count, = struct.unpack_from("<H", header, 56)
        for i in range(count):
            file.seek(at + 56 * i)
            kind, flags, offset, _, physical = struct.unpack("<IIQQQ", file.read(32))
            if kind == 1:
                file.seek(at + 56 * i)
                file.write(struct.pack("<IIQQQ", kind, flags, offset, base + physical, physical))


def check_figures(core, uri, domain, nestctl):
    live = [nestctl, "--connect", uri, "--domain", domain]
    dead = [nestctl, "--core", core]
    value = json.loads(run(dead, "--json", "--cr3", "cpu0", "maps"))
    registers = run(dead, "registers")
    root = re.search(r"cr3=(0x\w+)", registers)[1]
    direct = re.search(r"direct-map +(\w+)", run(dead, "about"))[1]
    print("%d leaves, %d ranges; load %.1f" % (value["leaves"], len(value["maps"]),
                                              os.getloadavg()[0]))
    best("nestctl --domain maps", 9, live, "--cr3", "cpu0", "maps")
    best("nestctl --core maps", 19, dead, "--cr3", "cpu0", "maps")
    best("nestctl --version", 9, [nestctl], "--version")
    best("virsh qemu-monitor-command --hmp 'info mem'", 9,
         ["virsh", "-q", "-c", uri, "qemu-monitor-command", domain], "--hmp", "info mem")
    best("virsh version", 9, ["virsh", "-q", "-c", uri], "version")
    best("drgn: a walk in Python", 5, [sys.executable, "-c", WALK_DRGN, core], root,
         str(value["leaves"]))
    give_virtual(core, int(direct, 16))
    with tempfile.NamedTemporaryFile("w", suffix=".py") as script:
        script.write(WALK_GDB)
        script.flush()
        best("gdb: the same", 3, ["gdb", "-q", "-nx", "-batch", "-ex", "core-file " + core,
                                  "-ex", "set $offset = " + direct, "-ex", "set $root = " + root,
                                  "-ex", "set $leaves = %d" % value["leaves"],
                                  "-ex", "source " + script.name])


# ---- a guest that changes ----


def check_changing(*nestctl):
    problems = []
    for verb in ["maps"], ["areas"], ["audit"], ["--cr3", "cpu0", "maps"]:
        for _ in range(5):
            done = subprocess.run([*nestctl, *verb], capture_output=True, text=True, timeout=60)
            if done.returncode not in (0, 1):
                problems.append("%s: status %d: %s" % (verb, done.returncode, done.stderr))
            if "VIOLATIONS" in done.stdout:
                problems.append("%s: %s" % (verb, done.stdout))
    claim("a guest that forks, maps and unmaps meanwhile: no crash, no false alarm", problems)


if __name__ == "__main__":
    globals()["check_" + sys.argv[1]](*sys.argv[2:])
    sys.exit(failed)
