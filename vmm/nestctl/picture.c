/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The verbs html, svg and dat: what the other verbs say, drawn (vmm/picture/picture.h). */
#include <errno.h>
#include <string.h>

#include "vmm/nestctl/foreign.h"
#include "vmm/picture/picture.h"

static enum cli_status write_as(const char *verb, const char *path, const json_t *document,
				const struct cli_command *cli)
{
	const struct picture_files files = {
		.html = !strcmp(verb, "html") ? path : NULL,
		.svg = !strcmp(verb, "svg") ? path : NULL,
		.dat = !strcmp(verb, "dat") ? path : NULL,
	};
	struct error error = {""};
	int err = picture_write(document, &files, &error);

	if (!err)
		return CLI_DONE;
	cli_error(cli, "%s", error.text[0] ? error.text : strerror(-err));
	return err == -ENOMEM ? CLI_HOST : CLI_BAD_INPUT;
}

/* ---- a guest of ours: its service is asked ---- */

/* What a verb's command returns, whole; NULL: ctl->error says why not. */
static json_t *answer_of(struct ctl *ctl, const char *name, json_t *arguments)
{
	struct ctl_verb made;
	const struct ctl_verb *verb = ctl_verb_find(name, &made);
	json_t *value = NULL;
	int err;

	if (verb->flags & CTL_LIST) {
		err = ctl_ask_list(ctl, verb, arguments, &value);
		json_decref(arguments);
	} else {
		err = ctl_ask(ctl->wire, verb->command, arguments, &value, &ctl->error);
	}
	return err ? NULL : value;
}

/* Takes the member @list of an answer. */
static json_t *list_of(struct ctl *ctl, const char *name, const char *list)
{
	json_t *value = answer_of(ctl, name, json_object());
	json_t *taken = json_incref(json_object_get(value, list));

	json_decref(value);
	return taken;
}

static void add_status(struct ctl *ctl, json_t *document)
{
	json_t *status = answer_of(ctl, "status", json_object());
	char memory[32];

	if (!status)
		return;
	picture_about(document, "guest", "%s, %s", ctl_text(status, "name"),
		      ctl_text(status, "status"));
	picture_about(document, "CPUs", "%d", (int)ctl_number(status, "cpus"));
	picture_about(document, "memory", "%s",
		      ctl_size_text(ctl_number(status, "memory"), memory));
	picture_about(document, "image", "%s", ctl_text(status, "image"));
	json_decref(status);
}

/* --walk, or the first area. False: an address that was asked for is none. */
static bool add_walk(struct ctl *ctl, json_t *document, const json_t *areas)
{
	const char *address = ctl->walk ?: ctl_text(json_array_get(areas, 0), "start");
	json_t *walk;

	if (!*address)
		return true;
	walk = answer_of(ctl, "walk", json_pack("{s:s}", "address", address));
	if (walk)
		json_object_set_new(document, "walk", walk);
	return walk || !ctl->walk;
}

static void add_frames(struct ctl *ctl, json_t *document)
{
	json_t *runs = list_of(ctl, "frame-map", "runs"), *leaves;
	json_t *live = answer_of(ctl, "ept-dump", json_pack("{s:b}", "live", 1));

	leaves = live ? json_incref(json_object_get(live, "leaves"))
		      : list_of(ctl, "ept-dump", "leaves");
	json_object_set_new(document, "frames", picture_frames(runs, leaves));
	json_decref(live);
	json_decref(leaves);
	json_decref(runs);
}

enum cli_status ctl_run_picture(struct ctl *ctl)
{
	bool page = !strcmp(ctl->verb->name, "html"), good = true;
	json_t *areas = list_of(ctl, "areas", "areas"), *maps, *audit, *document;
	enum cli_status status;

	if (!areas)
		return ctl_failed(ctl, -EREMOTEIO);
	document = picture_create("A guest's memory");
	add_status(ctl, document);
	json_object_set_new(document, "areas", picture_areas(areas));
	if (page) {
		maps = list_of(ctl, "maps", "maps");
		json_object_set_new(document, "maps", picture_maps(maps, 4));
		json_decref(maps);
		good = add_walk(ctl, document, areas);
		audit = good ? answer_of(ctl, "audit", json_object()) : NULL;
		if (audit)
			json_object_set_new(document, "audit", picture_audit(audit));
		json_decref(audit);
	}
	if (good && strcmp(ctl->verb->name, "svg") != 0)
		add_frames(ctl, document);
	status = good ? write_as(ctl->verb->name, ctl_text(ctl->arguments, "operand"), document,
				 ctl->cli)
		      : ctl_failed(ctl, -EINVAL);
	json_decref(document);
	json_decref(areas);
	return status;
}

/* ---- any other: the verbs are done here ---- */

/* What the verb of that name would print; NULL where it could not. */
static json_t *foreign_answer(struct foreign *foreign, const char *name)
{
	const struct foreign_verb *verb = foreign_verb_find(name);
	json_t *answer = NULL;

	foreign->answer_out = &answer;
	verb->run(foreign);
	foreign->answer_out = NULL;
	return answer;
}

enum cli_status foreign_picture(struct foreign *foreign)
{
	bool page = !strcmp(foreign->ctl.verb->name, "html");
	json_t *document = picture_create("A guest's memory"), *areas, *maps, *audit;
	enum cli_status status;

	areas = foreign_answer(foreign, "areas");
	maps = page ? foreign_answer(foreign, "maps") : NULL;
	audit = page && areas ? foreign_answer(foreign, "audit") : NULL;
	picture_about(document, "source", "%s", source_about(foreign->source));
	if (foreign->linux_guest)
		picture_about(document, "kernel", "%s", linux_facts(foreign->linux_guest)->release);
	if (areas)
		json_object_set_new(document, "areas",
				    picture_areas(json_object_get(areas, "areas")));
	if (maps)
		json_object_set_new(document, "maps",
				    picture_maps(json_object_get(maps, "maps"),
						 foreign->inspect.paging.levels));
	if (audit)
		json_object_set_new(document, "audit", picture_audit(audit));
	status = areas || maps ? write_as(foreign->ctl.verb->name, foreign->operands[0], document,
					  &foreign->cli)
			       : CLI_HOST;
	json_decref(areas);
	json_decref(maps);
	json_decref(audit);
	json_decref(document);
	return status;
}
