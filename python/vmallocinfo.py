#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""Who has how much of the guest's vmalloc space, largest first: an example of nestbox.py."""

import collections
import sys

import nestbox


def main():
    with nestbox.connect(sys.argv[1] if len(sys.argv) > 1 else None) as guest:
        total = collections.Counter()
        for area in guest.areas():
            total[area.get("place", area["state"])] += int(area["end"], 16) - int(area["start"], 16)
        for place, size in total.most_common():
            print("%12d %s" % (size, place))


if __name__ == "__main__":
    main()
