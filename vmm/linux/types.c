/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Offsets of members, from the BTF that the kernel carries in its image. libbpf reads it; what it
 * is handed was bounded here before, and what it says is checked against each structure's size.
 */
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/printable.h"
#include "vmm/linux/private.h"

#define BTF_BYTES_MAX   (64u << 20)
#define BTF_BYTES_LEAST 65536u /* modules' are smaller, and none of them is asked for */
#define ANONYMOUS_DEPTH 8
#define BTF_TRIES       16 /* headers in an image that lead to something large */

/* ---- where it is ---- */

static bool header_good(const struct btf_header *header, size_t room)
{
	return header->magic == BTF_MAGIC && header->version == BTF_VERSION &&
	       header->hdr_len == sizeof(*header) && header->type_off == 0 &&
	       header->str_off == header->type_len && header->str_off <= BTF_BYTES_MAX &&
	       header->str_len <= BTF_BYTES_MAX && header->str_len > 0 &&
	       sizeof(*header) + header->str_off + header->str_len <= room;
}

struct find {
	uint8_t *bytes; /* found, copied */
	size_t size;
	unsigned int tried;
};

/* The first whole BTF of some size in a stretch of the image. */
static bool find_in_run(void *context, uint64_t start, const uint8_t *bytes, size_t size)
{
	static const uint8_t mark[] = {0x9f, 0xeb, 1, 0, 24, 0, 0, 0, 0, 0, 0, 0};
	struct find *find = context;
	const uint8_t *at = bytes;

	while ((at = memmem(at, size - (size_t)(at - bytes), mark, sizeof(mark))) != NULL) {
		size_t room = size - (size_t)(at - bytes);
		struct btf_header header;

		if (room >= sizeof(header)) {
			memcpy(&header, at, sizeof(header));
			if (header.str_off > BTF_BYTES_LEAST && header_good(&header, room) &&
			    find->tried++ < BTF_TRIES) {
				size_t whole = sizeof(header) + header.str_off + header.str_len;
				struct btf *btf = btf__new(at, (uint32_t)whole);
				bool wanted = btf && btf__find_by_name_kind(btf, "vmap_area",
									    BTF_KIND_STRUCT) > 0;

				btf__free(btf);
				if (wanted) {
					find->bytes = malloc(whole);
					find->size = whole;
					if (find->bytes)
						memcpy(find->bytes, at, whole);
					return true;
				}
			}
		}
		at++;
	}
	return false;
}

static int find_btf(struct linux_guest *guest, struct find *find, struct error *error)
{
	struct btf_header header;
	uint64_t start, stop;
	int err;

	if (linux_symbol(guest, "__start_BTF", &start) &&
	    linux_symbol(guest, "__stop_BTF", &stop) && stop > start &&
	    stop - start <= BTF_BYTES_MAX && stop - start > sizeof(header)) {
		find->bytes = linux_copy(guest, start, stop - start);
		find->size = stop - start;
		if (find->bytes) {
			memcpy(&header, find->bytes, sizeof(header));
			if (header_good(&header, find->size))
				return 0;
			free(find->bytes);
			find->bytes = NULL;
		}
	}
	err = linux_image_runs(guest, find_in_run, find);
	if (!err && !find->bytes)
		err = -ENOMEM;
	if (err == -ENOENT)
		error_set(error, err, "no BTF in the kernel's image (CONFIG_DEBUG_INFO_BTF)");
	guest->facts.btf_scanned = err == 0;
	return err;
}

/* ---- members ---- */

static int quiet(enum libbpf_print_level level, const char *format, va_list arguments)
{
	return 0;
}

/* The type behind typedefs and qualifiers; NULL where there is none, or no end of them. */
static const struct btf_type *strip(const struct btf *btf, uint32_t id)
{
	const struct btf_type *type = btf__type_by_id(btf, id);

	for (int i = 0; type && i < 32; i++) {
		if (!btf_is_mod(type) && !btf_is_typedef(type))
			return type;
		type = btf__type_by_id(btf, type->type);
	}
	return NULL;
}

/* Finds @name in @type, also in its anonymous members. Offsets are in bits. */
static bool find_member(const struct btf *btf, const struct btf_type *type, const char *name,
			int depth, uint32_t *bits_out, uint32_t *type_out)
{
	const struct btf_member *member;

	if (!type || !btf_is_composite(type) || depth > ANONYMOUS_DEPTH)
		return false;
	member = btf_members(type);
	for (uint16_t i = 0; i < btf_vlen(type); i++, member++) {
		const char *text = btf__name_by_offset(btf, member->name_off);
		uint32_t bits = btf_member_bit_offset(type, i), inner;

		if (text && *text) {
			if (strcmp(text, name) != 0)
				continue;
			*bits_out = bits;
			*type_out = member->type;
			return true;
		}
		if (find_member(btf, strip(btf, member->type), name, depth + 1, &inner, type_out)) {
			*bits_out = bits + inner;
			return true;
		}
	}
	return false;
}

struct wanted_struct {
	const char *name;
	size_t bytes_at; /* in linux_types */
	uint32_t most;
};

struct wanted_field {
	const char *structure, *member;
	size_t at;
	uint32_t bytes;
};

static const struct wanted_struct wanted_structs[] = {
#define WANT_STRUCT(structure, most) \
	{#structure, offsetof(struct linux_types, structure##_bytes), most},
	LINUX_STRUCTS(WANT_STRUCT)};

static const struct wanted_field wanted_fields[] = {
#define WANT_FIELD(structure, member, width) \
	{#structure, #member, offsetof(struct linux_types, structure##_##member), width},
	LINUX_FIELDS(WANT_FIELD)};

static uint32_t *slot(struct linux_types *types, size_t at)
{
	return (uint32_t *)(void *)((char *)types + at);
}

/* Elements of the array that a member of @structure is; 0 where it is none. */
static uint32_t elements(const struct btf *btf, const char *structure, const char *member)
{
	int32_t id = btf__find_by_name_kind(btf, structure, BTF_KIND_STRUCT);
	const struct btf_type *type;
	uint32_t bits, member_type;

	if (id <= 0 ||
	    !find_member(btf, btf__type_by_id(btf, (uint32_t)id), member, 0, &bits, &member_type))
		return 0;
	type = strip(btf, member_type);
	return type && btf_is_array(type) ? btf_array(type)->nelems : 0;
}

static void read_fields(const struct btf *btf, struct linux_types *types)
{
	for (size_t s = 0; s < sizeof(wanted_structs) / sizeof(wanted_structs[0]); s++) {
		const char *name = wanted_structs[s].name;
		int32_t id = btf__find_by_name_kind(btf, name, BTF_KIND_STRUCT);
		const struct btf_type *type = id > 0 ? btf__type_by_id(btf, (uint32_t)id) : NULL;
		uint32_t size = type && type->size <= wanted_structs[s].most ? type->size : 0;

		*slot(types, wanted_structs[s].bytes_at) = size;
		for (size_t f = 0; f < sizeof(wanted_fields) / sizeof(wanted_fields[0]); f++) {
			const struct wanted_field *field = &wanted_fields[f];
			uint32_t bits, member_type, *offset = slot(types, field->at);

			if (strcmp(field->structure, name) != 0)
				continue;
			*offset = NO_FIELD;
			/* What does not lie in its structure is not where it says. */
			if (size && find_member(btf, type, field->member, 0, &bits, &member_type) &&
			    bits % 8 == 0 && bits / 8 <= size && size - bits / 8 >= field->bytes)
				*offset = bits / 8;
		}
	}
}

static void read_arrays(const struct btf *btf, struct linux_types *types)
{
	types->nr_pools = elements(btf, "vmap_node", "pool");
	types->nr_module_mem = elements(btf, "module", "mem");
	types->nr_slots = elements(btf, "xa_node", "slots");
	if (types->nr_pools > LINUX_STRUCT_MAX / 8 ||
	    (types->nr_pools && types->vmap_node_pool != NO_FIELD &&
	     (uint64_t)types->nr_pools * types->vmap_pool_bytes >
		     types->vmap_node_bytes - types->vmap_node_pool))
		types->nr_pools = 0;
	if (types->nr_slots > 64)
		types->nr_slots = 0;
	types->nr_zones = elements(btf, "pglist_data", "node_zones");
	if (types->nr_zones > 16 || types->pglist_data_node_zones == NO_FIELD ||
	    (uint64_t)types->nr_zones * types->zone_bytes >
		    types->pglist_data_bytes - types->pglist_data_node_zones)
		types->nr_zones = 0;
	types->nr_orders = elements(btf, "zone", "free_area");
	if (types->nr_orders > 32 || types->zone_free_area == NO_FIELD ||
	    (uint64_t)types->nr_orders * types->free_area_bytes >
		    types->zone_bytes - types->zone_free_area)
		types->nr_orders = 0;
}

static const struct btf_type *find_enum(const struct btf *btf, const char *name)
{
	int32_t id = btf__find_by_name_kind(btf, name, BTF_KIND_ENUM);

	return id > 0 ? btf__type_by_id(btf, (uint32_t)id) : NULL;
}

static int64_t enumerator(const struct btf *btf, const char *name, const char *value)
{
	const struct btf_type *type = find_enum(btf, name);

	for (uint16_t i = 0; type && i < btf_vlen(type); i++) {
		const char *text = btf__name_by_offset(btf, btf_enum(type)[i].name_off);

		if (text && strcmp(text, value) == 0)
			return btf_enum(type)[i].val;
	}
	return -1;
}

/* Those before __NR_PAGEFLAGS: what follows it is other names of the same bits. */
static void read_page_flags(const struct btf *btf, struct linux_types *types)
{
	const struct btf_type *type = find_enum(btf, "pageflags");

	for (uint16_t i = 0; type && i < btf_vlen(type); i++) {
		const char *text = btf__name_by_offset(btf, btf_enum(type)[i].name_off);
		int32_t bit = btf_enum(type)[i].val;

		if (!text || strncmp(text, "PG_", 3) != 0)
			return;
		if (bit < 0 || bit >= LINUX_PAGE_FLAGS || types->page_flag[bit][0])
			continue;
		snprintf(types->page_flag[bit], sizeof(types->page_flag[bit]), "%s", text + 3);
		printable(types->page_flag[bit]);
	}
}

int linux_types_read(struct linux_guest *guest, struct error *error)
{
	struct find find = {.bytes = NULL};
	struct btf *btf;
	int err;

	libbpf_set_print(quiet);
	err = find_btf(guest, &find, error);
	if (err)
		return err;
	btf = btf__new(find.bytes, (uint32_t)find.size);
	free(find.bytes);
	if (!btf)
		return error_set(error, -EINVAL, "the kernel's BTF is broken: %s", strerror(errno));
	read_fields(btf, &guest->types);
	read_arrays(btf, &guest->types);
	read_page_flags(btf, &guest->types);
	guest->types.system_running = enumerator(btf, "system_states", "SYSTEM_RUNNING");
	guest->types.pgty_table = enumerator(btf, "pagetype", "PGTY_table");
	btf__free(btf);
	guest->facts.btf_bytes = find.size;
	guest->has_types = true;
	return 0;
}
