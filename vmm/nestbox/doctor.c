/* SPDX-License-Identifier: GPL-2.0-or-later */
/* nestbox doctor: KVM examined, and what was found told. */
#include "vmm/nestbox/doctor.h"

#include <string.h>
#include <unistd.h>

#include "ept/kvm_fd.h"
#include "vmm/base/cli.h"
#include "vmm/nestbox/commands.h"
#include "vmm/nestbox/guest_options.h"
#include "vmm/machine/guest.h"

enum doctor_verdict doctor_verdict(const struct doctor *doctor)
{
	enum doctor_verdict worst = DOCTOR_OK;

	for (size_t i = 0; i < doctor->nr_findings; i++) {
		if (doctor->findings[i].verdict > worst)
			worst = doctor->findings[i].verdict;
	}
	return worst;
}

/* ---- KVM ---- */

static bool is_soft(const struct doctor *doctor)
{
	return strcmp(doctor->host.module, "soft") == 0;
}

static void examine_stage(struct doctor *doctor)
{
	const struct kvm_host *host = &doctor->host;
	const char *remedy = NULL;

	if (strcmp(host->second_stage, "shadow") != 0) {
		doctor_add(doctor, "second-stage", DOCTOR_OK, NULL, "%s, in %s", host->second_stage,
			   is_soft(doctor) ? "this program" : "hardware");
		return;
	}
	if (strcmp(host->module, "kvm_intel") == 0)
		remedy = "switched off: modprobe -r kvm_intel && modprobe kvm_intel ept=1";
	else if (strcmp(host->module, "kvm_amd") == 0)
		remedy = "switched off: modprobe -r kvm_amd && modprobe kvm_amd npt=1";
	else
		remedy = "only a host with kvm_intel or kvm_amd has one in hardware; scripts/lab "
			 "(installed: nestbox-lab) gives you either, emulated";
	doctor_add(doctor, "second-stage", DOCTOR_LIMITED, remedy,
		   "shadow paging: everything works, but KVM emulates or traps what the guest's "
		   "kernel does, and there is no second stage to look at");
}

static void examine_cpuid(struct doctor *doctor)
{
	const struct kvm_host *host = &doctor->host;

	doctor_add(doctor, "guest-physical-bits",
		   host->physical_bits >= 41 ? DOCTOR_OK : DOCTOR_LIMITED,
		   host->physical_bits >= 41 ? NULL
					     : "guests of 1 TiB and more do not fit; no remedy",
		   "%u", host->physical_bits);
	doctor_add(doctor, "guest-1g-pages", host->pages_1g ? DOCTOR_OK : DOCTOR_LIMITED,
		   host->pages_1g ? NULL : "the direct map uses 2 MiB pages; no remedy", "%s",
		   host->pages_1g ? "yes" : "no");
	doctor_add(doctor, "guest-la57", host->la57 ? DOCTOR_OK : DOCTOR_LIMITED,
		   host->la57 ? NULL : "no 5-level paging in the guest; no remedy", "%s",
		   host->la57 ? "yes" : "no");
}

static void examine_capabilities(struct doctor *doctor)
{
	const struct kvm_capability *caps = kvm_capabilities();

	for (size_t i = 0; i < doctor->host.nr_capabilities; i++) {
		int value = doctor->host.capability[i];
		enum doctor_verdict missing = caps[i].required ? DOCTOR_MISSING : DOCTOR_LIMITED;

		doctor_add(doctor, caps[i].name, value > 0 ? DOCTOR_OK : missing,
			   value > 0         ? NULL
			   : is_soft(doctor) ? "the soft engine has no such thing: see --kvm host"
					     : caps[i].remedy,
			   "%s%d: %s", value > 0 ? "" : "missing, ", value, caps[i].gives);
	}
}

/* The proof: a guest of the smallest size answers. */
static void examine_guest(struct doctor *doctor, enum kvm_engine engine)
{
	struct guest_config config = {.engine = engine, .memory_bytes = MEMORY_BYTES_MIN};
	struct guest_report report;
	struct error error;
	struct guest *guest;
	int err = guest_start(&config, &guest, &report, &error);

	if (err) {
		doctor_add(doctor, "guest", DOCTOR_MISSING, error.text, "does not start");
		return;
	}
	doctor_add(doctor, "guest", DOCTOR_OK, NULL,
		   "starts: first hypercall answered after %.1f ms",
		   guest_times(guest)->started * 1e3);
	guest_destroy(guest);
}

/* What auto comes to; and why it is not the host's, where it is not. */
static enum kvm_engine choose(struct doctor *doctor)
{
	struct error error;
	int fd;

	if (kvm_open(KVM_HOST, &fd, &error) == 0) {
		kvm_close(fd);
		return KVM_HOST;
	}
	doctor_add(doctor, "kvm-host", DOCTOR_LIMITED, error.text,
		   "cannot be used: the soft engine runs guests");
	return KVM_SOFT;
}

static void examine_kvm(struct doctor *doctor, enum kvm_engine engine)
{
	struct error error;
	int fd;

	if (engine == KVM_AUTO)
		engine = choose(doctor);
	if (kvm_open(engine, &fd, &error) != 0) {
		doctor_add(doctor, "kvm", DOCTOR_MISSING, error.text, "cannot be used");
		return;
	}
	doctor->have_host = kvm_host_probe(fd, "/sys", &doctor->host, &error) == 0;
	kvm_close(fd);
	if (!doctor->have_host) {
		doctor_add(doctor, "kvm", DOCTOR_MISSING, error.text, "cannot be examined");
		return;
	}
	doctor_add(doctor, "kvm", DOCTOR_OK, NULL, "%s, Linux %s", doctor->host.module,
		   doctor->host.kernel);
	examine_stage(doctor);
	examine_guest(doctor, engine);
	examine_cpuid(doctor);
	examine_capabilities(doctor);
}

/* What confines this program, and so the others. */
static void examine_sandbox(struct doctor *doctor)
{
	bool files = sandbox_landlock_abi() > 0;

	doctor_add(doctor, "sandbox", files ? DOCTOR_OK : DOCTOR_LIMITED,
		   files ? NULL
			 : "files are not confined: Linux has Landlock from 5.13 on, with "
			   "CONFIG_SECURITY_LANDLOCK and lsm=landlock,...",
		   "%s", sandbox_words());
}

void doctor_examine(struct doctor *doctor, enum kvm_engine engine)
{
	memset(doctor, 0, sizeof(*doctor));
	examine_kvm(doctor, engine);
	examine_sandbox(doctor);
	doctor_examine_host(doctor);
}

/* ---- telling ---- */

static const char *verdict_name(enum doctor_verdict verdict)
{
	return verdict == DOCTOR_OK ? "ok" : verdict == DOCTOR_LIMITED ? "limited" : "missing";
}

void doctor_print(const struct doctor *doctor, FILE *file)
{
	for (size_t i = 0; i < doctor->nr_findings; i++) {
		const struct doctor_finding *finding = &doctor->findings[i];

		fprintf(file, "%-8s %-28s %s\n", verdict_name(finding->verdict), finding->name,
			finding->value);
		if (finding->remedy[0])
			fprintf(file, "%-8s %-28s   %s\n", "", "", finding->remedy);
	}
	fprintf(file, "\n%s\n",
		doctor_verdict(doctor) == DOCTOR_MISSING
			? "nestbox cannot run here: see what is missing above"
			: "nestbox runs here");
}

json_t *doctor_json(const struct doctor *doctor)
{
	json_t *findings = json_array();
	json_t *json;

	for (size_t i = 0; i < doctor->nr_findings; i++) {
		const struct doctor_finding *finding = &doctor->findings[i];

		json_array_append_new(findings,
				      json_pack("{s:s, s:s, s:s, s:s}", "name", finding->name,
						"verdict", verdict_name(finding->verdict), "value",
						finding->value, "remedy", finding->remedy));
	}
	json = json_pack("{s:b, s:o}", "usable", doctor_verdict(doctor) != DOCTOR_MISSING,
			 "findings", findings);
	if (json && doctor->have_host) {
		json_object_set_new(json, "kernel", json_string(doctor->host.kernel));
		json_object_set_new(json, "kvm",
				    json_pack("{s:s, s:s}", "module", doctor->host.module,
					      "second_stage", doctor->host.second_stage));
	}
	return json;
}

int command_doctor(const struct program *program, int argc, char **argv)
{
	static struct doctor doctor;
	bool as_json = false;
	struct guest_options guest = GUEST_OPTIONS_DEFAULT;
	const struct confined_to to = {.reads_all = true};
	const struct cli_option options[] = {CLI_OPTION_JSON(&as_json),
					     GUEST_OPTION_KVM(&guest.engine),
					     GUEST_OPTION_SANDBOX(&guest.sandbox),
					     {0}};
	const struct cli_command command = {
		.name = "nestbox doctor",
		.operands = "",
		.summary = "Says what this host's KVM is, what nestbox can do with it, and what to "
			   "do about\nwhat is missing. Starts one small guest and ends it.",
		.options = options,
	};
	enum cli_status status;
	json_t *json;
	int operand;

	(void)program;
	if (!cli_parse(&command, argc, argv, &operand, &status))
		return status;
	status = guest_options_confine(&command, &guest, &to);
	if (status != CLI_DONE)
		return status;
	doctor_examine(&doctor, guest.engine);
	status = doctor_verdict(&doctor) == DOCTOR_MISSING ? CLI_HOST : CLI_DONE;
	if (!as_json) {
		doctor_print(&doctor, stdout);
		return status;
	}
	json = doctor_json(&doctor);
	if (!json || json_dumpf(json, stdout, JSON_INDENT(2)) != 0) {
		cli_error(&command, "no memory for the report");
		status = CLI_HOST;
	}
	printf("\n");
	json_decref(json);
	return status;
}
