/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Any bytes at all as the file of nestbox run --config: options within their bounds, or a text for
 * a terminal that says what is wrong. And any text as the list of --backing. The input is one file,
 * and two more up to its first NUL byte and from there on.
 */
#include <string.h>

#include "tests/fuzz/driver.h"
#include "tests/fuzz/fuzz_file.h"
#include "vmm/nestbox/guest_options.h"
#include "vmm/nestbox/run_config.h"

uint64_t fuzz_runs_default = 8000;

struct values {
	bool flag;
	const char *name;
	struct gpa_backing backing;
	struct guest_options guest;
};

static bool apply(const char *path, struct values *values, struct run_config *config)
{
	const struct cli_option options[] = {
		CLI_OPTION_JSON(&values->flag),
		{.name = "name",
		 .letter = 'n',
		 .kind = CLI_TEXT,
		 .argument = "NAME",
		 .help = "a name",
		 .value = &values->name},
		{.name = "config",
		 .kind = CLI_TEXT,
		 .argument = "FILE",
		 .help = "never from a file",
		 .value = &values->name},
		{.name = "backing",
		 .kind = CLI_CUSTOM,
		 .argument = "LIST",
		 .help = "a list",
		 .value = &values->backing,
		 .parse = run_parse_backing,
		 .expects = "a list"},
		GUEST_OPTIONS(&values->guest),
		{0},
	};
	const struct cli_command command = {
		.name = "fuzz", .operands = "", .summary = "Fuzz.", .options = options};

	return run_config_apply(config, &command, path);
}

static void check_backing(const struct gpa_backing *backing)
{
	FUZZ_CHECK(backing->kind == GPA_BACKING_MEMFD || backing->kind == GPA_BACKING_ANON);
	FUZZ_CHECK(backing->hugetlb_bytes == 0 || backing->hugetlb_bytes == EPT_PAGE_2M_BYTES ||
		   backing->hugetlb_bytes == EPT_PAGE_1G_BYTES);
	FUZZ_CHECK(!backing->numa_bind && !backing->trappable && !backing->progress);
}

static void check_values(const struct values *values)
{
	const struct guest_options *guest = &values->guest;

	FUZZ_CHECK(guest->cpus >= 1 && guest->cpus <= NB_MAX_VCPUS);
	FUZZ_CHECK(guest->nodes >= 1 && guest->nodes <= NB_MAX_NODES);
	FUZZ_CHECK(guest->memory_bytes >= MEMORY_BYTES_MIN &&
		   guest->memory_bytes <= MEMORY_BYTES_MAX);
	FUZZ_CHECK(guest->watchdog_seconds <= 86400);
	/* Strings live as long as the config. */
	FUZZ_CHECK(!values->name || strlen(values->name) < 1 << 20);
	FUZZ_CHECK(!guest->image || strlen(guest->image) < 1 << 20);
	check_backing(&values->backing);
}

static void check_said(const char *text, bool good)
{
	FUZZ_CHECK(good == (text[0] == '\0'));
	for (; *text; text++)
		FUZZ_CHECK((unsigned char)*text >= ' ' || *text == '\n');
	FUZZ_CHECK(good || text[-1] == '\n');
}

static void run_file(const uint8_t *bytes, size_t size_bytes)
{
	struct values values = {.guest = GUEST_OPTIONS_DEFAULT};
	struct run_config config = {0};
	FILE *terminal = stderr, *said;
	char path[64], *text = NULL;
	size_t length;
	int fd = fuzz_file(bytes, size_bytes, path, sizeof(path));
	bool good;

	said = open_memstream(&text, &length);
	FUZZ_CHECK(fd >= 0 && said);
	stderr = said;
	good = apply(path, &values, &config);
	stderr = terminal;
	fclose(said);
	check_said(text, good);
	check_values(&values);
	free(text);
	run_config_free(&config);
	close(fd);
}

static void run_backing(const char *text)
{
	struct gpa_backing backing = {.hugetlb_bytes = 1};

	if (run_parse_backing(text, &backing) == 0)
		check_backing(&backing);
	else
		FUZZ_CHECK(backing.hugetlb_bytes == 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes)
{
	char *text = strndup((const char *)bytes, size_bytes);
	size_t length;

	FUZZ_CHECK(text != NULL);
	length = strlen(text);
	run_file(bytes, size_bytes);
	run_file(bytes, length);
	if (length < size_bytes)
		run_file(bytes + length + 1, size_bytes - length - 1);
	if (strstr(text, "backing="))
		run_backing(strstr(text, "backing=") + 8);
	run_backing(text);
	free(text);
	return 0;
}

size_t fuzz_example(uint8_t *bytes, size_t room)
{
	static const char example[] = "# a guest\n\njson=yes\n name = box \nbacking=anon,huge=2M\n"
				      "memory=256M\ncpus=2\nnodes = 2\nwatchdog=0\ntrap-uaf=no\n"
				      "image=/a\n\0"
				      "{\"json\": true, \"name\": \"box\", \"memory\": \"1G\", "
				      "\"cpus\": 4, \"backing\": \"thp,prealloc\", \"nodes\": 1}\n";

	FUZZ_CHECK(room >= sizeof(example) - 1);
	memcpy(bytes, example, sizeof(example) - 1);
	return sizeof(example) - 1;
}
