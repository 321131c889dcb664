/* SPDX-License-Identifier: GPL-2.0-or-later */
/* later */
#include <stdlib.h>
#include "vmm/soft/check_private.h"
struct soft_race { int x; };
struct soft_race *soft_race_new(const struct soft_check_config *config) { (void)config; return calloc(1, sizeof(struct soft_race)); }
void soft_race_free(struct soft_race *race) { free(race); }
enum soft_answer soft_race_access(struct soft_vcpu *vcpu, uint64_t gva, uint64_t gpa, size_t bytes, enum soft_access access) { (void)vcpu; (void)gva; (void)gpa; (void)bytes; (void)access; return SOFT_OK; }
void soft_race_taken(struct soft_race *race, uint64_t pfn, uint64_t nr) { (void)race; (void)pfn; (void)nr; }
