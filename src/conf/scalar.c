/* SPDX-License-Identifier: MIT */
/*
 * scalar.c - numbers, durations, names and patterns; see scalar.h.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "scalar.h"
#include "warp/pattern.h"

/* --- numbers ------------------------------------------------------------------------------ */

/* Decimal digits and nothing else, at most 18 of them. */
static bool read_number(const char *text, size_t size, u64 *ret)
{
	u64 number = 0;
	size_t i;

	if (size == 0 || size > 18)
		return false;
	for (i = 0; i < size; i++) {
		if (text[i] < '0' || text[i] > '9')
			return false;
		number = number * 10 + (u64)(text[i] - '0');
	}
	*ret = number;
	return true;
}

static int parse_number(struct reader *r, const struct schema_key *key, const struct value *v,
			u64 *ret)
{
	u64 number;

	if (!read_number(v->text, v->size, &number))
		return reader_fail(r, v->place,
				   "%s must be a number from %" PRIu64 " to %" PRIu64 ", not '%s'",
				   key->name, key->min, key->max, SHOWN(v));
	if (number < key->min || number > key->max)
		return reader_fail(r, v->place,
				   "%s is %" PRIu64 "; it must be from %" PRIu64 " to %" PRIu64,
				   key->name, number, key->min, key->max);
	*ret = number;
	return 0;
}

int parse_u16(struct reader *r, const struct schema_key *key, const struct value *v, void *ret)
{
	u64 number = 0;
	int error = parse_number(r, key, v, &number);

	if (!error)
		*(u16 *)ret = (u16)number;
	return error;
}

int parse_u32(struct reader *r, const struct schema_key *key, const struct value *v, void *ret)
{
	u64 number = 0;
	int error = parse_number(r, key, v, &number);

	if (!error)
		*(u32 *)ret = (u32)number;
	return error;
}

int parse_mtu(struct reader *r, const struct schema_key *key, const struct value *v, void *ret)
{
	u64 number;

	if (strcmp(v->text, "auto") == 0) {
		*(u32 *)ret = 0;
		return 0;
	}
	if (!read_number(v->text, v->size, &number) || number < key->min || number > key->max)
		return reader_fail(r, v->place,
				   "%s must be 'auto' or a number from %" PRIu64 " to %" PRIu64
				   ", not '%s'",
				   key->name, key->min, key->max, SHOWN(v));
	*(u32 *)ret = (u32)number;
	return 0;
}

int parse_mode(struct reader *r, const struct schema_key *key, const struct value *v, void *ret)
{
	u32 mode = 0;
	size_t i;

	for (i = 0; i < v->size && v->text[i] >= '0' && v->text[i] <= '7' && mode <= 0777; i++)
		mode = mode * 8 + (u32)(v->text[i] - '0');
	if (i < v->size || v->size < 3 || mode > 0777)
		return reader_fail(
			r, v->place,
			"%s must be permission bits in octal, such as \"0660\", not '%s'",
			key->name, SHOWN(v));
	*(u32 *)ret = mode;
	return 0;
}

/* --- words -------------------------------------------------------------------------------- */

int parse_choice(struct reader *r, const struct schema_key *key, const struct value *v,
		 const char *const *words, size_t *ret_index)
{
	char known[128] = "";
	size_t i, at = 0;

	for (i = 0; words[i]; i++) {
		if (strcmp(words[i], v->text) == 0) {
			*ret_index = i;
			return 0;
		}
		if (at < sizeof(known))
			at += (size_t)snprintf(known + at, sizeof(known) - at, "%s%s",
					       i ? ", " : "", words[i]);
	}
	return reader_fail(r, v->place, "%s must be one of %s, not '%s'", key->name, known,
			   SHOWN(v));
}

int parse_bool(struct reader *r, const struct schema_key *key, const struct value *v, void *ret)
{
	static const char *const words[] = { "true", "false", "yes", "no", "on", "off", NULL };
	size_t index;

	if (parse_choice(r, key, v, words, &index))
		return reader_fail(r, v->place, "%s must be true or false, not '%s'", key->name,
				   SHOWN(v));
	*(bool *)ret = index % 2 == 0;
	return 0;
}

static bool is_name(const char *text)
{
	return text[strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
				 "._-")] == 0;
}

int parse_name(struct reader *r, const struct schema_key *key, const struct value *v, void *ret)
{
	if (v->size >= key->size)
		return reader_fail(r, v->place, "%s has %zu characters; at most %zu are possible",
				   key->name, v->size, key->size - 1);
	if (!is_name(v->text))
		return reader_fail(r, v->place,
				   "%s '%s' may have only letters, digits and the characters . _ -",
				   key->name, SHOWN(v));
	memcpy(ret, v->text, v->size + 1);
	return 0;
}

int parse_ifname(struct reader *r, const struct schema_key *key, const struct value *v, void *ret)
{
	if (v->size >= IFNAME_SIZE)
		return reader_fail(r, v->place,
				   "%s '%s' is too long; a name of an interface has at most %u "
				   "characters",
				   key->name, SHOWN(v), IFNAME_SIZE - 1);
	if (!is_name(v->text) || strcmp(v->text, ".") == 0 || strcmp(v->text, "..") == 0)
		return reader_fail(
			r, v->place,
			"%s '%s' cannot be the name of an interface; use letters and digits",
			key->name, SHOWN(v));
	memcpy(ret, v->text, v->size + 1);
	return 0;
}

int parse_socket_path(struct reader *r, const struct schema_key *key, const struct value *v,
		      void *ret)
{
	if (v->text[0] != '/' || v->text[v->size - 1] == '/')
		return reader_fail(r, v->place, "%s '%s' must be the absolute path of a file",
				   key->name, SHOWN(v));
	if (v->size >= key->size)
		return reader_fail(r, v->place,
				   "%s has %zu characters; a socket's path has at most %zu",
				   key->name, v->size, key->size - 1);
	memcpy(ret, v->text, v->size + 1);
	return 0;
}

int parse_word(struct reader *r, const struct schema_key *key, const struct value *v, void *ret)
{
	char *copy = reader_alloc(r, v->size + 1);

	(void)key;
	if (!copy)
		return -ENOMEM;
	memcpy(copy, v->text, v->size + 1);
	*(char **)ret = copy;
	return 0;
}

/* --- durations ---------------------------------------------------------------------------- */

static const struct unit {
	const char *name;
	u64 ns;
} units[] = {
	{ "us", NS_PER_US },    { "ms", NS_PER_MS },      { "s", NS_PER_S },
	{ "m", 60 * NS_PER_S }, { "h", 3600 * NS_PER_S }, { "", NS_PER_S },
};

/* In the largest unit that divides it. */
static const char *show_duration(char ret[static 32], u64 ns)
{
	const struct unit *unit = &units[0];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(units) - 1; i++) {
		if (ns % units[i].ns == 0 && ns)
			unit = &units[i];
	}
	snprintf(ret, 32, "%" PRIu64 "%s", ns / unit->ns, ns ? unit->name : "");
	return ret;
}

/* "12", "1.5": whole and thousandths. */
static bool read_decimal(const char *text, size_t size, u64 *ret_whole, u64 *ret_thousandths)
{
	const char *dot = memchr(text, '.', size);
	size_t whole = dot ? (size_t)(dot - text) : size, digits = dot ? size - whole - 1 : 0;

	*ret_thousandths = 0;
	if (!read_number(text, whole, ret_whole))
		return false;
	if (!dot)
		return true;
	if (digits > 3 || !read_number(dot + 1, digits, ret_thousandths))
		return false;
	for (; digits < 3; digits++)
		*ret_thousandths *= 10;
	return true;
}

static bool read_duration(const struct value *v, u64 *ret)
{
	size_t size = strspn(v->text, "0123456789."), i;
	u64 whole, thousandths;

	if (!read_decimal(v->text, size, &whole, &thousandths))
		return false;
	for (i = 0; i < ARRAY_SIZE(units); i++) {
		if (strcmp(v->text + size, units[i].name) != 0)
			continue;
		/* No duration here is as long as a year. */
		if (whole > 366 * 86400 * NS_PER_S / units[i].ns)
			return false;
		*ret = whole * units[i].ns + thousandths * units[i].ns / 1000;
		return true;
	}
	return false;
}

int parse_duration(struct reader *r, const struct schema_key *key, const struct value *v, void *ret)
{
	char least[32], most[32];
	u64 ns;

	if (!read_duration(v, &ns))
		return reader_fail(
			r, v->place,
			"%s must be a duration such as 5 (seconds), 250ms or 10us, not '%s'",
			key->name, SHOWN(v));
	if (ns < key->min || ns > key->max)
		return reader_fail(r, v->place, "%s is %s; it must be from %s to %s", key->name,
				   SHOWN(v), show_duration(least, key->min),
				   show_duration(most, key->max));
	*(u64 *)ret = ns;
	return 0;
}

/* --- rates -------------------------------------------------------------------------------- */

static bool read_rate(const struct value *v, u64 *ret)
{
	static const struct {
		const char *name;
		u64 bits;
	} rates[] = { { "bit", 1 }, { "kbit", 1000 }, { "mbit", 1000000 }, { "gbit", 1000000000 } };
	size_t size = strspn(v->text, "0123456789.");
	u64 whole, thousandths;

	if (!read_decimal(v->text, size, &whole, &thousandths) || whole > 1000000)
		return false;
	*ret = 0;
	if (!whole && !thousandths && !v->text[size])
		return true;
	for (size_t i = 0; i < ARRAY_SIZE(rates); i++) {
		if (strcmp(v->text + size, rates[i].name) != 0)
			continue;
		*ret = whole * rates[i].bits + thousandths * rates[i].bits / 1000;
		return true;
	}
	return false;
}

int parse_rate(struct reader *r, const struct schema_key *key, const struct value *v, void *ret)
{
	u64 rate;

	if (!read_rate(v, &rate))
		return reader_fail(r, v->place,
				   "%s must be a rate such as 500kbit or 10mbit, not '%s'",
				   key->name, SHOWN(v));
	if (rate < key->min || rate > key->max)
		return reader_fail(r, v->place,
				   "%s is %s; it must be from %" PRIu64 "bit to %" PRIu64 "gbit",
				   key->name, SHOWN(v), key->min, key->max / 1000000000);
	*(u64 *)ret = rate;
	return 0;
}

/* --- sizes -------------------------------------------------------------------------------- */

/* As those who sell data count: kB, MB, GB and TB are powers of ten. */
static bool read_size(const struct value *v, u64 *ret)
{
	static const struct {
		const char *name;
		u64 bytes;
	} sizes[] = { { "B", 1 },
		      { "kB", 1000 },
		      { "MB", 1000000 },
		      { "GB", 1000000000 },
		      { "TB", 1000000000000 },
		      { "KiB", UINT64_C(1) << 10 },
		      { "MiB", UINT64_C(1) << 20 },
		      { "GiB", UINT64_C(1) << 30 },
		      { "TiB", UINT64_C(1) << 40 } };
	size_t digits = strspn(v->text, "0123456789.");
	const char *unit = v->text + digits + strspn(v->text + digits, " ");
	u64 whole, thousandths;

	if (!read_decimal(v->text, digits, &whole, &thousandths))
		return false;
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		if (strcmp(unit, sizes[i].name) != 0)
			continue;
		if (whole > (UINT64_C(1) << 60) / sizes[i].bytes)
			return false;
		*ret = whole * sizes[i].bytes + thousandths * sizes[i].bytes / 1000;
		return true;
	}
	return false;
}

int parse_size(struct reader *r, const struct schema_key *key, const struct value *v, void *ret)
{
	u64 size;

	if (!read_size(v, &size))
		return reader_fail(r, v->place,
				   "%s must be an amount of data such as 500MB or 20GB, not '%s'",
				   key->name, SHOWN(v));
	if (size < key->min || size > key->max)
		return reader_fail(r, v->place,
				   "%s is %s; it must be from %" PRIu64 "MB to %" PRIu64 "TB",
				   key->name, SHOWN(v), key->min / 1000000,
				   key->max / 1000000000000);
	*(u64 *)ret = size;
	return 0;
}

/* --- patterns ----------------------------------------------------------------------------- */

int parse_pattern(struct reader *r, const struct schema_key *key, const struct value *v, void *ret)
{
	char why[128];
	int error = pattern_check(v->text, why, sizeof(why));

	if (error == -ENOMEM)
		return reader_fail_errno(r, ENOMEM, v->place, "there is no memory");
	if (error)
		return reader_fail(r, v->place, "%s: '%s' is not a regular expression: %s",
				   key->name, SHOWN(v), why);
	return parse_word(r, key, v, ret);
}
