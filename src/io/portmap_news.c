/* SPDX-License-Identifier: MIT */
/*
 * portmap_news.c - what routers announce to all hosts, on port 5350: that they have started again
 * (PCP, RFC 6887 14.1.2), or their outer address (NAT-PMP, RFC 6886 3.2.1). Both tell the router's
 * clock, and that tells whether it still knows our mapping.
 *
 * Whoever shares the link can make an announcement up. All it brings about is one more request.
 */
#include "portmap_private.h"

#include <sys/socket.h>
#include <unistd.h>

#include "warp/sockaddr.h"

#define PAUSE (4 * NS_PER_S)  /* between two requests that announcements brought about */
#define SPREAD (1 * NS_PER_S) /* not all hosts at the same moment */

static const struct address all_hosts4 = { 4, { 224, 0, 0, 1 } };
static const struct address all_hosts6 = { 6, { 0xff, 0x02, [15] = 0x01 } };

static void news_close(struct mapper *m)
{
	if (m->news_fd >= 0)
		close(m->news_fd);
	m->news_fd = -1;
}

/* All hosts are members of these groups, without joining. Without news, renewals tell the same,
 * later. */
void news_follow(const struct portmap *p, struct mapper *m)
{
	struct endpoint group = { m->what.local.address.family == 4 ? all_hosts4 : all_hosts6,
				  PCP_ANNOUNCE_PORT };
	bool wanted = m->current.protocol == PORTMAP_PCP || m->current.protocol == PORTMAP_NATPMP;

	if (!wanted) {
		news_close(m);
		return;
	}
	if (m->news_fd >= 0)
		return;
	m->news_fd = ask_open(p, m, &group, NULL);
	if (m->news_fd < 0 || portmap_watch(p, m, m->news_fd, SOURCE_NEWS))
		news_close(m);
}

/* Of IPv6 the gateway may be known by another address than the link-local one that it sends from. */
static bool from_gateway(const struct mapper *m, const struct address *source)
{
	return address_equal(source, &m->gateway) ||
	       (source->family == 6 && address_is_link_local(source));
}

static void take(const struct portmap *p, struct mapper *m, u64 now, const u8 *bytes, size_t size)
{
	struct pcp_answer a;

	if (pcp_get_answer(bytes, size, &a) || a.kind != PCP_ANNOUNCED ||
	    pcp_epoch_goes_on(&m->epoch, now, a.epoch) || m->stage != STAGE_IDLE)
		return;
	if (now >= m->asked_at + PAUSE)
		m->next = time_min(m->next, now + random_u32(&p->options.random) % SPREAD);
	else
		m->next = time_min(m->next, m->asked_at + PAUSE);
}

void news_read(const struct portmap *p, struct mapper *m, u64 now)
{
	u8 bytes[PCP_MAX_SIZE + 1];
	union inet_sockaddr sa;
	struct endpoint source;
	socklen_t length;
	ssize_t size;

	while (m->news_fd >= 0) {
		length = sizeof(sa);
		size = recvfrom(m->news_fd, bytes, sizeof(bytes), 0, &sa.any, &length);
		if (size < 0)
			return;
		if (endpoint_from_sockaddr(&sa, length, &source) == 0 &&
		    from_gateway(m, &source.address))
			take(p, m, now, bytes, (size_t)size);
	}
}
