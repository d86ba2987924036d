/* SPDX-License-Identifier: MIT */
/*
 * natask.c - how the tests of a NAT are asked: the spare socket, the questions of the present phase,
 * and how often and how long they are repeated.
 */
#include "natclass_internal.h"

#include <string.h>

#define WAIT_FIRST (400 * NS_PER_MS) /* for an answer to one of the first few tries */
#define QUICK_TRIES 4u
#define HAIRPIN_WAIT (100 * NS_PER_MS)
#define OPEN_WAIT (5 * NS_PER_S)

/* --- the spare socket ------------------------------------------------------------------------ */

void ask_spare_drop(struct natclass *c)
{
	c->leftover |= c->spare == SPARE_OPENING || c->spare == SPARE_OPENED;
	c->spare = SPARE_CLOSED;
}

/* A new one, that nothing was sent from. */
static void spare_renew(struct natclass *c, u16 port)
{
	ask_spare_drop(c);
	c->spare = SPARE_WANTED;
	c->spare_wish = port;
}

/* --- phases ---------------------------------------------------------------------------------- */

bool ask_uses_spare(enum natclass_phase phase)
{
	return phase == NATCLASS_FILTER || phase == NATCLASS_STEP || phase == NATCLASS_LIFE_OPEN;
}

void ask_again(struct natclass *c, u64 now)
{
	if (ask_uses_spare(c->phase) && c->spare != SPARE_OPENED)
		return;
	c->due = true;
	c->tries++;
	c->at = now;
}

void ask_enter(struct natclass *c, u64 now, enum natclass_phase phase)
{
	c->phase = phase;
	c->first = c->serial + 1;
	c->tries = 0;
	c->confirmed = 0;
	c->confirmed_serial = 0;
	c->due = false;
	c->at = now;
	ask_again(c, now);
}

void ask_enter_with_spare(struct natclass *c, u64 now, enum natclass_phase phase, u16 port)
{
	spare_renew(c, port);
	ask_enter(c, now, phase);
	c->at = now + OPEN_WAIT;
}

u64 natclass_next_expiry(const struct natclass *c)
{
	return c->leftover || c->spare == SPARE_WANTED || c->due ? 0 : c->at;
}

/* --- sending --------------------------------------------------------------------------------- */

static void add_question(struct natclass_action *a, u64 serial, u8 which, u8 how, u16 port)
{
	a->question[a->count++] = (struct natclass_question){ serial << 2 | which, how, port };
}

static void write_questions(struct natclass *c, struct natclass_action *ret)
{
	u8 to = 0;

	if (c->phase == NATCLASS_AT_ADDRESS)
		to = c->other_address;
	if (c->phase == NATCLASS_AT_PORT)
		to = c->other_port;
	*ret = (struct natclass_action){ .kind = NATCLASS_ASK, .to = c->map[to] };
	ret->socket = ask_uses_spare(c->phase) ? NATCLASS_SPARE : NATCLASS_OWN;
	add_question(ret, c->serial, CONTROL, NATCLASS_SAME, 0);
	if (c->phase == NATCLASS_FILTER) {
		add_question(ret, c->serial, BY_PORT, NATCLASS_OTHER_PORT, 0);
		add_question(ret, c->serial, BY_ADDRESS, NATCLASS_OTHER_ADDRESS, 0);
	}
	if (c->phase == NATCLASS_LIFE_ASK)
		add_question(ret, c->serial, BY_PORT, NATCLASS_SAME, c->spare_seen.port);
}

static void send_questions(struct natclass *c, u64 now, struct natclass_action *ret)
{
	c->due = false;
	c->serial++;
	c->asked_at = now;
	if (c->tries == 1)
		c->asked_first = now;
	c->at = now + (c->tries <= QUICK_TRIES ? WAIT_FIRST : WAIT_LATER);
	write_questions(c, ret);
	if (ret->socket == NATCLASS_SPARE)
		c->spare_used = now;
}

/* In turn from either socket to the other's mapping: where the NAT filters, what goes out in one
 * direction lets in what comes in the other. */
static void send_hairpin(struct natclass *c, u64 now, struct natclass_action *ret)
{
	bool from_spare = c->tries % 2 == 0;

	c->due = false;
	c->serial++;
	c->at = now + HAIRPIN_WAIT;
	c->hairpin_nonce = c->salt + c->first;
	*ret = (struct natclass_action){
		.kind = NATCLASS_HAIRPIN,
		.socket = from_spare ? NATCLASS_SPARE : NATCLASS_OWN,
		.to = from_spare ? c->seen[0] : c->spare_seen,
		.nonce = c->hairpin_nonce,
	};
}

static void open_spare(struct natclass *c, struct natclass_action *ret)
{
	c->spare = SPARE_OPENING;
	*ret = (struct natclass_action){ .kind = NATCLASS_OPEN,
					 .socket = NATCLASS_SPARE,
					 .port = c->spare_wish };
}

static void close_spare(struct natclass *c, struct natclass_action *ret)
{
	c->leftover = false;
	*ret = (struct natclass_action){ .kind = NATCLASS_CLOSE, .socket = NATCLASS_SPARE };
}

bool natclass_next(struct natclass *c, u64 now, struct natclass_action *ret)
{
	if (!c->due && c->at <= now)
		run_expire(c, now);
	if (c->leftover)
		close_spare(c, ret);
	else if (c->spare == SPARE_WANTED)
		open_spare(c, ret);
	else if (!c->due)
		return false;
	else if (c->phase == NATCLASS_AT_HAIRPIN)
		send_hairpin(c, now, ret);
	else
		send_questions(c, now, ret);
	return true;
}

void natclass_opened(struct natclass *c, u64 now, u16 port)
{
	if (c->spare != SPARE_OPENING)
		return;
	c->spare = SPARE_OPENED;
	c->spare_port = port;
	memset(&c->spare_seen, 0, sizeof(c->spare_seen));
	ask_again(c, now);
}

void natclass_open_failed(struct natclass *c, u64 now)
{
	if (c->spare != SPARE_OPENING)
		return;
	c->spare = SPARE_CLOSED;
	if (ask_uses_spare(c->phase))
		run_sample_failed(c, now);
}
