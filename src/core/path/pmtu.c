/* SPDX-License-Identifier: MIT */
/*
 * pmtu.c - the search of RFC 8899 for one path: try the link's own limit first, since it is right
 * nearly everywhere, then halve the gap between what passed and what did not.
 *
 * Once found, the size is confirmed every few seconds; when three confirmations in a row are lost
 * although the path lives, the route has shrunk (a black hole) and the search starts over from
 * the base, or, when that does not pass either, from the floor. While data flows a black hole
 * shows sooner: large datagrams are lost and small ones, such as probes, arrive; then the size is
 * in doubt: it is confirmed at once, what was lost counts as a try, and the others follow quickly.
 * Losses by chance are of all sizes and ask for nothing.
 * Every minute it is tried whether the route has grown.
 */
#include "warp/pmtu.h"

#include <string.h>

#define PMTU_CONFIRM (5 * NS_PER_S)
#define PMTU_RAISE (60 * NS_PER_S)
#define PMTU_TIMEOUT (200 * NS_PER_MS) /* for an answer, at least: a queue may be before it */
#define PMTU_DOUBT (500 * NS_PER_MS)   /* between two doubts */
#define DOUBT_TIMEOUT (50 * NS_PER_MS) /* the same for a size in doubt: data is being lost */
#define DOUBT_LOST 3u                  /* so many datagrams, at least, and they were */
#define DOUBT_RATIO 2u                 /* so many times as large as what arrived */

void pmtu_init(struct pmtu *p, u32 ceiling)
{
	memset(p, 0, sizeof(*p));
	p->ceiling = ceiling;
	p->size = ceiling < PMTU_BASE ? ceiling : PMTU_BASE;
	p->too_large = ceiling + 1;
	p->next = TIME_NEVER;
	p->raise = TIME_NEVER;
}

void pmtu_start(struct pmtu *p, u64 now)
{
	p->next = now;
	p->raise = now + PMTU_RAISE;
	p->probing = 0;
	p->tries = 0;
}

u64 pmtu_next_expiry(const struct pmtu *p)
{
	return p->next;
}

static bool search_done(const struct pmtu *p)
{
	if (p->too_large > p->ceiling) /* the limit itself is yet to be tried */
		return p->size >= p->ceiling;
	return p->size >= p->ceiling || p->too_large - p->size <= PMTU_STEP;
}

bool pmtu_settled(const struct pmtu *p)
{
	return search_done(p) && !p->probing;
}

static u32 next_size(const struct pmtu *p)
{
	if (search_done(p))
		return p->size;
	if (p->too_large > p->ceiling)
		return p->ceiling;
	return p->size + (p->too_large - p->size) / 2;
}

/* Where to begin again when something of this size, that should pass, does not. */
static u32 fall_back(const struct pmtu *p, u32 failed)
{
	u32 to = failed > PMTU_BASE ? PMTU_BASE : PMTU_FLOOR;

	return to < p->ceiling ? to : p->ceiling;
}

static void end_probe(struct pmtu *p)
{
	p->probing = 0;
	p->tries = 0;
	p->in_doubt = false;
}

/* The probe in flight is lost for good: its size does not pass. False: nothing passes that is worth
 * a search now. */
static bool give_up(struct pmtu *p)
{
	u32 failed = p->probing;

	p->too_large = failed;
	end_probe(p);
	if (failed > p->size)
		return true;
	p->size = fall_back(p, failed);
	if (p->size < failed)
		return true;
	p->too_large = p->ceiling + 1;
	return false;
}

bool pmtu_gives_up(const struct pmtu *p, u64 now)
{
	return p->probing && p->tries + 1 >= PMTU_TRIES && now >= p->next;
}

void pmtu_wait(struct pmtu *p, u64 until)
{
	p->next = until;
}

u64 pmtu_timeout(const struct pmtu *p, u64 within)
{
	const u64 least = p->in_doubt ? DOUBT_TIMEOUT : PMTU_TIMEOUT;

	return within > least ? within : least;
}

u32 pmtu_poll(struct pmtu *p, u64 now, u64 timeout)
{
	if (now < p->next)
		return 0;
	if (p->probing && ++p->tries >= PMTU_TRIES && !give_up(p)) {
		p->next = now + PMTU_CONFIRM;
		return 0;
	}
	if (now >= p->raise) {
		p->too_large = p->ceiling + 1;
		p->raise = now + PMTU_RAISE;
	}
	if (!p->probing)
		p->probing = next_size(p);
	p->next = now + timeout;
	return p->probing;
}

void pmtu_sent(struct pmtu *p, u64 stamp)
{
	p->probe_stamp = stamp;
	if (p->probing <= p->size)
		return;
	p->beyond++;
	p->beyond_bytes += p->probing;
}

/* The probe of a larger size counts as all that is sent does, or was not sent at all. */
static void take_back(struct pmtu *p)
{
	if (p->beyond == 0)
		return;
	p->beyond--;
	p->beyond_bytes -= p->probing;
}

void pmtu_none_beyond(struct pmtu *p)
{
	p->beyond = p->beyond_bytes = 0;
}

bool pmtu_answered(struct pmtu *p, u64 now, u64 stamp)
{
	bool grew;

	if (!p->probing || stamp != p->probe_stamp)
		return false;
	grew = p->probing > p->size;
	if (grew) {
		take_back(p);
		p->size = p->probing;
	}
	end_probe(p);
	p->next = search_done(p) ? now + PMTU_CONFIRM : now;
	return grew;
}

/* Of what was sent since the last counts, how many were lost, if these were large and what arrived was
 * small. */
static u64 lost_to_size(const struct pmtu *p, const struct pmtu_counts *now)
{
	const struct pmtu_counts *before = &p->counts;
	u64 sent = now->sent - before->sent, sent_bytes = now->sent_bytes - before->sent_bytes;
	u64 got = now->received - before->received;
	u64 got_bytes = now->received_bytes - before->received_bytes, lost, size;

	if (now->sent < before->sent || now->sent_bytes < before->sent_bytes ||
	    now->received < before->received || now->received_bytes < before->received_bytes)
		return 0; /* one end counts anew */
	if (sent <= got || sent_bytes <= got_bytes)
		return 0;
	lost = sent - got;
	size = (sent_bytes - got_bytes) / lost;
	if (size <= PMTU_FLOOR || (got && size <= DOUBT_RATIO * (got_bytes / got)))
		return 0;
	return lost;
}

void pmtu_recount(struct pmtu *p)
{
	p->counts_anew = true;
}

void pmtu_report(struct pmtu *p, u64 now, const struct pmtu_counts *counts)
{
	const u64 lost = p->counts_anew ? 0 : lost_to_size(p, counts);

	if (lost > 0 && lost < DOUBT_LOST)
		return; /* more will tell */
	p->counts = *counts;
	p->counts_anew = false;
	if (lost == 0 || p->in_doubt || p->next == TIME_NEVER)
		return;
	if (p->doubted_at && now < p->doubted_at + PMTU_DOUBT)
		return;
	p->doubted_at = now;
	p->in_doubt = true;
	p->probing = p->size; /* whatever else was searched for */
	p->tries = 0;         /* pmtu_poll() makes it one */
	p->next = now;
}

bool pmtu_refused(struct pmtu *p, u64 now, u32 size)
{
	bool shrank = p->size >= size;

	if (!shrank && p->probing == size)
		take_back(p);
	if (size < p->too_large)
		p->too_large = size;
	if (shrank)
		p->size = fall_back(p, size) < size ? fall_back(p, size) : size - 1;
	if (p->probing >= size)
		end_probe(p);
	p->next = size > PMTU_FLOOR ? now : now + PMTU_CONFIRM;
	return shrank;
}

void pmtu_set_ceiling(struct pmtu *p, u64 now, u32 ceiling)
{
	p->ceiling = ceiling;
	p->too_large = ceiling + 1;
	end_probe(p);
	if (p->size > ceiling)
		p->size = ceiling;
	if (p->next != TIME_NEVER)
		p->next = now;
}
