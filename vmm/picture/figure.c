/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Single figures: an SVG of the areas or of a histogram, and columns for gnuplot. */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/picture/private.h"

#define ROWS   16
#define WIDE   960.0
#define TALL   20.0
#define GUTTER 150.0
#define LEFT   60.0
#define HIGH   240.0

/* Okabe and Ito's colours, which the colour-blind can tell apart, and greys: as on the page. */
static const struct {
	const char *kind, *colour;
} colours[] = {{"vmalloc", "#0072b2"}, {"vmap", "#e69f00"},       {"user", "#009e73"},
	       {"ioremap", "#cc79a7"}, {"vm_map_ram", "#56b4e9"}, {"vpages", "#d55e00"},
	       {"lazy", "#b8bcc2"},    {"pooled", "#5b4b8a"}};

static const char *colour_of(const char *kind)
{
	for (size_t i = 0; i < sizeof(colours) / sizeof(colours[0]); i++) {
		if (!strcmp(colours[i].kind, kind))
			return colours[i].colour;
	}
	return "#6b6f76";
}

/* ---- histograms ---- */

/* The bucket of @value is [start, end): one value below 32, then 16 buckets between powers of two.
 */
static void bucket_of(uint64_t value, uint64_t *start_out, uint64_t *end_out)
{
	unsigned int shift = value < 32 ? 0 : 59u - (unsigned int)__builtin_clzll(value);

	*start_out = value >> shift << shift;
	*end_out = *start_out + (1ull << shift);
}

static json_t *rank(struct latency *latency, unsigned int percent)
{
	return json_integer((json_int_t)latency_percentile(latency, percent));
}

json_t *picture_histogram(const char *name, const char *unit, struct latency *latency)
{
	json_t *figure, *buckets;

	if (!latency->count)
		return NULL;
	/* The ranks sort the samples. */
	figure = json_pack("{s:s, s:s, s:I, s:o, s:o, s:o, s:o}", "name", name, "unit", unit,
			   "count", (json_int_t)latency->count, "p50", rank(latency, 50), "p90",
			   rank(latency, 90), "p99", rank(latency, 99), "max", rank(latency, 100));
	buckets = json_array();
	for (size_t i = 0, first; i < latency->count;) {
		uint64_t start, end;

		bucket_of(latency->samples[i], &start, &end);
		for (first = i; i < latency->count && latency->samples[i] < end;)
			i++;
		json_array_append_new(buckets, json_pack("[I, I, I]", (json_int_t)start,
							 (json_int_t)end, (json_int_t)(i - first)));
	}
	json_object_set_new(figure, "buckets", buckets);
	return figure;
}

/* ---- SVG ---- */

/* Text in an XML file: what is no printable ASCII becomes a dot. */
static void put_text(const char *text, FILE *out)
{
	for (; *text; text++) {
		if (*text == '<' || *text == '>' || *text == '&' || *text == '"')
			fprintf(out, "&#%d;", *text);
		else
			fputc(*text >= ' ' && *text <= '~' ? *text : '.', out);
	}
}

static void open_svg(const json_t *document, double wide, double high, FILE *out)
{
	fprintf(out,
		"<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %.0f %.0f\" "
		"width=\"%.0f\" "
		"height=\"%.0f\" font-family=\"monospace\" font-size=\"11\">\n<title>",
		wide, high, wide, high);
	put_text(json_string_value(json_object_get(document, "title")) ?: "", out);
	fprintf(out, "</title>\n<rect width=\"100%%\" height=\"100%%\" fill=\"#ffffff\"/>\n");
}

/* One area of [from, to), in pages of a map that begins at 0 and has @each in a row. */
static void put_area(double from, double to, double each, const char *kind, const char *title,
		     FILE *out)
{
	while (from < to) {
		double row = floor(from / each), stop = fmin(to, (row + 1) * each);
		double x = GUTTER + (from - row * each) / each * WIDE;
		double wide = fmax((stop - from) / each * WIDE, .4);

		fprintf(out,
			"<rect x=\"%.2f\" y=\"%.0f\" width=\"%.2f\" height=\"%.0f\" fill=\"%s\"%s>"
			"<title>",
			x, 8 + row * TALL, wide, TALL - 4, colour_of(kind),
			wide > 4 ? " stroke=\"#ffffff\" stroke-width=\"0.8\"" : "");
		put_text(title, out);
		fprintf(out, "</title></rect>\n");
		if (stop <= from)
			return;
		from = stop;
	}
}

static void put_legend(const json_t *kinds, FILE *out)
{
	double x = GUTTER;

	for (size_t i = 0; i < json_array_size(kinds); i++) {
		const char *name = json_string_value(json_array_get(kinds, i)) ?: "";

		fprintf(out,
			"<rect x=\"%.0f\" y=\"%.0f\" width=\"11\" height=\"11\" fill=\"%s\"/>"
			"<text x=\"%.0f\" y=\"%.0f\">",
			x, 16 + ROWS * TALL, colour_of(name), x + 16, 26 + ROWS * TALL);
		put_text(name, out);
		fprintf(out, "</text>\n");
		x += 32 + 7 * (double)strlen(name);
	}
}

static int draw_areas(const json_t *document, const json_t *areas, FILE *out)
{
	struct picture_places places;
	int err = picture_places(areas, &places);
	double each;

	if (err)
		return err;
	each = fmax(ceil(places.length / ROWS), 1);
	open_svg(document, GUTTER + WIDE + 10, ROWS * TALL + 40, out);
	for (unsigned int row = 0; row < ROWS; row++)
		fprintf(out,
			"<text x=\"6\" y=\"%.0f\" fill=\"#59636e\">0x%" PRIx64 "</text>"
			"<rect x=\"%.0f\" y=\"%.0f\" width=\"%.0f\" height=\"%.0f\" "
			"fill=\"#eef0f2\"/>\n",
			20 + row * TALL, picture_page_at(&places, row * each) * 4096, GUTTER,
			8 + row * TALL, WIDE, TALL - 4);
	for (size_t i = 0; i < places.count; i++) {
		const struct picture_place *one = &places.place[i];
		char title[96];

		snprintf(title, sizeof(title), "0x%" PRIx64 " %" PRIu64 " KiB %.40s",
			 one->page * 4096, one->pages * 4, one->kind);
		put_area(one->at, one->at + (double)one->pages, each, one->kind, title, out);
	}
	put_legend(json_object_get(areas, "kinds"), out);
	fprintf(out, "</svg>\n");
	free(places.place);
	return 0;
}

/* Both axes logarithmic: tails are what is looked for. */
static void draw_histogram(const json_t *document, const json_t *one, FILE *out)
{
	const json_t *buckets = json_object_get(one, "buckets"), *bucket;
	uint64_t low = picture_number(json_array_get(buckets, 0), 0), high = low + 1, most = 1;
	double scale;
	size_t i;

	json_array_foreach (buckets, i, bucket) {
		high = picture_number(bucket, 1);
		if (picture_number(bucket, 2) > most)
			most = picture_number(bucket, 2);
	}
	low = low ? low : 1;
	scale = WIDE / log((double)(high > low ? high : low + 1) / (double)low);
	open_svg(document, LEFT + WIDE + 20, HIGH + 60, out);
	json_array_foreach (buckets, i, bucket) {
		double from = fmax((double)picture_number(bucket, 0), (double)low);
		double x = LEFT + log(from / (double)low) * scale;
		double end = LEFT + log((double)picture_number(bucket, 1) / (double)low) * scale;
		double tall = (log10((double)picture_number(bucket, 2)) + .3) /
			      (log10((double)most) + .3) * HIGH;

		fprintf(out,
			"<rect x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" height=\"%.2f\" "
			"fill=\"%s\"><title>%" PRIu64 " to %" PRIu64 ": %" PRIu64
			"</title></rect>\n",
			x, 20 + HIGH - tall, fmax(end - x - .5, 1), tall, colours[0].colour,
			picture_number(bucket, 0), picture_number(bucket, 1) - 1,
			picture_number(bucket, 2));
	}
	fprintf(out,
		"<text x=\"%.0f\" y=\"%.0f\">%" PRIu64 "</text><text x=\"%.0f\" y=\"%.0f\" "
		"text-anchor=\"end\">%" PRIu64 "</text><text x=\"%.0f\" y=\"%.0f\">",
		LEFT, HIGH + 36, low, LEFT + WIDE, HIGH + 36, high - 1, LEFT, HIGH + 52);
	put_text(json_string_value(json_object_get(one, "name")) ?: "", out);
	fprintf(out, ", ");
	put_text(json_string_value(json_object_get(one, "unit")) ?: "", out);
	fprintf(out, "; p50 %" PRIu64 ", p99 %" PRIu64 "</text>\n</svg>\n",
		(uint64_t)json_integer_value(json_object_get(one, "p50")),
		(uint64_t)json_integer_value(json_object_get(one, "p99")));
}

static int draw_svg(const json_t *document, FILE *out)
{
	const json_t *areas = json_object_get(document, "areas");
	const json_t *one = json_array_get(json_object_get(document, "latency"), 0);

	if (!json_array_size(json_object_get(areas, "step")) && !one)
		return -ENODATA;
	if (json_array_size(json_object_get(areas, "step")))
		return draw_areas(document, areas, out);
	draw_histogram(document, one, out);
	return 0;
}

int picture_write_svg(const json_t *document, const char *path, struct error *error)
{
	return picture_write_file(document, path, draw_svg, error);
}

/* ---- columns ---- */

static void area_columns(const json_t *areas, FILE *out)
{
	const json_t *step = json_object_get(areas, "step"), *born = json_object_get(areas, "born");
	uint64_t at = picture_base(areas);

	fprintf(out, "# areas: start pages kind%s\n", born ? " allocated freed given-back" : "");
	for (size_t i = 0; i < json_array_size(step); i++) {
		const json_t *kind =
			json_array_get(json_object_get(areas, "kinds"),
				       picture_number(json_object_get(areas, "kind"), i));

		at += picture_number(step, i);
		fprintf(out, "0x%" PRIx64 " %" PRIu64 " \"%s\"", at * 4096,
			picture_number(json_object_get(areas, "pages"), i),
			json_string_value(kind) ?: "");
		if (born)
			fprintf(out, " %" PRId64 " %" PRId64 " %" PRId64,
				(int64_t)picture_number(born, i),
				(int64_t)picture_number(json_object_get(areas, "freed"), i),
				(int64_t)picture_number(json_object_get(areas, "gone"), i));
		fputc('\n', out);
	}
	fprintf(out, "\n\n");
}

static void frame_columns(const json_t *frames, FILE *out)
{
	const json_t *runs = json_object_get(frames, "runs");

	fprintf(out, "# frames: first-frame frames state\n");
	for (size_t i = 0; i + 2 < json_array_size(runs); i += 3)
		fprintf(out, "0x%" PRIx64 " %" PRIu64 " \"%s\"\n", picture_number(runs, i),
			picture_number(runs, i + 1),
			json_string_value(json_array_get(json_object_get(frames, "owners"),
							 picture_number(runs, i + 2)))
				?: "");
	fprintf(out, "\n\n");
}

static void histogram_columns(const json_t *one, FILE *out)
{
	const json_t *bucket;
	size_t i;

	fprintf(out, "# %s, %s: from up-to samples\n",
		json_string_value(json_object_get(one, "name")) ?: "",
		json_string_value(json_object_get(one, "unit")) ?: "");
	json_array_foreach (json_object_get(one, "buckets"), i, bucket)
		fprintf(out, "%" PRIu64 " %" PRIu64 " %" PRIu64 "\n", picture_number(bucket, 0),
			picture_number(bucket, 1), picture_number(bucket, 2));
	fprintf(out, "\n\n");
}

static int draw_dat(const json_t *document, FILE *out)
{
	const json_t *areas = json_object_get(document, "areas"), *one;
	const json_t *frames = json_object_get(document, "frames");
	size_t i;

	if (areas)
		area_columns(areas, out);
	if (frames)
		frame_columns(frames, out);
	json_array_foreach (json_object_get(document, "latency"), i, one)
		histogram_columns(one, out);
	return ftell(out) > 0 ? 0 : -ENODATA;
}

int picture_write_dat(const json_t *document, const char *path, struct error *error)
{
	return picture_write_file(document, path, draw_dat, error);
}
