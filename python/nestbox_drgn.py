#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""drgn's helpers for a core of a nestbox guest: its areas, holes and frames as drgn objects.

    import nestbox_drgn

    program = nestbox_drgn.open_core("guest.core")
    for area in nestbox_drgn.areas(program):
        print(nestbox_drgn.area_line(program, area))

By itself it prints the areas as /proc/vmallocinfo does: nestbox_drgn.py CORE [IMAGE]. Types come from
the guest's ELF image, which make install puts beside this module's folder; a core of another image
wants that one. A dead guest's lists may be broken: each ends where it comes back to itself.
"""

import bisect
import os
import struct
import sys

import drgn

PAGE_SIZE = 4096
KINDS = (
    ("VM_IOREMAP", 0x1, "ioremap"),
    ("VM_ALLOC", 0x2, "vmalloc"),
    ("VM_MAP", 0x4, "vmap"),
    ("VM_USERMAP", 0x8, "user"),
    ("VM_DMA_COHERENT", 0x10, "dma-coherent"),
)


def _image():
    here = os.path.dirname(os.path.abspath(__file__))
    for path in ("../nestbox-guest", "../build/guest/nestbox-guest"):
        path = os.path.join(here, path)
        if os.path.exists(path):
            return path
    raise FileNotFoundError("the guest's ELF image is not found: say where it is")


class Symbols:
    """The symbols of an ELF image where the guest has them: drgn may move them."""

    def __init__(self, path):
        with open(path, "rb") as file:
            data = file.read()
        if data[:6] != b"\x7fELF\x02\x01":
            raise ValueError("%s is no ELF image of 64 bits" % path)
        (first,), (size, count) = struct.unpack_from("<Q", data, 40), struct.unpack_from("<HH", data, 58)
        sections = [struct.unpack_from("<IIQQQQIIQQ", data, first + i * size) for i in range(count)]
        self._named, self._placed = {}, []
        for section in sections:
            if section[1] == 2:  # SHT_SYMTAB
                self._read(data, section, sections[section[6]])
        self._placed.sort()

    def _read(self, data, table, strings):
        for at in range(table[4], table[4] + table[5], 24):
            name, info, _, where, value, size = struct.unpack_from("<IBBHQQ", data, at)
            begin = strings[4] + name
            name = data[begin : data.index(b"\0", begin)].decode("ascii", "replace")
            if where == 0 or not name or info & 0xF > 2:
                continue
            self._named[name] = value
            if size:
                self._placed.append((value, size, name))

    def address(self, name):
        return self._named[name]

    def place(self, address):
        """symbol+offset/size, or the address in hexadecimal."""
        at = bisect.bisect(self._placed, (address, 1 << 64, "")) - 1
        if at >= 0:
            value, size, name = self._placed[at]
            if address - value < size:
                return "%s+%#x/%#x" % (name, address - value, size)
        return hex(address)


_symbols = {}  # of each program


def open_core(path, image=None):
    """A drgn.Program of the core, with the types of the guest's image."""
    program = drgn.Program()
    program.set_core_dump(path)
    image = image or _image()
    _symbols[program] = Symbols(image)
    program.load_debug_info([image])
    return program


def machine(program):
    """The guest's struct machine: all it has."""
    address = _symbols[program].address("machine")
    return drgn.Object(program, "struct machine", address=address)


def mm(program):
    """The guest's struct mm."""
    return machine(program).mm


def _list(program, head, kind, member):
    """Each object of a struct list_head, once."""
    seen = set()
    end = head.address_of_().value_()
    at = head.next
    while at.value_() != end and at.value_() not in seen:
        seen.add(at.value_())
        yield drgn.container_of(at, program.type(kind), member)
        at = at.next


def tiles(program):
    """Every struct vmap_area, by address: the whole address space."""
    return _list(program, mm(program).vmap.tiles, "struct vmap_area", "tile")


def vm_struct(program, area):
    """A busy area's bookkeeping, a struct vm_struct *; NULL for a range of vm_map_ram()."""
    # Where a tile is defined, that type is only declared.
    return drgn.cast(program.type("struct vm_struct *"), area.vm)


def _in_state(program, state):
    wanted = program.constant(state).value_()
    return (tile for tile in tiles(program) if tile.state.value_() == wanted)


def areas(program):
    """The busy tiles, by address."""
    return _in_state(program, "VMAP_AREA_BUSY")


def lazy(program):
    """Ranges that were freed and are not given back yet, by address."""
    return _in_state(program, "VMAP_AREA_LAZY")


def holes(program):
    """The free tiles, by address."""
    return _in_state(program, "VMAP_AREA_FREE")


def find_area(program, address):
    """The tile that [va_start, va_end) holds the address in, or None."""
    for tile in tiles(program):
        if tile.va_start.value_() <= address < tile.va_end.value_():
            return tile
    return None


def pfn_to_page(program, pfn):
    """The struct page of a frame number."""
    return mm(program).memmap + pfn


def page_to_pfn(program, page):
    """The frame number of a struct page *."""
    return (page.value_() - mm(program).memmap.value_()) // program.type("struct page").size


def area_pages(program, area):
    """The frame numbers of a busy area, in order; [] where it has none of its own."""
    vm = vm_struct(program, area)
    if not vm:
        return []
    count = vm.nr_pages.value_()
    directory = vm.array.value_() == program.constant("VM_ARRAY_DIRECTORY").value_()
    pointers = []
    for at in range(0, count, 512):
        some = min(512, count - at)
        table = vm.pages[at // 512].value_() if directory else vm.pages.value_() + 8 * at
        data = program.read(table, 8 * some)
        pointers += [int.from_bytes(data[8 * i : 8 * i + 8], "little") for i in range(some)]
    size = program.type("struct page").size
    first = mm(program).memmap.value_()
    return [(pointer - first) // size for pointer in pointers]


def place(program, address):
    """An address of the guest's code as symbol+offset/size, or in hexadecimal."""
    return _symbols[program].place(int(address))


def area_line(program, area):
    """The area as a line of /proc/vmallocinfo."""
    start, end = area.va_start.value_(), area.va_end.value_()
    words = ["0x%016x-0x%016x %7d" % (start, end, end - start)]
    vm = vm_struct(program, area)
    if not vm:
        return words[0] + " vm_map_ram"
    if vm.caller:
        words.append(place(program, vm.caller))
    if vm.nr_pages:
        words.append("pages=%d" % vm.nr_pages)
    words += [name for _, bit, name in KINDS if vm.flags.value_() & bit]
    return " ".join(words)


def main():
    if len(sys.argv) not in (2, 3):
        print("usage: nestbox_drgn.py CORE [IMAGE]", file=sys.stderr)
        return 2
    try:
        program = open_core(*sys.argv[1:])
    except (OSError, ValueError, LookupError, drgn.MissingDebugInfoError) as error:
        print("nestbox_drgn.py: %s: %s" % (sys.argv[1], error), file=sys.stderr)
        return 2
    for area in areas(program):
        print(area_line(program, area))
    return 0


if __name__ == "__main__":
    sys.exit(main())
