/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Which KVM module and second stage a host has, read from made-up sysfs trees. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/harness.h"
#include "vmm/machine/kvm.h"

static char root[64];

static void setup(void)
{
	strcpy(root, "sysfs-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(root));
}

static void teardown(void)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf '%s'", root);
	ck_assert_int_eq(system(command), 0);
}

/* Makes @root/module/@path with what it holds, and the directories on the way. */
static void put(const char *path, const char *text)
{
	char full[256];
	FILE *file;

	snprintf(full, sizeof(full), "%s/module/%s", root, path);
	for (char *at = strchr(full, '/'); at; at = strchr(at + 1, '/')) {
		*at = 0;
		(void)mkdir(full, 0700);
		*at = '/';
	}
	file = fopen(full, "w");
	ck_assert_ptr_nonnull(file);
	fputs(text, file);
	fclose(file);
}

/* Up to three files, the processor's flags, and what must be found. */
static const struct {
	const char *files[3][2];
	const char *flags;
	const char *module, *stage;
} hosts[] = {
	{{{0}}, "", "other", "shadow"},
	{{{"kvm/parameters/x", "Y\n"}}, "vmx", "other", "shadow"},
	{{{"kvm_intel/initstate", "live\n"}, {"kvm_intel/parameters/ept", "Y\n"}},
	 "",
	 "kvm_intel",
	 "ept"},
	{{{"kvm_intel/initstate", "live\n"}, {"kvm_intel/parameters/ept", "N\n"}},
	 "",
	 "kvm_intel",
	 "shadow"},
	{{{"kvm_amd/initstate", "live\n"}, {"kvm_amd/parameters/npt", "1\n"}},
	 "",
	 "kvm_amd",
	 "npt"},
	{{{"kvm_amd/initstate", "live\n"}, {"kvm_amd/parameters/npt", "0\n"}},
	 "",
	 "kvm_amd",
	 "shadow"},
	{{{"kvm_amd/initstate", "live\n"}}, "", "kvm_amd", "shadow"},
	{{{"kvm_pvm/parameters/force", "N\n"}}, "fpu sse", "kvm_pvm", "shadow"},
	/* Both built in: the processor decides. */
	{{{"kvm_intel/parameters/ept", "Y\n"}, {"kvm_amd/parameters/npt", "Y\n"}},
	 "fpu svm sse",
	 "kvm_amd",
	 "npt"},
	{{{"kvm_intel/parameters/ept", "Y\n"}, {"kvm_amd/parameters/npt", "Y\n"}},
	 "fpu vmx\n",
	 "kvm_intel",
	 "ept"},
	{{{"kvm_intel/parameters/ept", "Y\n"}, {"kvm_pvm/parameters/force", "N\n"}},
	 "vmxx avmx",
	 "kvm_pvm",
	 "shadow"},
};

START_TEST(module_and_second_stage_are_found)
{
	struct kvm_host host;

	for (int i = 0; i < 3 && hosts[_i].files[i][0]; i++)
		put(hosts[_i].files[i][0], hosts[_i].files[i][1]);
	kvm_module_probe(root, hosts[_i].flags, &host);
	ck_assert_str_eq(host.module, hosts[_i].module);
	ck_assert_str_eq(host.second_stage, hosts[_i].stage);
}
END_TEST

START_TEST(each_capability_says_what_it_gives_and_what_to_do)
{
	const struct kvm_capability *caps = kvm_capabilities();

	ck_assert_uint_gt(kvm_capabilities_count(), 10);
	ck_assert_uint_le(kvm_capabilities_count(), KVM_CAPABILITIES_MAX);
	for (size_t i = 0; i < kvm_capabilities_count(); i++) {
		ck_assert(*caps[i].name && *caps[i].gives && *caps[i].remedy);
		for (size_t j = 0; j < i; j++)
			ck_assert_int_ne(caps[i].number, caps[j].number);
	}
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("kvm");
	TCase *tcase = tcase_create("kvm");

	tcase_add_checked_fixture(tcase, setup, teardown);
	tcase_add_loop_test(tcase, module_and_second_stage_are_found, 0,
			    (int)(sizeof(hosts) / sizeof(hosts[0])));
	tcase_add_test(tcase, each_capability_says_what_it_gives_and_what_to_do);
	suite_add_tcase(suite, tcase);
	return harness_run(suite);
}
