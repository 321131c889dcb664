/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which KVM this is, and the walk over its tables. */
#include <cpuid.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ept/kvm.h"
#include "ept/live_private.h"

struct live {
	enum stage2_kind kind;
	unsigned int physical_bits;
	struct live_probe probe;
	struct kcore *kcore;
	/* Of tables in this process; then kcore is NULL. */
	struct stage2_mode mode;
	struct stage2_reader reader;
};

/* Whether /sys/module/@path says yes. */
static bool parameter_is_on(const char *path)
{
	char name[96];
	FILE *file;
	int value;

	snprintf(name, sizeof(name), "/sys/module/%s", path);
	file = fopen(name, "re");
	if (!file)
		return false;
	value = fgetc(file);
	fclose(file);
	return value == 'Y' || value == '1';
}

static int find_kind(struct live *live, const char **function_out, struct error *error)
{
	if (parameter_is_on("kvm_intel/parameters/ept")) {
		live->kind = STAGE2_EPT;
		*function_out = "vmx_load_mmu_pgd";
		return 0;
	}
	if (parameter_is_on("kvm_amd/parameters/npt")) {
		live->kind = STAGE2_NPT;
		*function_out = "svm_load_mmu_pgd";
		return 0;
	}
	return error_set(error, -EOPNOTSUPP,
			 "this host's KVM has no second-stage tables: it is neither kvm_intel "
			 "with ept=Y nor kvm_amd with npt=Y");
}

static unsigned int host_physical_bits(void)
{
	unsigned int a, b, c, d;

	return __get_cpuid(0x80000008, &a, &b, &c, &d) ? a & 0xff : 36;
}

int live_open(unsigned int physical_bits, struct live **live_out, struct error *error)
{
	struct live *live = calloc(1, sizeof(*live));
	const char *function = NULL;
	int err;

	if (!live)
		return error_set(error, -ENOMEM, "no memory");
	live->physical_bits = physical_bits ? physical_bits : host_physical_bits();
	err = find_kind(live, &function, error);
	if (!err)
		err = kcore_open(&live->kcore, error);
	if (!err)
		err = live_probe_set(&live->probe, function, error);
	if (err)
		live_close(live);
	else
		*live_out = live;
	return err;
}

int live_open_tables(const struct stage2_mode *mode, const struct stage2_reader *reader,
		     struct live **live_out, struct error *error)
{
	struct live *live = calloc(1, sizeof(*live));

	if (!live)
		return error_set(error, -ENOMEM, "no memory");
	live->mode = *mode;
	live->reader = *reader;
	*live_out = live;
	return 0;
}

void live_close(struct live *live)
{
	if (!live)
		return;
	live_probe_remove(&live->probe);
	kcore_close(live->kcore);
	free(live);
}

int live_root(struct live *live, struct stage2_mode *mode_out, struct error *error)
{
	unsigned int levels;
	uint64_t root;
	int err;

	if (!live->kcore) {
		*mode_out = live->mode;
		return 0;
	}
	err = live_probe_last(&live->probe, &root, &levels, error);
	if (err)
		return err;
	if (levels < 4 || levels > 5)
		return error_set(error, -EOPNOTSUPP, "second-stage tables of %u levels", levels);
	*mode_out = stage2_mode_make(live->kind, hpa_make(root & EPT_ADDRESS_MASK),
				     live->physical_bits);
	mode_out->levels = levels;
	return 0;
}

int live_nudge(int kvm_fd, int vm_fd, unsigned int vcpu_id, struct error *error)
{
	int err = ept_kvm_load_root(kvm_fd, vm_fd, vcpu_id);

	return err ? error_set(error, err, "a further vCPU, to make KVM name its root: %s",
			       strerror(-err))
		   : 0;
}

/* ---- the walk ---- */

struct visit {
	live_leaf_fn leaf;
	void *context;
	struct live_counts counts;
};

static int on_leaf(void *context, const struct stage2_leaf *leaf)
{
	struct visit *visit = context;

	if (leaf->page_bytes == EPT_PAGE_BYTES)
		visit->counts.leaves_4k++;
	else if (leaf->page_bytes == EPT_PAGE_2M_BYTES)
		visit->counts.leaves_2m++;
	else
		visit->counts.leaves_1g++;
	return visit->leaf ? visit->leaf(visit->context, leaf) : 0;
}

static int on_bad(void *context, const struct stage2_bad_entry *bad)
{
	struct visit *visit = context;

	visit->counts.marked++;
	return bad->status == STAGE2_NO_TABLE ? -EIO : 0;
}

static int on_table(void *context, hpa_t table, unsigned int level, gpa_t gpa)
{
	struct visit *visit = context;

	(void)table;
	(void)level;
	(void)gpa;
	visit->counts.tables++;
	return 0;
}

static const uint64_t *table_at(void *context, hpa_t table)
{
	return kcore_page(context, table);
}

int live_for_each(struct live *live, gpa_t start, gpa_t end, live_leaf_fn leaf, void *context,
		  struct live_counts *counts_out, struct error *error)
{
	struct visit visit = {.leaf = leaf, .context = context};
	struct stage2_reader reader = {table_at, live->kcore};
	struct stage2_visitor visitor = {on_leaf, on_bad, on_table, &visit};
	struct stage2_mode mode;
	int err = live_root(live, &mode, error);

	if (err)
		return err;
	if (live->kcore)
		kcore_forget(live->kcore);
	else
		reader = live->reader;
	err = stage2_for_each(&mode, &reader, start, end, 0, &visitor);
	if (live->kcore)
		kcore_forget(live->kcore);
	if (err)
		return error_set(error, err, "the live tables cannot be read: %s", strerror(-err));
	if (counts_out)
		*counts_out = visit.counts;
	return 0;
}
