/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Fuzz target: any bytes as a domain's XML. What is taken can be written, read back, and then is
 * written the same. */
#include <string.h>

#include "tests/fuzz/driver.h"
#include "vmm/domain/domain.h"

uint64_t fuzz_runs_default = 5000;

static void count(void *context, const char *text)
{
	*(size_t *)context += strlen(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes)
{
	struct domain domain, back;
	struct error error = {""};
	size_t said = 0;
	char *text, *again;

	if (domain_read_bytes((const char *)bytes, size_bytes, "fuzz", count, &said, &domain,
			      &error)) {
		FUZZ_CHECK(*error.text);
		return 0;
	}
	FUZZ_CHECK(domain_write(&domain, false, &text) == 0);
	said = 0;
	FUZZ_CHECK(domain_read_bytes(text, strlen(text), "again", count, &said, &back, &error) ==
		   0);
	FUZZ_CHECK(domain_write(&back, false, &again) == 0 && !strcmp(text, again));
	free(again);
	free(text);
	domain_free(&back);
	domain_free(&domain);
	return 0;
}

size_t fuzz_example(uint8_t *bytes, size_t room)
{
	static const char text[] =
		"<domain><name>a</name><memory>8192</memory><vcpu>2</"
		"vcpu><memoryBacking><hugepages>"
		"<page size='2' unit='M'/></hugepages></memoryBacking><numatune><memnode "
		"cellid='0' "
		"nodeset='1'/></numatune><cpu><numa><cell cpus='0-1' memory='8192'/></numa></cpu>"
		"</domain>";

	FUZZ_CHECK(sizeof(text) <= room);
	memcpy(bytes, text, sizeof(text) - 1);
	return sizeof(text) - 1;
}
