/* SPDX-License-Identifier: MIT */
/*
 * policy.c - what an interface costs and may carry: one item of interfaces.policy; see policy.h.
 */
#include "policy.h"

#include "scalar.h"

#define RATE_LEAST 8000u /* bits a second: probes and keys must pass */
#define RATE_MOST UINT64_C(1000000000000)
#define QUOTA_LEAST UINT64_C(1000000)
#define QUOTA_MOST UINT64_C(1000000000000000)

static int parse_cost(struct reader *r, const struct schema_key *key, const struct value *v,
		      void *ret)
{
	static const char *const words[] = {
		[COST_FREE] = "free", [COST_METERED] = "metered", [COST_BACKUP] = "backup", NULL
	};
	size_t index = 0;
	int error = parse_choice(r, key, v, words, &index);

	if (!error)
		*(enum iface_cost *)ret = (enum iface_cost)index;
	return error;
}

/* What an interface becomes whose quota is used up. */
static int parse_over_quota(struct reader *r, const struct schema_key *key, const struct value *v,
			    void *ret)
{
	static const char *const words[] = { "backup", "stop", NULL };
	size_t index = 0;
	int error = parse_choice(r, key, v, words, &index);

	if (!error)
		*(enum iface_cost *)ret = index ? COST_BARRED : COST_BACKUP;
	return error;
}

/* Bits a second are what people write, bytes what is counted. */
static int parse_byte_rate(struct reader *r, const struct schema_key *key, const struct value *v,
			   void *ret)
{
	u64 bits = 0;
	int error = parse_rate(r, key, v, &bits);

	if (!error)
		*(u64 *)ret = bits / 8;
	return error;
}

static int finish(struct reader *r, const struct mapping *m)
{
	const struct conf_policy *policy = m->base;

	if (mapping_has(m, "over_quota") && !policy->monthly_quota)
		return reader_fail(r, mapping_place(m, "over_quota"),
				   "over_quota needs a monthly_quota; add it or remove the line");
	return 0;
}

#define AT(member) offsetof(struct conf_policy, member)
static const struct schema_key keys[] = {
	{ .name = "match",
	  .shape = SHAPE_LIST,
	  .offset = AT(match),
	  .count_offset = AT(match_count),
	  .size = sizeof(char *),
	  .most = 16,
	  .parse = parse_pattern,
	  .required = true },
	{ .name = "cost", .offset = AT(policy.cost), .parse = parse_cost, .fallback = "free" },
	{ .name = "weight",
	  .offset = AT(policy.weight),
	  .parse = parse_u32,
	  .min = 1,
	  .max = WEIGHT_MAX,
	  .fallback = "1" },
	{ .name = "rate_limit",
	  .offset = AT(policy.rate_limit),
	  .parse = parse_byte_rate,
	  .min = RATE_LEAST,
	  .max = RATE_MOST },
	{ .name = "monthly_quota",
	  .offset = AT(monthly_quota),
	  .parse = parse_size,
	  .min = QUOTA_LEAST,
	  .max = QUOTA_MOST },
	{ .name = "over_quota",
	  .offset = AT(over_quota),
	  .parse = parse_over_quota,
	  .fallback = "backup" },
};
#undef AT
const struct schema policy_schema = SCHEMA(keys, finish);
