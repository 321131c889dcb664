/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Sizes and sets of numbers as libvirt writes them. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "vmm/domain/domain.h"

/* The power behind a unit's first letter. */
static int power_of(char letter)
{
	const char *letters = "kmgtpe";
	const char *at = letter ? strchr(letters, letter | 0x20) : NULL;

	return at ? (int)(at - letters) + 1 : -1;
}

int domain_scale(uint64_t value, const char *unit, uint64_t *bytes_out)
{
	uint64_t base = 1024, scale = 1;
	int power;

	if (!unit)
		unit = "KiB";
	if (!strcasecmp(unit, "b") || !strcasecmp(unit, "byte") || !strcasecmp(unit, "bytes")) {
		*bytes_out = value;
		return 0;
	}
	power = power_of(unit[0]);
	if (power < 0)
		return -EINVAL;
	if (!strcasecmp(unit + 1, "b"))
		base = 1000;
	else if (unit[1] && strcasecmp(unit + 1, "ib") != 0)
		return -EINVAL;
	while (power-- > 0)
		scale *= base;
	if (value > UINT64_MAX / scale)
		return -ERANGE;
	*bytes_out = value * scale;
	return 0;
}

void domain_set_add(struct domain_set *set, unsigned int number)
{
	if (number < DOMAIN_SET_MAX)
		set->bits[number / 64] |= 1ull << number % 64;
}

bool domain_set_has(const struct domain_set *set, unsigned int number)
{
	return number < DOMAIN_SET_MAX && set->bits[number / 64] >> number % 64 & 1;
}

unsigned int domain_set_count(const struct domain_set *set)
{
	unsigned int count = 0;

	for (size_t i = 0; i < DOMAIN_SET_MAX / 64; i++)
		count += (unsigned int)__builtin_popcountll(set->bits[i]);
	return count;
}

/* A number of the set at *@text, which is moved behind it. */
static int take_number(const char **text, unsigned int *number_out)
{
	unsigned int number = 0;

	if (**text < '0' || **text > '9')
		return -EINVAL;
	for (; **text >= '0' && **text <= '9'; ++*text) {
		number = number * 10 + (unsigned int)(**text - '0');
		if (number >= DOMAIN_SET_MAX)
			return -EINVAL;
	}
	*number_out = number;
	return 0;
}

int domain_set_parse(const char *text, struct domain_set *set_out)
{
	struct domain_set set = {{0}};

	for (;;) {
		unsigned int first, last;
		bool without = *text == '^';

		text += without;
		if (take_number(&text, &first))
			return -EINVAL;
		last = first;
		if (*text == '-' &&
		    (without || (text++, take_number(&text, &last)) || last < first))
			return -EINVAL;
		for (unsigned int n = first; n <= last; n++) {
			if (without)
				set.bits[n / 64] &= ~(1ull << n % 64);
			else
				domain_set_add(&set, n);
		}
		if (!*text)
			break;
		if (*text++ != ',')
			return -EINVAL;
	}
	*set_out = set;
	return 0;
}
