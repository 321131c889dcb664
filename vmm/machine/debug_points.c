/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Where a debugger has the guest stop: what is set of it in memory, in the engine, in DR0 to DR7.
 */
#include <errno.h>
#include <string.h>

#include "vmm/machine/debug_private.h"
#include "vmm/soft/soft.h"

#define INT3 0xcc

/* DR7 (SDM vol. 3B 17.2.4): exact, and bit 10 that is always 1; per register enable, R/W, LEN. */
#define DR7_FIXED            0x700ull
#define DR7_ENABLE(i)        (1ull << 2 * (i))
#define DR7_TYPE(i, type)    ((uint64_t)(type) << (16 + 4 * (i)))
#define DR7_LENGTH(i, bytes) ((uint64_t)((bytes) == 8 ? 2 : (bytes)-1) << (18 + 4 * (i)))
enum { DR7_EXECUTE = 0, DR7_WRITE = 1, DR7_READ = 2 /* the soft engine's alone */, DR7_ACCESS = 3 };

static bool stops_before(const struct debug_point *point)
{
	return point->kind == DEBUG_SOFTWARE || point->kind == DEBUG_HARDWARE;
}

static bool same(const struct debug_point *a, const struct debug_point *b)
{
	return a->kind == b->kind && a->address == b->address &&
	       (stops_before(a) || a->size_bytes == b->size_bytes);
}

bool debug_watches(const struct debug_point *point, const struct insn_access *access)
{
	if (stops_before(point) || access->address >= point->address + point->size_bytes ||
	    point->address >= access->address + access->size_bytes)
		return false;
	return point->kind == DEBUG_ACCESS || (point->kind == DEBUG_WRITE && access->write) ||
	       (point->kind == DEBUG_READ && access->read);
}

/* ---- debug registers ---- */

static unsigned int type_of(const struct debug *debug, const struct debug_point *point)
{
	switch (point->kind) {
	case DEBUG_WRITE:
		return DR7_WRITE;
	case DEBUG_READ:
		return debug->way == DEBUG_ENGINE ? DR7_READ : DR7_ACCESS;
	case DEBUG_ACCESS:
		return DR7_ACCESS;
	default:
		return DR7_EXECUTE;
	}
}

/* One register for each aligned piece. */
static int take_registers(struct debug *debug, unsigned int at, unsigned int *used)
{
	const struct debug_point *point = &debug->points[at].point;
	uint64_t address = point->address, left = stops_before(point) ? 1 : point->size_bytes;

	while (left > 0) {
		uint64_t bytes = 8;

		while (address % bytes || bytes > left)
			bytes /= 2;
		if (*used == 4)
			return -ENOSPC;
		debug->dr[*used] = address;
		debug->dr_point[*used] = at;
		debug->dr7 |= DR7_ENABLE(*used) | DR7_TYPE(*used, type_of(debug, point)) |
			      DR7_LENGTH(*used, bytes);
		++*used;
		address += bytes;
		left -= bytes;
	}
	return 0;
}

/* Whether what is set needs each instruction looked at, where that is the way. */
static bool must_look(const struct debug *debug)
{
	if (debug->nr_points > 4)
		return true;
	for (unsigned int i = 0; i < debug->nr_points; i++)
		if (!stops_before(&debug->points[i].point))
			return true;
	return false;
}

int debug_arm(struct debug *debug)
{
	unsigned int used = 0;
	int err = 0;

	debug->dr7 = DR7_FIXED;
	debug->looks = debug->way == DEBUG_LOOK && must_look(debug);
	for (unsigned int i = 0; i < debug->nr_points && !debug->looks && !err; i++)
		if (debug->way == DEBUG_LOOK || debug->points[i].point.kind != DEBUG_SOFTWARE)
			err = take_registers(debug, i, &used);
	return err;
}

struct kvm_guest_debug debug_control(const struct debug *debug, const struct debug_order *order)
{
	struct kvm_guest_debug told = {.control = KVM_GUESTDBG_ENABLE};
	bool steps = order->action == DEBUG_STEP || order->action == DEBUG_RANGE;

	if (steps || debug->looks)
		told.control |= KVM_GUESTDBG_SINGLESTEP;
	if (steps && debug->blocks)
		told.control |= KVM_GUESTDBG_BLOCKIRQ;
	if (debug->way == DEBUG_PATCH)
		told.control |= KVM_GUESTDBG_USE_SW_BP;
	if (debug->dr7 != DR7_FIXED) {
		told.control |= KVM_GUESTDBG_USE_HW_BP;
		for (unsigned int i = 0; i < 4; i++)
			told.arch.debugreg[i] = debug->dr[i];
		told.arch.debugreg[7] = debug->dr7;
	}
	return told;
}

/* ---- software breakpoints ---- */

/* Puts an INT3 at the point, or takes it away. */
static int patch(struct debug *debug, struct debug_set_point *at, bool on)
{
	const uint8_t int3 = INT3;
	uint8_t *saved = &at->saved;
	struct gpa_space *space = debug->vm->space;
	int err = on ? gpa_space_read(space, at->gpa, saved, 1) : 0;

	return err ? err : gpa_space_write(space, at->gpa, on ? &int3 : saved, 1);
}

static int set_software(struct debug *debug, unsigned int vcpu, struct debug_set_point *at)
{
	int err = debug_translate(debug, vcpu, at->point.address, &at->gpa);

	if (err || debug->way == DEBUG_LOOK)
		return err;
	return debug->way == DEBUG_ENGINE ? soft_breakpoint(debug->vm->fd, at->gpa.value, true)
					  : patch(debug, at, true);
}

/* Another point may be set at the same place by another address. */
static bool shares(const struct debug *debug, const struct debug_set_point *at)
{
	for (unsigned int i = 0; i < debug->nr_points; i++) {
		const struct debug_set_point *other = &debug->points[i];

		if (other != at && other->point.kind == DEBUG_SOFTWARE &&
		    other->gpa.value == at->gpa.value)
			return true;
	}
	return false;
}

static void end_software(struct debug *debug, struct debug_set_point *at)
{
	if (debug->way == DEBUG_LOOK || shares(debug, at))
		return;
	if (debug->way == DEBUG_ENGINE)
		(void)soft_breakpoint(debug->vm->fd, at->gpa.value, false);
	else
		(void)patch(debug, at, false);
}

/* ---- points ---- */

static struct debug_set_point *find(struct debug *debug, const struct debug_point *point)
{
	for (unsigned int i = 0; i < debug->nr_points; i++)
		if (same(&debug->points[i].point, point))
			return &debug->points[i];
	return NULL;
}

int debug_insert(struct debug *debug, unsigned int vcpu, const struct debug_point *point)
{
	struct debug_set_point *at = &debug->points[debug->nr_points], *twin;
	int err = 0;

	if (point->kind > DEBUG_ACCESS || point->size_bytes == 0 ||
	    point->size_bytes > DEBUG_WATCH_SIZE_MAX)
		return -EINVAL;
	if (find(debug, point))
		return 0;
	if (debug->nr_points == DEBUG_POINTS_MAX)
		return -ENOSPC;
	*at = (struct debug_set_point){.point = *point};
	if (point->kind == DEBUG_SOFTWARE)
		err = set_software(debug, vcpu, at);
	if (err)
		return err;
	debug->nr_points++;
	/* Of two at one place the second saved the first one's INT3. */
	for (twin = debug->points; twin < at; twin++)
		if (point->kind == DEBUG_SOFTWARE && twin->point.kind == DEBUG_SOFTWARE &&
		    twin->gpa.value == at->gpa.value)
			at->saved = twin->saved;
	err = debug_arm(debug);
	if (err) {
		(void)debug_remove(debug, point);
		(void)debug_arm(debug);
	}
	return err;
}

int debug_remove(struct debug *debug, const struct debug_point *point)
{
	struct debug_set_point *at = find(debug, point);

	if (!at)
		return 0;
	if (point->kind == DEBUG_SOFTWARE)
		end_software(debug, at);
	*at = debug->points[--debug->nr_points];
	return debug_arm(debug);
}
