/* SPDX-License-Identifier: MIT */
/*
 * portmap.c - the table of interfaces, and when their routers are asked.
 *
 *             begin                granted                    half of the lifetime
 *   IDLE -------------> asking -------------> IDLE (mapped) ------------------------> asking (same)
 *    ^                  |    | refused
 *    |   all refused    |    +--> asking by the next protocol
 *    +------------------+
 *
 * What is not granted is asked for again after 30 s, then ever more seldom, up to every 16 minutes,
 * and at once when a default route appears. A mapping that could not be renewed is believed in until
 * it expires, and asked for again each time that half of what is left has passed.
 */
#include "portmap_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "gateway.h"
#include "warp/log.h"
#include "warp/text.h"

#define EVENTS 16
#define BACKOFF (30 * NS_PER_S)
#define BACKOFF_DOUBLINGS 5u
#define RENEW_MIN (1 * NS_PER_S)
#define ROUTED_PAUSE (5 * NS_PER_S) /* routes may change as often as they like */
#define LOOK_DELAY (50 * NS_PER_MS)
#define LIFETIME_MAX 86400u /* seconds, whatever a router grants */

const char *portmap_protocol_name(enum portmap_protocol protocol)
{
	static const char *const names[] = {
		[PORTMAP_NONE] = "none",
		[PORTMAP_PCP] = "pcp",
		[PORTMAP_NATPMP] = "nat-pmp",
		[PORTMAP_UPNP] = "upnp",
	};

	_Static_assert(ARRAY_SIZE(names) == PORTMAP_UPNP + 1, "each has a name");
	return names[protocol];
}

int portmap_watch(const struct portmap *p, const struct mapper *m, int fd, enum source source)
{
	struct epoll_event event = { .events = EPOLLIN,
				     .data.u64 = (u64)m->iface << 8 | (u64)source };

	return epoll_ctl(p->fd, EPOLL_CTL_ADD, fd, &event) ? -errno : 0;
}

/* --- asking ------------------------------------------------------------------------------- */

/* NAT-PMP is of IPv4. UPnP has nothing to give to a public IPv4 address, and is not to be searched for
 * among strangers in a data centre. */
static bool is_possible(const struct mapper *m, enum portmap_protocol protocol)
{
	const struct address *a = &m->what.local.address;

	if (protocol == PORTMAP_NATPMP)
		return a->family == 4;
	return protocol != PORTMAP_UPNP || a->family == 6 || address_is_private(a);
}

static void lose(struct portmap *p, struct mapper *m)
{
	bool had = m->current.protocol != PORTMAP_NONE;

	m->current = (struct portmap_mapping){ .protocol = PORTMAP_NONE };
	m->epoch = (struct pcp_epoch){ .known = false };
	m->place = (struct upnp_place){ .control = "" };
	news_follow(p, m);
	if (had)
		p->ops.mapped(p->ctx, m->iface, &m->current);
}

/* Nobody granted anything in this round. */
static void wait_long(struct portmap *p, struct mapper *m, u64 now)
{
	u64 left = m->current.protocol && m->current.expires > now ? m->current.expires - now : 0;
	u32 doublings = m->failures < BACKOFF_DOUBLINGS ? m->failures : BACKOFF_DOUBLINGS;

	ask_end(m);
	if (left) {
		left = left / 2 > RENEW_MIN ? left / 2 : RENEW_MIN;
		m->next = time_min(m->current.expires, now + left);
		return;
	}
	lose(p, m);
	m->failures++;
	m->next = now + (BACKOFF << doublings);
}

/* By this protocol, or the first after it that can be spoken. */
static void ask_by(struct portmap *p, struct mapper *m, u64 now, enum portmap_protocol protocol)
{
	ask_end(m);
	m->asked_at = now;
	for (; protocol <= PORTMAP_UPNP; protocol++) {
		m->asking = protocol;
		if (is_possible(m, protocol) && ask_begin(p, m, now) == 0)
			return;
		ask_end(m);
	}
	wait_long(p, m, now);
}

static void begin(struct portmap *p, struct mapper *m, u64 now)
{
	struct address gateway = { .family = 0 };
	int r = gateway_find(m->what.ifindex, &m->what.local.address, &gateway);

	if (!address_equal(&gateway, &m->gateway) ||
	    (m->current.protocol && now >= m->current.expires))
		lose(p, m);
	m->gateway = gateway;
	if (r)
		wait_long(p, m, now);
	else
		ask_by(p, m, now, m->current.protocol ? m->current.protocol : PORTMAP_PCP);
}

void portmap_granted(struct portmap *p, struct mapper *m, u64 now, const struct endpoint *external,
		     u32 lifetime)
{
	u64 half;

	if (lifetime > LIFETIME_MAX)
		lifetime = LIFETIME_MAX;
	half = lifetime * NS_PER_S / 2;
	ask_end(m);
	m->failures = 0;
	m->current = (struct portmap_mapping){ .protocol = m->asking,
					       .external = *external,
					       .lifetime = lifetime,
					       .expires = now + 2 * half };
	m->next = now + (half > RENEW_MIN ? half : RENEW_MIN);
	news_follow(p, m);
	p->ops.mapped(p->ctx, m->iface, &m->current);
}

void portmap_refused(struct portmap *p, struct mapper *m, u64 now, const char *why)
{
	log_debug("%s: %s: the router %s maps no port by %s: %s", m->what.ifname,
		  address_text(&m->what.local.address), address_text(&m->gateway),
		  portmap_protocol_name(m->asking), why);
	if (m->current.protocol)
		wait_long(p, m, now);
	else
		ask_by(p, m, now, m->asking + 1);
}

/* --- the loop ----------------------------------------------------------------------------- */

/* Asked for at each wake-up, so it is worked out only when something has happened here. */
static void find_next(struct portmap *p)
{
	p->next = TIME_NEVER;
	for (u32 i = 0; i < MAX_IFACES; i++) {
		if (p->mappers[i].used)
			p->next =
				time_min(p->next, time_min(p->mappers[i].next, p->mappers[i].look));
	}
}

u64 portmap_next_expiry(const struct portmap *p)
{
	return p->next;
}

static void dispatch(struct portmap *p, u64 now, u64 data)
{
	struct mapper *m = &p->mappers[data >> 8];
	enum source source = (enum source)(data & 0xff);

	if (!m->used)
		return;
	if (source == SOURCE_NEWS)
		news_read(p, m, now);
	else if (source == SOURCE_JOB && m->job.fd >= 0)
		ask_job_read(p, m, now);
	else if (source == SOURCE_ASK && m->fd >= 0)
		ask_read(p, m, now);
}

void portmap_read(struct portmap *p, u64 now)
{
	struct epoll_event events[EVENTS];
	int count = epoll_wait(p->fd, events, EVENTS, 0);

	for (int i = 0; i < count; i++)
		dispatch(p, now, events[i].data.u64);
	find_next(p);
}

/* Another gateway is asked at once, the same one only when nothing is under way. */
static void look(struct mapper *m, u64 now)
{
	struct address gateway = { .family = 0 };
	bool same;

	m->look = TIME_NEVER;
	gateway_find(m->what.ifindex, &m->what.local.address, &gateway);
	same = address_equal(&gateway, &m->gateway);
	if (same && (m->stage != STAGE_IDLE || now < m->asked_at + ROUTED_PAUSE))
		return;
	ask_end(m);
	m->failures = 0;
	m->next = now;
}

void portmap_expire(struct portmap *p, u64 now)
{
	for (u32 i = 0; i < MAX_IFACES; i++) {
		struct mapper *m = &p->mappers[i];

		if (m->used && m->look <= now && !p->releasing)
			look(m, now);
		if (!m->used || m->next > now)
			continue;
		if (m->stage == STAGE_IDLE && p->releasing)
			m->next = TIME_NEVER;
		else if (m->stage == STAGE_IDLE)
			begin(p, m, now);
		else
			ask_expire(p, m, now);
	}
	find_next(p);
}

/* --- interfaces --------------------------------------------------------------------------- */

/* Asked in the next portmap_expire(). */
void portmap_add(struct portmap *p, u64 now, u8 iface, const struct portmap_iface *what)
{
	struct mapper *m = &p->mappers[iface];

	*m = (struct mapper){ .used = true,
			      .iface = iface,
			      .what = *what,
			      .next = now,
			      .look = TIME_NEVER,
			      .fd = -1,
			      .news_fd = -1,
			      .job = UPNP_NO_JOB };
	random_fill(&p->options.random, m->nonce, sizeof(m->nonce));
	find_next(p);
}

/* A datagram that is sent now arrives, or not; a process goes on by itself. */
void portmap_remove(struct portmap *p, u64 now, u8 iface)
{
	struct mapper *m = &p->mappers[iface];

	if (!m->used)
		return;
	if (m->current.protocol)
		ask_release(p, m, now);
	else
		ask_end(m);
	ask_leave(m);
	m->current.protocol = PORTMAP_NONE;
	news_follow(p, m);
	m->used = false;
	find_next(p);
}

/* Looked at soon: one change is often several messages. */
void portmap_routed(struct portmap *p, u64 now, u8 iface)
{
	struct mapper *m = &p->mappers[iface];

	if (!m->used || p->releasing)
		return;
	m->look = time_min(m->look, now + LOOK_DELAY);
	p->next = time_min(p->next, m->look);
}

bool portmap_get(const struct portmap *p, u8 iface, struct portmap_mapping *ret)
{
	const struct mapper *m = &p->mappers[iface];

	if (!m->used || !m->current.protocol)
		return false;
	*ret = m->current;
	return true;
}

/* --- life --------------------------------------------------------------------------------- */

void portmap_release(struct portmap *p, u64 now)
{
	p->releasing = true;
	for (u32 i = 0; i < MAX_IFACES; i++) {
		struct mapper *m = &p->mappers[i];

		if (!m->used)
			continue;
		m->look = TIME_NEVER;
		if (!m->current.protocol || ask_release(p, m, now))
			ask_end(m);
	}
	find_next(p);
}

bool portmap_released(const struct portmap *p)
{
	for (u32 i = 0; i < MAX_IFACES; i++) {
		if (p->mappers[i].used && p->mappers[i].stage != STAGE_IDLE)
			return false;
	}
	return true;
}

int portmap_fd(const struct portmap *p)
{
	return p->fd;
}

int portmap_create(struct portmap **ret, const struct portmap_options *options,
		   const struct portmap_ops *ops, void *ctx)
{
	struct portmap *p = calloc(1, sizeof(*p));
	int error;

	if (!p)
		return -ENOMEM;
	p->options = *options;
	p->ops = *ops;
	p->ctx = ctx;
	p->next = TIME_NEVER;
	p->fd = epoll_create1(EPOLL_CLOEXEC);
	if (p->fd < 0) {
		error = -errno;
		free(p);
		return error;
	}
	*ret = p;
	return 0;
}

void portmap_destroy(struct portmap *p)
{
	if (!p)
		return;
	for (u32 i = 0; i < MAX_IFACES; i++) {
		struct mapper *m = &p->mappers[i];

		if (!m->used)
			continue;
		ask_end(m);
		m->current.protocol = PORTMAP_NONE;
		news_follow(p, m);
	}
	close(p->fd);
	free(p);
}
