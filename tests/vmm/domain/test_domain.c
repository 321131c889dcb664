/* SPDX-License-Identifier: GPL-2.0-or-later */
/* libvirt's domain XML: what is read, what is warned of, what is refused, what libvirt's schema
 * says. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/harness.h"
#include "vmm/domain/domain.h"
#include "vmm/domain/stats.h"

#define HEAD "<domain type='kvm'>\n<name>a</name>\n"
#define MIB  (1ull << 20)

static char warnings[4096];
static struct error error;

static void warn(void *context, const char *text)
{
	(void)context;
	strncat(warnings, text, sizeof(warnings) - strlen(warnings) - 2);
	strcat(warnings, "\n");
}

static int read_text(const char *text, struct domain *domain_out)
{
	warnings[0] = '\0';
	error.text[0] = '\0';
	return domain_read_bytes(text, strlen(text), "d.xml", warn, NULL, domain_out, &error);
}

static void assert_refused(const char *text, const char *reason)
{
	struct domain domain;

	ck_assert_int_eq(read_text(text, &domain), -EINVAL);
	ck_assert_msg(strstr(error.text, reason), "said: %s", error.text);
}

START_TEST(units_are_libvirts)
{
	static const struct {
		const char *unit;
		uint64_t bytes;
	} units[] = {
		{NULL, 3 << 10},     {"b", 3},
		{"bytes", 3},        {"KB", 3000},
		{"k", 3 << 10},      {"K", 3 << 10},
		{"KiB", 3 << 10},    {"kib", 3 << 10},
		{"MB", 3000000},     {"M", 3 << 20},
		{"MiB", 3 << 20},    {"GB", 3000000000},
		{"G", 3ull << 30},   {"GiB", 3ull << 30},
		{"TiB", 3ull << 40}, {"TB", 3000000000000},
		{"EiB", 3ull << 60},
	};
	uint64_t bytes;

	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		ck_assert_int_eq(domain_scale(3, units[i].unit, &bytes), 0);
		ck_assert_uint_eq(bytes, units[i].bytes);
	}
	ck_assert_int_eq(domain_scale(3, "", &bytes), -EINVAL);
	ck_assert_int_eq(domain_scale(3, "MiBs", &bytes), -EINVAL);
	ck_assert_int_eq(domain_scale(3, "furlong", &bytes), -EINVAL);
	ck_assert_int_eq(domain_scale(16, "EiB", &bytes), -ERANGE);
}
END_TEST

START_TEST(sets_are_libvirts)
{
	static const char *const bad[] = {"",  ",",   "1,", "3-1", "-1",   "1-",
					  "^", "128", "a",  "1 2", "^1-2", "1,,2"};
	struct domain_set set;

	ck_assert_int_eq(domain_set_parse("1-4,^3,127", &set), 0);
	ck_assert_uint_eq(domain_set_count(&set), 4);
	ck_assert(domain_set_has(&set, 4) && !domain_set_has(&set, 3));
	ck_assert(domain_set_has(&set, 127) && !domain_set_has(&set, 128));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_msg(domain_set_parse(bad[i], &set) == -EINVAL, "'%s'", bad[i]);
}
END_TEST

static const char whole[] = HEAD
	"<uuid>4DEA22B31D52D8F32516782E98AB3FA0</uuid>\n"
	"<memory unit='GiB'>1</memory>\n<currentMemory unit='MiB'>1024</currentMemory>\n"
	"<memoryBacking><hugepages><page size='2' unit='M'/></hugepages><nosharepages/><locked/>"
	"<source type='memfd'/><access mode='shared'/><allocation mode='immediate'/><discard/>"
	"</memoryBacking>\n<vcpu placement='static'>4</vcpu>\n"
	"<numatune><memnode cellid='1' mode='strict' nodeset='3'/></numatune>\n"
	"<os><type arch='x86_64'>hvm</type><kernel>/boot/guest &amp; co</kernel></os>\n"
	"<cpu><numa><cell id='0' cpus='0-2' memory='768' unit='MiB'/>"
	"<cell cpus='3' memory='262144'/></numa></cpu>\n</domain>\n";

static void assert_whole(const struct domain *domain)
{
	ck_assert_str_eq(domain->name, "a");
	ck_assert_str_eq(domain->uuid, "4dea22b3-1d52-d8f3-2516-782e98ab3fa0");
	ck_assert_uint_eq(domain->memory_bytes, 1024 * MIB);
	ck_assert_uint_eq(domain->current_bytes, 1024 * MIB);
	ck_assert_uint_eq(domain->vcpus, 4);
	ck_assert_str_eq(domain->kernel, "/boot/guest & co");
	ck_assert_int_eq(domain->source, DOMAIN_SOURCE_MEMFD);
	ck_assert_uint_eq(domain->hugepage_bytes, 2 * MIB);
	ck_assert(domain->shared && domain->immediate && domain->locked && domain->nosharepages &&
		  domain->discard);
	ck_assert_uint_eq(domain->nr_cells, 2);
	ck_assert_uint_eq(domain->cell[0].memory_bytes, 768 * MIB);
	ck_assert_uint_eq(domain->cell[1].memory_bytes, 256 * MIB);
	ck_assert_uint_eq(domain_set_count(&domain->cell[0].cpus), 3);
	ck_assert(domain_set_has(&domain->cell[1].cpus, 3));
	ck_assert(domain_set_has(&domain->cell[1].host_nodes, 3));
	ck_assert_uint_eq(domain_set_count(&domain->cell[0].host_nodes), 0);
}

START_TEST(the_memory_part_is_read)
{
	struct domain domain;

	ck_assert_msg(read_text(whole, &domain) == 0, "%s", error.text);
	ck_assert_str_eq(warnings, "");
	assert_whole(&domain);
	domain_free(&domain);
}
END_TEST

START_TEST(what_is_written_is_read_back)
{
	struct domain domain, back;
	char *text;

	ck_assert_int_eq(read_text(whole, &domain), 0);
	ck_assert_int_eq(domain_write(&domain, false, &text), 0);
	ck_assert_msg(read_text(text, &back) == 0, "%s in\n%s", error.text, text);
	ck_assert_str_eq(warnings, "");
	assert_whole(&back);
	free(text);
	domain_free(&back);
	domain_free(&domain);
}
END_TEST

/* A file of its own for virt-xml-validate; the schema's verdict is its exit status. */
static void assert_valid(const char *text)
{
	char path[] = "/dev/shm/nestbox-domain-XXXXXX", command[128];
	int fd = mkstemp(path);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
	snprintf(command, sizeof(command), "virt-xml-validate %s domain >&2", path);
	ck_assert_msg(system(command) == 0, "libvirt refuses\n%s", text);
	unlink(path);
}

START_TEST(libvirts_schema_takes_what_is_written)
{
	struct domain domain;
	char *text;

	if (system("command -v virt-xml-validate >/dev/null") != 0) {
		ck_assert_msg(!getenv("NESTBOX_REQUIRE_FORMAT"), "virt-xml-validate is missing");
		fprintf(stderr, "NOT CHECKED: virt-xml-validate is missing\n");
		return;
	}
	ck_assert_int_eq(read_text(whole, &domain), 0);
	for (int soft = 0; soft < 2; soft++) {
		ck_assert_int_eq(domain_write(&domain, soft, &text), 0);
		assert_valid(text);
		free(text);
	}
	domain_free(&domain);
	ck_assert_int_eq(read_text(HEAD "<memory>16384</memory></domain>", &domain), 0);
	ck_assert_int_eq(domain_write(&domain, true, &text), 0);
	assert_valid(text);
	free(text);
	domain_free(&domain);
}
END_TEST

START_TEST(defaults_are_libvirts)
{
	struct domain domain;

	ck_assert_int_eq(read_text(HEAD "<memory>524288</memory></domain>", &domain), 0);
	ck_assert_uint_eq(domain.memory_bytes, 512 * MIB);
	ck_assert_uint_eq(domain.current_bytes, 512 * MIB);
	ck_assert_uint_eq(domain.vcpus, 1);
	ck_assert_uint_eq(domain.nr_cells, 0);
	ck_assert_str_eq(domain.uuid, "");
	ck_assert_ptr_null(domain.kernel);
	domain_free(&domain);
}
END_TEST

static const struct {
	const char *text, *warning;
} warned[] = {
	{"<devices><disk/></devices>", "d.xml:4: <devices> is not honoured"},
	{"<features/>\n<x/>", "d.xml:5: <x> is not honoured"},
	{"<vcpu cpuset='1'>2</vcpu>", "cpuset= of <vcpu> is not honoured"},
	{"<vcpu current='1'>2</vcpu>", "all 2 vCPUs run"},
	{"<currentMemory>1024</currentMemory>", "no balloon"},
	{"<maxMemory slots='16' unit='GiB'>4</maxMemory>", "<maxMemory> is not honoured"},
	{"<memoryBacking><source type='file'/></memoryBacking>", "guest memory is a memfd"},
	{"<memoryBacking><allocation threads='4'/></memoryBacking>", "one thread allocates"},
	{"<memoryBacking><hugepages><page size='2048' nodeset='0'/></hugepages></memoryBacking>",
	 "nodeset= of <page>"},
	{"<numatune><memory mode='interleave' nodeset='0-1'/></numatune>", "mode='interleave'"},
	{"<cpu mode='host-model'><topology sockets='1'/></cpu>", "<topology> is not honoured"},
};

START_TEST(what_is_not_honoured_is_named_with_its_line)
{
	struct domain domain;
	char text[512];

	snprintf(text, sizeof(text), HEAD "<memory unit='MiB'>512</memory>%s</domain>",
		 warned[_i].text);
	/* The element stands on line 4, as the first row says. */
	memmove(strstr(text, "</memory>") + 10, strstr(text, "</memory>") + 9,
		strlen(strstr(text, "</memory>") + 9) + 1);
	strstr(text, "</memory>")[9] = '\n';
	ck_assert_msg(read_text(text, &domain) == 0, "%s", error.text);
	ck_assert_msg(strstr(warnings, warned[_i].warning), "said: %s", warnings);
	domain_free(&domain);
}
END_TEST

START_TEST(odd_memory_is_rounded_up_with_a_word)
{
	struct domain domain;

	ck_assert_int_eq(read_text(HEAD "<memory>524289</memory></domain>", &domain), 0);
	ck_assert_uint_eq(domain.memory_bytes, 516 * MIB);
	ck_assert_ptr_nonnull(strstr(warnings, "rounded up to 528384 KiB"));
	domain_free(&domain);
}
END_TEST

static const struct {
	const char *text, *reason;
} refused[] = {
	{"", "d.xml:"},
	{"<domain>", "d.xml:1:"},
	{"<network/>", "not a <domain>"},
	{"<domain/>", "no <name>"},
	{"<domain><name>a</name></domain>", "no <memory>"},
	{"<domain><name>a/b</name><memory>1</memory></domain>", "no / in it"},
	{"<!DOCTYPE domain [<!ENTITY x 'y'>]>" HEAD "<memory>524288</memory></domain>",
	 "a document type is not allowed"},
	{HEAD "<memory unit='furlong'>1</memory></domain>", "d.xml:3: unit 'furlong'"},
	{HEAD "<memory>0x10</memory></domain>", "d.xml:3: <memory> '0x10'"},
	{HEAD "<memory>-1</memory></domain>", "d.xml:3: <memory> '-1'"},
	{HEAD "<memory>99999999999999999999</memory></domain>", "out of range"},
	{HEAD "<memory unit='EiB'>17</memory></domain>", "out of range"},
	{HEAD "<memory>524288</memory><memory>524288</memory></domain>", "<memory> stands twice"},
	{HEAD "<memory>524288</memory><currentMemory>524289</currentMemory></domain>",
	 "<currentMemory> is more than <memory>"},
	{HEAD "<memory>524288</memory><maxMemory>524287</maxMemory></domain>",
	 "<maxMemory> is less than <memory>"},
	{HEAD "<memory>524288</memory><vcpu>0</vcpu></domain>", "0 vCPUs"},
	{HEAD "<memory>524288</memory><vcpu>65</vcpu></domain>", "65 vCPUs"},
	{HEAD "<memory>524288</memory><vcpu current='3'>2</vcpu></domain>", "current='3'"},
	{HEAD "<uuid>12</uuid><memory>524288</memory></domain>", "no UUID"},
	{HEAD "<memory>524288</memory><os><type>xen</type></os></domain>", "of type hvm"},
	{HEAD "<memory>524288</memory><os><kernel>k</kernel></os></domain>", "absolute path"},
	{HEAD "<memory>524288</memory><memoryBacking><hugepages/><source type='anonymous'/>"
	      "</memoryBacking></domain>",
	 "contradict each other"},
	{HEAD "<memory>524288</memory><memoryBacking><source type='anonymous'/>"
	      "<access mode='shared'/></memoryBacking></domain>",
	 "contradict each other"},
	{HEAD "<memory>524288</memory><memoryBacking><hugepages><page size='64'/></hugepages>"
	      "</memoryBacking></domain>",
	 "huge pages of 64 KiB"},
	{HEAD "<memory>524288</memory><memoryBacking><source type='ram'/></memoryBacking></domain>",
	 "memfd"},
	{HEAD "<memory>524288</memory><cpu><numa><cell memory='262144'/></numa></cpu></domain>",
	 "the cells have 262144 KiB, <memory> has 524288 KiB"},
	{HEAD "<memory>524288</memory><cpu><numa><cell memory='524287'/></numa></cpu></domain>",
	 "a multiple of 4096"},
	{HEAD "<memory>524288</memory><cpu><numa><cell cpus='0'/></numa></cpu></domain>",
	 "memory= of <cell> is missing"},
	{HEAD "<memory>524288</memory><vcpu>2</vcpu><cpu><numa><cell cpus='0' memory='262144'/>"
	      "<cell cpus='0-1' memory='262144'/></numa></cpu></domain>",
	 "CPU 0 is in cell 0 and in cell 1"},
	{HEAD "<memory>524288</memory><cpu><numa><cell cpus='0-1' memory='524288'/></numa></cpu>"
	      "</domain>",
	 "CPU 1 of 1 vCPUs"},
	{HEAD
	 "<memory>524288</memory><cpu><numa><cell id='1' memory='524288'/></numa></cpu></domain>",
	 "cell 1 where cell 0 is to come"},
	{HEAD
	 "<memory>524288</memory><numatune><memnode cellid='2' nodeset='0'/></numatune></domain>",
	 "binds cell 2 of 0"},
};

START_TEST(contradictions_are_errors_with_the_line)
{
	assert_refused(refused[_i].text, refused[_i].reason);
}
END_TEST

START_TEST(files_are_read_and_others_are_not)
{
	struct domain domain;

	ck_assert_int_eq(domain_read("/nonexistent/d.xml", warn, NULL, &domain, &error), -ENOENT);
	ck_assert_ptr_nonnull(strstr(error.text, "/nonexistent/d.xml"));
	ck_assert_int_eq(domain_read("/dev/zero", warn, NULL, &domain, &error), -EINVAL);
	ck_assert_int_eq(domain_read("/", warn, NULL, &domain, &error), -EINVAL);
}
END_TEST

/* A FIFO nobody writes to must not hold the reader. */
START_TEST(a_fifo_does_not_block)
{
	char folder[] = "/dev/shm/nestbox-fifo-XXXXXX", path[64];
	struct domain domain;

	ck_assert_ptr_nonnull(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/d.xml", folder);
	ck_assert_int_eq(mkfifo(path, 0600), 0);
	ck_assert_int_eq(domain_read(path, warn, NULL, &domain, &error), -EINVAL);
	unlink(path);
	rmdir(folder);
}
END_TEST

/* The numbers themselves are held against libvirt's headers where they are compiled. */
START_TEST(every_tag_has_the_names_virsh_prints)
{
	ck_assert_str_eq(domain_memory_tag_name(DOMAIN_MEMORY_ACTUAL_BALLOON), "actual");
	ck_assert_ptr_null(domain_memory_bulk_name(DOMAIN_MEMORY_ACTUAL_BALLOON));
	/* The one that is written otherwise in the bulk. */
	ck_assert_str_eq(domain_memory_tag_name(DOMAIN_MEMORY_LAST_UPDATE), "last_update");
	ck_assert_str_eq(domain_memory_bulk_name(DOMAIN_MEMORY_LAST_UPDATE), "balloon.last-update");
	for (int tag = 0; tag < DOMAIN_MEMORY_NR; tag++) {
		ck_assert_ptr_nonnull(domain_memory_tag_name((enum domain_memory_tag)tag));
		if (tag != DOMAIN_MEMORY_ACTUAL_BALLOON && tag != DOMAIN_MEMORY_LAST_UPDATE)
			ck_assert_str_eq(domain_memory_bulk_name((enum domain_memory_tag)tag) +
						 strlen("balloon."),
					 domain_memory_tag_name((enum domain_memory_tag)tag));
	}
}
END_TEST

START_TEST(what_goes_wrong_has_libvirts_number)
{
	ck_assert_int_eq(domain_error_of(-ENOENT), 42);
	ck_assert_int_eq(domain_error_of(-ECONNREFUSED), 42);
	ck_assert_int_eq(domain_error_of(-EINVAL), 8);
	ck_assert_int_eq(domain_error_of(-EXDEV), 38);
	ck_assert_str_eq(domain_error_name(DOMAIN_ERROR_NO_DOMAIN), "VIR_ERR_NO_DOMAIN");
	ck_assert_str_eq(domain_error_name(DOMAIN_ERROR_SYSTEM_ERROR), "VIR_ERR_SYSTEM_ERROR");
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("domain");
	TCase *tcase = tcase_create("domain");

	tcase_add_test(tcase, units_are_libvirts);
	tcase_add_test(tcase, sets_are_libvirts);
	tcase_add_test(tcase, the_memory_part_is_read);
	tcase_add_test(tcase, what_is_written_is_read_back);
	tcase_add_test(tcase, libvirts_schema_takes_what_is_written);
	tcase_add_test(tcase, defaults_are_libvirts);
	tcase_add_loop_test(tcase, what_is_not_honoured_is_named_with_its_line, 0,
			    (int)(sizeof(warned) / sizeof(warned[0])));
	tcase_add_test(tcase, odd_memory_is_rounded_up_with_a_word);
	tcase_add_loop_test(tcase, contradictions_are_errors_with_the_line, 0,
			    (int)(sizeof(refused) / sizeof(refused[0])));
	tcase_add_test(tcase, files_are_read_and_others_are_not);
	tcase_add_test(tcase, a_fifo_does_not_block);
	tcase_add_test(tcase, every_tag_has_the_names_virsh_prints);
	tcase_add_test(tcase, what_goes_wrong_has_libvirts_number);
	suite_add_tcase(suite, tcase);
	return harness_run(suite);
}
