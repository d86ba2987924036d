/* SPDX-License-Identifier: MIT */
/*
 * target.c - what a tunnel of the mode auto is to achieve; see target.h.
 */
#include "target.h"

#include <stdlib.h>
#include <string.h>

#include "scalar.h"

#define RESIDUAL_LOSS 1e-4
#define RESIDUAL_LOSS_MIN 1e-9
#define RESIDUAL_LOSS_MAX 0.5
#define WITHIN (100 * NS_PER_MS)
#define MAX_OVERHEAD 2.0
#define MAX_OVERHEAD_MOST 64.0

void target_complete(struct plan_target *target)
{
	if (target->residual_loss <= 0)
		target->residual_loss = RESIDUAL_LOSS;
	if (target->within == 0)
		target->within = WITHIN;
	if (target->max_overhead <= 0)
		target->max_overhead = MAX_OVERHEAD;
}

/* "0.0001", "1e-4"; what follows is left in *ret_rest. */
static bool read_number(const char *text, double *ret, const char **ret_rest)
{
	char *end;

	if (text[strspn(text, "0123456789.eE+-%")] != '\0')
		return false;
	*ret = strtod(text, &end);
	*ret_rest = end;
	return end != text;
}

static int parse_share(struct reader *r, const struct schema_key *key, const struct value *v,
		       void *ret)
{
	const char *rest = "";
	double share = 0;
	const bool good = read_number(v->text, &share, &rest);
	const bool percent = strcmp(rest, "%") == 0;

	if (!good || (*rest && !percent))
		return reader_fail(r, v->place,
				   "%s must be a share such as 1e-4, 0.0001 or 0.01%%, not '%s'",
				   key->name, SHOWN(v));
	if (percent)
		share /= 100;
	if (share < RESIDUAL_LOSS_MIN || share > RESIDUAL_LOSS_MAX)
		return reader_fail(r, v->place, "%s is %s; it must be from 1e-9 to 0.5", key->name,
				   SHOWN(v));
	*(double *)ret = share;
	return 0;
}

static int parse_factor(struct reader *r, const struct schema_key *key, const struct value *v,
			void *ret)
{
	const char *rest = "";
	double factor = 0;

	if (!read_number(v->text, &factor, &rest) || *rest)
		return reader_fail(r, v->place, "%s must be a number such as 1.6, not '%s'",
				   key->name, SHOWN(v));
	if (factor < 1 || factor > MAX_OVERHEAD_MOST)
		return reader_fail(r, v->place,
				   "%s is %s; it must be from 1 to 64, in datagrams a payload",
				   key->name, SHOWN(v));
	*(double *)ret = factor;
	return 0;
}

#define AT(member) offsetof(struct conf_tunnel, target.member)
static const struct schema_key keys[] = {
	{ .name = "residual_loss", .offset = AT(residual_loss), .parse = parse_share },
	{ .name = "within",
	  .offset = AT(within),
	  .parse = parse_duration,
	  .min = TARGET_WITHIN_MIN,
	  .max = TARGET_WITHIN_MAX },
	{ .name = "max_overhead", .offset = AT(max_overhead), .parse = parse_factor },
};
#undef AT
const struct schema target_schema = SCHEMA(keys, NULL);
