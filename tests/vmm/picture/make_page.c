/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Writes a page of N made-up areas, which come and go, as large as the largest of guests: what the
 * page's own test drives, and what docs/pictures.md measures. make_page FILE [N]
 */
#include <stdio.h>
#include <stdlib.h>

#include "vmm/picture/picture.h"

#define START 0xffffc90000000000ull
#define PAGE  4096ull

int main(int argc, char **argv)
{
	static const char *const lines[] = {"0 8192 alloc_large+0x10/0x40 vmalloc",
					    "0 8192 map_device+0x20/0x80 ioremap",
					    "0 8192 join_pages+0x8/0x70 vmap"};
	size_t count = argc > 2 ? strtoul(argv[2], NULL, 0) : 100000;
	json_t *list = json_array(), *document = picture_create("Made up");
	uint64_t at = START, seed = 1, pages;
	struct error error;
	char text[2][24];

	for (size_t i = 0; i < count; i++) {
		seed = seed * 6364136223846793005ull + 1442695040888963407ull;
		pages = 2 + (seed >> 40) % 30;
		snprintf(text[0], sizeof(text[0]), "0x%llx", (unsigned long long)at);
		snprintf(text[1], sizeof(text[1]), "0x%llx",
			 (unsigned long long)(at + pages * PAGE));
		json_array_append_new(
			list,
			json_pack("{s:s, s:s, s:s, s:I, s:I, s:I, s:I}", "start", text[0], "end",
				  text[1], "line", lines[(seed >> 33) % 3], "pages",
				  (json_int_t)(pages - 1), "born", (json_int_t)(i / 2), "freed",
				  i % 7 ? (json_int_t)-1 : (json_int_t)(i / 2 + 40), "gone",
				  i % 21 ? (json_int_t)-1 : (json_int_t)(i / 2 + 90)));
		at += pages * PAGE + (i % 50 == 49 ? (seed >> 20) % 4096 * PAGE : 0);
	}
	json_object_set_new(document, "areas", picture_areas(list));
	json_object_set_new(document, "history",
			    json_pack("{s:I}", "steps", (json_int_t)(count / 2 + 100)));
	json_decref(list);
	if (argc < 2 || picture_write_html(document, argv[1], &error)) {
		fprintf(stderr, "make_page: %s\n", argc < 2 ? "where to?" : error.text);
		return 1;
	}
	json_decref(document);
	return 0;
}
