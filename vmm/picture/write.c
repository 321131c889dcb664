/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The page: its files put together, and the document in it. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/out_file.h"
#include "vmm/picture/page.h"
#include "vmm/picture/private.h"

/* Begins @path and opens a stream on it, which has a descriptor of its own. */
static int begin(struct out_file *file, const char *path, FILE **out_out, struct error *error)
{
	int err = out_file_begin(file, path, error), fd;

	if (err)
		return err;
	fd = dup(file->fd);
	*out_out = fd >= 0 ? fdopen(fd, "w") : NULL;
	if (*out_out)
		return 0;
	err = -errno;
	if (fd >= 0)
		close(fd);
	out_file_discard(file);
	return error_set(error, err, "%s: %s", path, strerror(-err));
}

int picture_write_file(const json_t *document, const char *path, picture_draw_fn draw,
		       struct error *error)
{
	struct out_file file;
	FILE *out;
	int err = begin(&file, path, &out, error), closed;

	if (err)
		return err;
	err = draw(document, out);
	if (!err && ferror(out))
		err = -EIO;
	closed = fclose(out) ? -errno : 0;
	if (!err)
		err = closed;
	if (!err)
		return out_file_commit(&file, error);
	out_file_discard(&file);
	return error_set(error, err, "%s: %s", path,
			 err == -ENODATA ? "there is nothing to draw" : strerror(-err));
}

/*
 * The document inside a script element: whatever is in its strings, a "<" ends no element there,
 * and what is not ASCII is escaped.
 */
static int put_data(const json_t *document, FILE *out)
{
	char *text = json_dumps(document, JSON_COMPACT | JSON_ENSURE_ASCII);
	const char *at = text;
	size_t plain;

	if (!text)
		return -ENOMEM;
	for (; *at; at += plain) {
		plain = strcspn(at, "<");
		fwrite(at, 1, plain, out);
		if (at[plain] == '<') {
			fputs("\\u003c", out);
			plain++;
		}
	}
	free(text);
	return 0;
}

static int put_script(const json_t *document, FILE *out)
{
	(void)document;
	fputs(page_core_js, out);
	fputs(page_space_js, out);
	fputs(page_tables_js, out);
	fputs(page_figures_js, out);
	return 0;
}

static int put_style(const json_t *document, FILE *out)
{
	(void)document;
	fputs(page_css, out);
	return 0;
}

/* page.html with each @WORD@ in it replaced. */
static int draw_page(const json_t *document, FILE *out)
{
	static const struct {
		const char *word;
		picture_draw_fn put;
	} parts[] = {{"@STYLE@", put_style}, {"@DATA@", put_data}, {"@SCRIPT@", put_script}};
	const char *at = page_html;
	int err = 0;

	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]) && !err; i++) {
		const char *word = strstr(at, parts[i].word);

		fwrite(at, 1, (size_t)(word - at), out);
		err = parts[i].put(document, out);
		at = word + strlen(parts[i].word);
	}
	fputs(at, out);
	return err;
}

int picture_write_html(const json_t *document, const char *path, struct error *error)
{
	return picture_write_file(document, path, draw_page, error);
}

int picture_write(const json_t *document, const struct picture_files *files, struct error *error)
{
	int err = files->html ? picture_write_html(document, files->html, error) : 0;

	if (!err && files->svg)
		err = picture_write_svg(document, files->svg, error);
	if (!err && files->dat)
		err = picture_write_dat(document, files->dat, error);
	return err;
}
