/* SPDX-License-Identifier: MIT */
/*
 * strategy.c - the table of strategies, in the order in which they are tried. To add one: a file with a
 * struct strategy, under a number that none has had yet, and its line here.
 */
#include "punch.h"

const struct strategy *const strategies[STRATEGIES] = {
	&strategy_direct,  &strategy_reverse, &strategy_punch, &strategy_override,
	&strategy_predict, &strategy_probe,   &strategy_relay,
};

const struct strategy *strategy_numbered(u8 number)
{
	for (u32 n = 0; n < STRATEGIES; n++) {
		if (strategies[n]->number == number)
			return strategies[n];
	}
	return NULL;
}

enum nat_answer strategy_dependence(const struct wire_nat *nat)
{
	if ((nat->flags & WIRE_NAT_DEPENDENT) || nat->mapping == NAT_MAPPING_ADDRESS ||
	    nat->mapping == NAT_MAPPING_ADDRESS_AND_PORT)
		return NAT_YES;
	return nat->mapping == NAT_MAPPING_UNKNOWN ? NAT_UNKNOWN : NAT_NO;
}

bool strategy_dependent(const struct wire_nat *nat)
{
	return strategy_dependence(nat) == NAT_YES;
}

bool strategy_suits(const struct strategy *strategy, const struct sides *s)
{
	if (strategy_verdict(&s->ours) == NAT_VERDICT_BLOCKED ||
	    strategy_verdict(&s->theirs) == NAT_VERDICT_BLOCKED)
		return strategy->last;
	return strategy->possible(s);
}

enum nat_verdict strategy_verdict(const struct wire_nat *nat)
{
	return (enum nat_verdict)(nat->flags >> 3);
}
