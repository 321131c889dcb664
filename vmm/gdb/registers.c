/* SPDX-License-Identifier: GPL-2.0-or-later */
/* One table: which registers there are, where each is kept, how it is written of. */
#include "vmm/gdb/registers.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct row {
	const char *name, *type;
	uint16_t offset; /* in struct debug_registers, as many bytes as @kept */
	uint8_t kept, bytes;
	enum { PLAIN, FIXED, TAGS, GS_BASE } how; /* FIXED: not to be written */
	bool fpu;
};

#define AT(field) offsetof(struct debug_registers, field)
#define GENERAL(reg_name, reg_type)                                           \
	{                                                                     \
		.name = #reg_name, .type = (reg_type), .kept = 8, .bytes = 8, \
		.offset = AT(regs.reg_name)                                   \
	}
#define SEGMENT(reg_name)                                                                \
	{                                                                                \
		.name = #reg_name, .type = "int32", .kept = 2, .bytes = 4, .how = FIXED, \
		.offset = AT(sregs.reg_name.selector)                                    \
	}
#define SYSTEM(reg_name, reg_type, field)                                      \
	{                                                                      \
		.name = (reg_name), .type = (reg_type), .kept = 8, .bytes = 8, \
		.offset = AT(sregs.field)                                      \
	}
#define STACK(i)                                                                           \
	{                                                                                  \
		.name = "st" #i, .type = "i387_ext", .kept = 10, .bytes = 10, .fpu = true, \
		.offset = AT(fpu.fpr[i])                                                   \
	}
#define FLOAT(reg_name, field, field_bytes, way)                                                   \
	{                                                                                          \
		.name = (reg_name), .type = "int", .kept = (field_bytes), .bytes = 4, .fpu = true, \
		.how = (way), .offset = AT(fpu.field)                                              \
	}
#define VECTOR(i)                                                                         \
	{                                                                                 \
		.name = "xmm" #i, .type = "vec128", .kept = 16, .bytes = 16, .fpu = true, \
		.offset = AT(fpu.xmm[i])                                                  \
	}

static const struct row rows[] = {
	GENERAL(rax, "int64"),
	GENERAL(rbx, "int64"),
	GENERAL(rcx, "int64"),
	GENERAL(rdx, "int64"),
	GENERAL(rsi, "int64"),
	GENERAL(rdi, "int64"),
	GENERAL(rbp, "data_ptr"),
	GENERAL(rsp, "data_ptr"),
	GENERAL(r8, "int64"),
	GENERAL(r9, "int64"),
	GENERAL(r10, "int64"),
	GENERAL(r11, "int64"),
	GENERAL(r12, "int64"),
	GENERAL(r13, "int64"),
	GENERAL(r14, "int64"),
	GENERAL(r15, "int64"),
	GENERAL(rip, "code_ptr"),
	{.name = "eflags", .type = "x64_eflags", .kept = 4, .bytes = 4, .offset = AT(regs.rflags)},
	SEGMENT(cs),
	SEGMENT(ss),
	SEGMENT(ds),
	SEGMENT(es),
	SEGMENT(fs),
	SEGMENT(gs),
	SYSTEM("fs_base", "int64", fs.base),
	SYSTEM("gs_base", "int64", gs.base),
	{.name = "k_gs_base",
	 .type = "int64",
	 .kept = 8,
	 .bytes = 8,
	 .how = GS_BASE,
	 .offset = AT(kernel_gs_base)},
	SYSTEM("cr0", "x64_cr0", cr0),
	SYSTEM("cr2", "int64", cr2),
	SYSTEM("cr3", "int64", cr3),
	SYSTEM("cr4", "x64_cr4", cr4),
	SYSTEM("cr8", "int64", cr8),
	SYSTEM("efer", "x64_efer", efer),
	STACK(0),
	STACK(1),
	STACK(2),
	STACK(3),
	STACK(4),
	STACK(5),
	STACK(6),
	STACK(7),
	FLOAT("fctrl", fcw, 2, PLAIN),
	FLOAT("fstat", fsw, 2, PLAIN),
	FLOAT("ftag", ftwx, 1, TAGS),
	FLOAT("fiseg", last_ip, 0, FIXED),
	FLOAT("fioff", last_ip, 4, FIXED),
	FLOAT("foseg", last_dp, 0, FIXED),
	FLOAT("fooff", last_dp, 4, FIXED),
	FLOAT("fop", last_opcode, 2, FIXED),
	VECTOR(0),
	VECTOR(1),
	VECTOR(2),
	VECTOR(3),
	VECTOR(4),
	VECTOR(5),
	VECTOR(6),
	VECTOR(7),
	VECTOR(8),
	VECTOR(9),
	VECTOR(10),
	VECTOR(11),
	VECTOR(12),
	VECTOR(13),
	VECTOR(14),
	VECTOR(15),
	FLOAT("mxcsr", mxcsr, 4, PLAIN),
};

#define NR_ROWS      (sizeof(rows) / sizeof(rows[0]))
#define FIRST_VECTOR "xmm0"

unsigned int gdb_registers_count(void)
{
	return NR_ROWS;
}

static bool is_known(const struct debug_registers *registers, const struct row *row)
{
	return row->how == GS_BASE ? registers->have_kernel_gs_base
				   : !row->fpu || registers->have_fpu;
}

/* The two bits for each x87 register, of the one that is kept. */
static uint32_t tags(uint8_t abridged)
{
	uint32_t full = 0;

	for (unsigned int i = 0; i < 8; i++)
		if (!(abridged >> i & 1))
			full |= 3u << 2 * i;
	return full;
}

void gdb_register_get(const struct debug_registers *from, unsigned int number,
		      struct gdb_answer *answer)
{
	const struct row *row = &rows[number];
	uint8_t value[16] = {0};
	uint32_t full;

	memcpy(value, (const char *)from + row->offset, row->kept);
	if (row->how == TAGS) {
		full = tags(value[0]);
		memcpy(value, &full, sizeof(full));
	}
	if (is_known(from, row))
		gdb_answer_hex(answer, value, row->bytes);
	else
		for (unsigned int i = 0; i < row->bytes; i++)
			gdb_answer_text(answer, "xx");
}

bool gdb_register_set(struct debug_registers *to, unsigned int number, struct gdb_text *text)
{
	const struct row *row = &rows[number];
	uint8_t value[16];

	if ((size_t)(text->end - text->at) < 2u * row->bytes)
		return false;
	if (*text->at == 'x') {
		text->at += 2u * row->bytes;
		return true;
	}
	if (!gdb_take_hex(text, value, row->bytes) || !is_known(to, row))
		return false;
	/* gdb writes all of them to change one: what stays as it is may be written. */
	if (row->how == TAGS)
		return true;
	if (row->how == FIXED)
		return memcmp((const char *)to + row->offset, value, row->kept) == 0;
	memcpy((char *)to + row->offset, value, row->kept);
	return true;
}

/* ---- the description ---- */

struct xml {
	char *text;
	size_t size;
};

static void put(struct xml *xml, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void put(struct xml *xml, const char *format, ...)
{
	va_list args;
	int size;

	va_start(args, format);
	size = vsnprintf(xml->text + xml->size, GDB_XML_BYTES - xml->size, format, args);
	va_end(args);
	xml->size += size > 0 ? (size_t)size : 0;
	if (xml->size >= GDB_XML_BYTES)
		xml->size = GDB_XML_BYTES - 1;
}

struct bit {
	const char *name;
	unsigned int at;
};

static const struct bit eflags_bits[] = {
	{"CF", 0},  {"", 1},    {"PF", 2},   {"AF", 4},   {"ZF", 6},  {"SF", 7},
	{"TF", 8},  {"IF", 9},  {"DF", 10},  {"OF", 11},  {"NT", 14}, {"RF", 16},
	{"VM", 17}, {"AC", 18}, {"VIF", 19}, {"VIP", 20}, {"ID", 21}, {NULL, 0}};
static const struct bit cr0_bits[] = {{"PE", 0},  {"MP", 1},  {"EM", 2},  {"TS", 3},
				      {"ET", 4},  {"NE", 5},  {"WP", 16}, {"AM", 18},
				      {"NW", 29}, {"CD", 30}, {"PG", 31}, {NULL, 0}};
static const struct bit cr4_bits[] = {
	{"VME", 0},         {"PVI", 1},    {"TSD", 2},      {"DE", 3},    {"PSE", 4},
	{"PAE", 5},         {"MCE", 6},    {"PGE", 7},      {"PCE", 8},   {"OSFXSR", 9},
	{"OSXMMEXCPT", 10}, {"UMIP", 11},  {"LA57", 12},    {"VMXE", 13}, {"SMXE", 14},
	{"FSGSBASE", 16},   {"PCIDE", 17}, {"OSXSAVE", 18}, {"SMEP", 20}, {"SMAP", 21},
	{"PKE", 22},        {NULL, 0}};
static const struct bit efer_bits[] = {{"SCE", 0},   {"LME", 8},    {"LMA", 10}, {"NXE", 11},
				       {"SVME", 12}, {"FFXSR", 14}, {NULL, 0}};

static void put_flags(struct xml *xml, const char *id, unsigned int bytes, const struct bit *bits)
{
	put(xml, "<flags id=\"%s\" size=\"%u\">\n", id, bytes);
	for (; bits->name; bits++)
		put(xml, "<field name=\"%s\" start=\"%u\" end=\"%u\"/>\n", bits->name, bits->at,
		    bits->at);
	put(xml, "</flags>\n");
}

size_t gdb_registers_xml(char xml_out[GDB_XML_BYTES])
{
	struct xml xml = {.text = xml_out};

	put(&xml, "<?xml version=\"1.0\"?>\n<!DOCTYPE target SYSTEM \"gdb-target.dtd\">\n"
		  "<target version=\"1.0\">\n<architecture>i386:x86-64</architecture>\n"
		  "<feature name=\"org.gnu.gdb.i386.core\">\n");
	put_flags(&xml, "x64_eflags", 4, eflags_bits);
	put_flags(&xml, "x64_cr0", 8, cr0_bits);
	put_flags(&xml, "x64_cr4", 8, cr4_bits);
	put_flags(&xml, "x64_efer", 8, efer_bits);
	for (unsigned int i = 0; i < NR_ROWS; i++) {
		if (strcmp(rows[i].name, FIRST_VECTOR) == 0)
			put(&xml,
			    "</feature>\n<feature name=\"org.gnu.gdb.i386.sse\">\n"
			    "<vector id=\"v16i8\" type=\"int8\" count=\"16\"/>\n"
			    "<vector id=\"v4i32\" type=\"int32\" count=\"4\"/>\n"
			    "<vector id=\"v2i64\" type=\"int64\" count=\"2\"/>\n"
			    "<union id=\"vec128\">\n<field name=\"v16_int8\" type=\"v16i8\"/>\n"
			    "<field name=\"v4_int32\" type=\"v4i32\"/>\n"
			    "<field name=\"v2_int64\" type=\"v2i64\"/>\n"
			    "<field name=\"uint128\" type=\"uint128\"/>\n</union>\n");
		put(&xml, "<reg name=\"%s\" bitsize=\"%u\" type=\"%s\" regnum=\"%u\"/>\n",
		    rows[i].name, rows[i].bytes * 8u, rows[i].type, i);
	}
	put(&xml, "</feature>\n</target>\n");
	return xml.size;
}
