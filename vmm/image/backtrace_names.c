/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * What a place in the image's code is called: the function from the symbol table, file, line and
 * inlined functions from the debug information, as far as there is any. And the backtrace in
 * words.
 */
#include "vmm/image/backtrace.h"

#include <dwarf.h>
#include <elfutils/libdw.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "lib/printable.h"

/* A place in the source; @file is libdw's. */
struct place {
	const char *file;
	unsigned int line;
};

/* "/build/../mm/vmalloc.c" is "mm/vmalloc.c": wherever it was built. */
static const char *last_two_parts(const char *path)
{
	const char *slash = strrchr(path, '/');

	while (slash && slash > path && slash[-1] != '/')
		slash--;
	return slash ? slash : path;
}

static struct place place_of_line(Dwarf_Die *unit, uint64_t address)
{
	Dwarf_Line *line = dwarf_getsrc_die(unit, address);
	const char *file = line ? dwarf_linesrc(line, NULL, NULL) : NULL;
	int number = 0;

	if (!file || dwarf_lineno(line, &number) != 0 || number <= 0)
		return (struct place){NULL, 0};
	return (struct place){file, (unsigned int)number};
}

/* Where the inlined @function was called. */
static struct place place_of_call(Dwarf_Die *unit, Dwarf_Die *function)
{
	Dwarf_Attribute attribute;
	Dwarf_Word file = 0, line = 0;
	Dwarf_Files *files;
	const char *name;
	size_t nr_files;

	if (dwarf_formudata(dwarf_attr(function, DW_AT_call_file, &attribute), &file) != 0 ||
	    dwarf_formudata(dwarf_attr(function, DW_AT_call_line, &attribute), &line) != 0 ||
	    dwarf_getsrcfiles(unit, &files, &nr_files) != 0 || file >= nr_files)
		return (struct place){NULL, 0};
	name = dwarf_filesrc(files, file, NULL, NULL);
	return (struct place){name, name ? (unsigned int)line : 0};
}

static struct backtrace_frame *add_frame(struct backtrace *trace, uint64_t address, bool exact,
					 const char *function, struct place place)
{
	struct backtrace_frame *frame;

	if (trace->nr_frames == BACKTRACE_FRAMES_MAX)
		return NULL;
	frame = &trace->frame[trace->nr_frames++];
	*frame = (struct backtrace_frame){.address = address, .exact = exact};
	if (function)
		snprintf(frame->function, sizeof(frame->function), "%s", function);
	if (place.file) {
		frame->line = place.line;
		snprintf(frame->file, sizeof(frame->file), "%s", last_two_parts(place.file));
	}
	printable(frame->function);
	printable(frame->file);
	return frame;
}

/*
 * Adds the inlined functions around @address; *@place becomes the place of the outermost call, and
 * *@function the name of what they are inlined into.
 */
static void add_inlined(struct backtrace *trace, Dwarf_Die *unit, uint64_t address, bool exact,
			uint64_t lookup, struct place *place, const char **function)
{
	Dwarf_Die *scopes = NULL, *dies = NULL;
	int nr_scopes = dwarf_getscopes(unit, lookup, &scopes);
	int nr = nr_scopes > 0 ? dwarf_getscopes_die(&scopes[0], &dies) : 0;

	for (int i = 0; i < nr; i++) {
		int tag = dwarf_tag(&dies[i]);

		if (tag == DW_TAG_subprogram) {
			*function = dwarf_diename(&dies[i]);
			break;
		}
		if (tag == DW_TAG_inlined_subroutine) {
			struct backtrace_frame *frame =
				add_frame(trace, address, exact, dwarf_diename(&dies[i]), *place);

			if (frame)
				frame->inlined = true;
			*place = place_of_call(unit, &dies[i]);
		}
	}
	free(dies);
	free(scopes);
}

void backtrace_append(struct backtrace *trace, const struct image *image, struct Dwarf *dwarf,
		      uint64_t address, bool exact)
{
	/* A call may be the last instruction: what it returns to is then another function's. */
	uint64_t lookup = exact ? address : address - 1;
	const struct image_symbol *symbol = image_symbol_find(image, lookup);
	struct place place = {NULL, 0};
	const char *function = NULL;
	struct backtrace_frame *frame;
	Dwarf_Die unit;

	if (dwarf && dwarf_addrdie(dwarf, lookup, &unit)) {
		place = place_of_line(&unit, lookup);
		add_inlined(trace, &unit, address, exact, lookup, &place, &function);
	}
	frame = add_frame(trace, address, exact, symbol ? symbol->name : function, place);
	if (frame && symbol)
		frame->offset = address - symbol->start;
}

/* ---- in words ---- */

const char *backtrace_end_text(enum backtrace_end end)
{
	static const char *const texts[BACKTRACE_NR_ENDS] = {
		[BACKTRACE_WHOLE] = "whole",
		[BACKTRACE_NO_INFO] = "the image has no unwind information there",
		[BACKTRACE_NOT_CODE] = "called from where the image has no code",
		[BACKTRACE_UNREADABLE] = "the stack is not mapped there",
		[BACKTRACE_BAD_STACK] = "the stack makes no sense there",
		[BACKTRACE_UNKNOWN] = "a register it takes is not known there",
		[BACKTRACE_TOO_LONG] = "there may be more",
	};

	return (unsigned int)end < BACKTRACE_NR_ENDS ? texts[end] : "unknown";
}

void backtrace_print(const struct backtrace *trace, const char *indent, FILE *file)
{
	for (size_t i = 0; i < trace->nr_frames; i++) {
		const struct backtrace_frame *frame = &trace->frame[i];

		fprintf(file, "%s%#018" PRIx64, indent, frame->address);
		if (frame->function[0] && frame->inlined)
			fprintf(file, " %s (inlined)", frame->function);
		else if (frame->function[0])
			fprintf(file, " %s+%#" PRIx64, frame->function, frame->offset);
		else
			fprintf(file, " in no function");
		if (frame->line)
			fprintf(file, " at %s:%u", frame->file, frame->line);
		fprintf(file, "%s\n",
			frame->exact && i > 0 && !trace->frame[i - 1].inlined ? ", interrupted here"
									      : "");
	}
	if (trace->end != BACKTRACE_WHOLE)
		fprintf(file, "%sno further: %s\n", indent, backtrace_end_text(trace->end));
}

static json_t *frame_json(const struct backtrace_frame *frame)
{
	return json_pack("{s:o, s:o, s:I, s:b, s:o, s:o}", "address",
			 json_sprintf("%#" PRIx64, frame->address), "function",
			 frame->function[0] ? json_string(frame->function) : json_null(), "offset",
			 (json_int_t)frame->offset, "inlined", (int)frame->inlined, "file",
			 frame->line ? json_string(frame->file) : json_null(), "line",
			 frame->line ? json_integer(frame->line) : json_null());
}

json_t *backtrace_json(const struct backtrace *trace)
{
	json_t *frames = json_array();

	for (size_t i = 0; i < trace->nr_frames; i++)
		json_array_append_new(frames, frame_json(&trace->frame[i]));
	return json_pack("{s:o, s:s}", "frames", frames, "end", backtrace_end_text(trace->end));
}
