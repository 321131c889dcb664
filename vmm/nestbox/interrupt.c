/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Ctrl-C, as vmm/nestbox/interrupt.h says. */
#include "vmm/nestbox/interrupt.h"

#include <signal.h>

static struct guest *working;
static volatile sig_atomic_t seen;
static struct sigaction before;

/* guest_cancel() is a store. */
static void on_interrupt(int number)
{
	if (seen) {
		signal(number, SIG_DFL);
		raise(number);
	}
	seen = 1;
	for (unsigned int i = 0; i < guest_nr_vcpus(working); i++)
		guest_cancel(working, i, true);
}

void interrupt_begin(struct guest *guest)
{
	const struct sigaction action = {.sa_handler = on_interrupt, .sa_flags = SA_RESTART};

	working = guest;
	seen = 0;
	sigaction(SIGINT, &action, &before);
}

void interrupt_end(void)
{
	sigaction(SIGINT, &before, NULL);
	working = NULL;
}

bool interrupt_seen(void)
{
	return seen != 0;
}
