#!/bin/bash
# SPDX-License-Identifier: GPL-2.0-or-later
# nestctl on a domain of the real libvirtd, held against what the guest, QEMU and drgn say: one kernel
# and what can be had in half a minute. scripts/libvirt-tests without --quick is the rest.
exec "${top_srcdir:-$(dirname "$0")/../..}/scripts/libvirt-tests" --quick
