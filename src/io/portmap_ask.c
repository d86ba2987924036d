/* SPDX-License-Identifier: MIT */
/*
 * portmap_ask.c - one protocol at a time.
 *
 * PCP and NAT-PMP are a few datagrams to the gateway's port 5351, from a socket that is bound to the
 * interface and connected, so that the kernel tells when nobody listens there. Each is asked three
 * times, 250 ms, 500 ms and 1 s long: a router is near. RFC 6887 would have us wait for a second at
 * first and go on for ever; but there are other protocols to try, and later rounds.
 */
#include "portmap_private.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "io/device.h"
#include "warp/sockaddr.h"

#define FIRST_WAIT (250 * NS_PER_MS)
#define TRIES 3u
#define NATPMP_PATIENCE (2 * NS_PER_S) /* for both questions */

/* --- the socket --------------------------------------------------------------------------- */

static socklen_t to_sockaddr(const struct mapper *m, const struct endpoint *e,
			     union inet_sockaddr *ret)
{
	socklen_t size = endpoint_to_sockaddr(e, ret);

	if (e->address.family == 6 &&
	    (address_is_link_local(&e->address) || e->address.bytes[0] == 0xff))
		ret->v6.sin6_scope_id = m->what.ifindex;
	return size;
}

static int configure(const struct portmap *p, const struct mapper *m, int fd,
		     const struct endpoint *from, const struct endpoint *to)
{
	union inet_sockaddr sa;
	socklen_t size;
	int r = 0;

	if (p->options.bind_to_device)
		r = device_bind(fd, m->what.ifindex, m->what.ifname);
	size = to_sockaddr(m, from, &sa);
	if (r == 0 && bind(fd, &sa.any, size))
		r = -errno;
	if (r || !to)
		return r;
	size = to_sockaddr(m, to, &sa);
	return connect(fd, &sa.any, size) ? -errno : 0;
}

int ask_open(const struct portmap *p, const struct mapper *m, const struct endpoint *from,
	     const struct endpoint *to)
{
	int type = SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, reuse = 1, r;
	int fd = socket(address_af(&from->address), type, 0);

	if (fd < 0)
		return -errno;
	/* The port of announcements belongs to all who listen for them. */
	if (from->port)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &reuse, sizeof(reuse));
	r = configure(p, m, fd, from, to);
	if (r)
		close(fd);
	return r ? r : fd;
}

static int open_gateway(struct portmap *p, struct mapper *m)
{
	struct endpoint from = { .address = m->what.local.address };
	struct endpoint to = { .address = m->gateway, .port = PCP_PORT };
	int fd, r;

	if (m->fd >= 0)
		return 0;
	fd = ask_open(p, m, &from, &to);
	if (fd < 0)
		return fd;
	r = portmap_watch(p, m, fd, SOURCE_ASK);
	if (r)
		close(fd);
	else
		m->fd = fd;
	return r;
}

void ask_leave(struct mapper *m)
{
	if (m->fd >= 0)
		close(m->fd);
	m->fd = -1;
	upnp_job_leave(&m->job);
	m->stage = STAGE_IDLE;
}

void ask_end(struct mapper *m)
{
	upnp_job_end(&m->job);
	ask_leave(m);
}

/* --- PCP ---------------------------------------------------------------------------------- */

static int pcp_send(const struct mapper *m, u32 lifetime)
{
	struct pcp_map map = { .lifetime = lifetime,
			       .client = m->what.local.address,
			       .internal_port = m->what.local.port };
	u8 bytes[PCP_MAP_SIZE];

	memcpy(map.nonce, m->nonce, sizeof(map.nonce));
	if (lifetime && m->current.protocol)
		map.suggested = m->current.external;
	else if (lifetime)
		map.suggested.port = m->what.local.port;
	pcp_put_map(bytes, &map);
	return send(m->fd, bytes, sizeof(bytes), MSG_NOSIGNAL) < 0 ? -errno : 0;
}

static int pcp_begin(struct portmap *p, struct mapper *m, u64 now)
{
	int r = open_gateway(p, m);

	if (r == 0)
		r = pcp_send(m, p->options.lifetime);
	if (r)
		return r;
	m->stage = STAGE_PCP;
	m->tries = 1;
	m->next = now + FIRST_WAIT;
	return 0;
}

static void pcp_expire(struct portmap *p, struct mapper *m, u64 now)
{
	if (m->tries >= TRIES || pcp_send(m, p->options.lifetime)) {
		portmap_refused(p, m, now, "no answer");
		return;
	}
	m->next = now + (FIRST_WAIT << m->tries++);
}

static bool pcp_is_ours(const struct mapper *m, const struct pcp_answer *a)
{
	return a->kind == PCP_MAPPED && memcmp(a->nonce, m->nonce, sizeof(a->nonce)) == 0 &&
	       a->internal_port == m->what.local.port;
}

static void pcp_answered(struct portmap *p, struct mapper *m, u64 now, const struct pcp_answer *a)
{
	if (a->kind == PCP_REFUSED) {
		portmap_refused(p, m, now, pcp_result_name(a->result));
		return;
	}
	if (!pcp_is_ours(m, a))
		return;
	pcp_epoch_goes_on(&m->epoch, now, a->epoch);
	if (a->result || !a->lifetime || !endpoint_is_usable(&a->external))
		portmap_refused(p, m, now, pcp_result_name(a->result));
	else
		portmap_granted(p, m, now, &a->external, a->lifetime);
}

static void pcp_read(struct portmap *p, struct mapper *m, u64 now)
{
	struct pcp_answer a;
	u8 bytes[PCP_MAX_SIZE + 1];
	ssize_t size;

	while (m->stage == STAGE_PCP) {
		size = recv(m->fd, bytes, sizeof(bytes), 0);
		if (size < 0 && errno == EAGAIN)
			return;
		if (size < 0)
			portmap_refused(p, m, now, strerror(errno));
		else if (pcp_get_answer(bytes, (size_t)size, &a) == 0)
			pcp_answered(p, m, now, &a);
	}
}

/* --- NAT-PMP ------------------------------------------------------------------------------ */

/* As initnatpmp() does, with our socket. */
static int natpmp_begin(struct portmap *p, struct mapper *m, u64 now)
{
	int r = open_gateway(p, m);

	if (r)
		return r;
	memset(&m->natpmp, 0, sizeof(m->natpmp));
	m->natpmp.s = m->fd;
	memcpy(&m->natpmp.gateway, m->gateway.bytes, sizeof(m->natpmp.gateway));
	if (sendpublicaddressrequest(&m->natpmp) < 0)
		return -ENETUNREACH;
	m->stage = STAGE_ADDRESS;
	m->asked_at = now;
	m->next = now + FIRST_WAIT;
	return 0;
}

static bool natpmp_ask_port(struct portmap *p, struct mapper *m, u64 now)
{
	u16 wanted = m->current.protocol ? m->current.external.port : m->what.local.port;

	if (sendnewportmappingrequest(&m->natpmp, NATPMP_PROTOCOL_UDP, m->what.local.port, wanted,
				      p->options.lifetime) < 0)
		return false;
	m->stage = STAGE_PORT;
	m->next = now + FIRST_WAIT;
	return true;
}

static void natpmp_answered(struct portmap *p, struct mapper *m, u64 now, const natpmpresp_t *a)
{
	struct endpoint external = { .address = m->outer };

	pcp_epoch_goes_on(&m->epoch, now, a->epoch);
	if (m->stage == STAGE_ADDRESS && a->type == NATPMP_RESPTYPE_PUBLICADDRESS) {
		address_from_bytes(AF_INET, &a->pnu.publicaddress.addr, 4, &m->outer);
		if (!natpmp_ask_port(p, m, now))
			portmap_refused(p, m, now, "it cannot be asked");
		return;
	}
	if (m->stage != STAGE_PORT || a->type != NATPMP_RESPTYPE_UDPPORTMAPPING ||
	    a->pnu.newportmapping.privateport != m->what.local.port)
		return;
	external.port = a->pnu.newportmapping.mappedpublicport;
	if (!a->pnu.newportmapping.lifetime || !endpoint_is_usable(&external))
		portmap_refused(p, m, now, "it grants nothing");
	else
		portmap_granted(p, m, now, &external, a->pnu.newportmapping.lifetime);
}

/* Also repeats the question when it is time; the library knows by a clock of its own, so this looks
 * often. */
static void natpmp_go_on(struct portmap *p, struct mapper *m, u64 now)
{
	natpmpresp_t answer;
	int r;

	while (m->stage == STAGE_ADDRESS || m->stage == STAGE_PORT) {
		r = readnatpmpresponseorretry(&m->natpmp, &answer);
		if (r == NATPMP_TRYAGAIN)
			break;
		if (r < 0 && r != NATPMP_ERR_WRONGPACKETSOURCE)
			portmap_refused(p, m, now, "it refuses or is not there");
		else if (r == 0)
			natpmp_answered(p, m, now, &answer);
	}
	if (m->stage != STAGE_ADDRESS && m->stage != STAGE_PORT)
		return;
	if (now >= m->asked_at + NATPMP_PATIENCE)
		portmap_refused(p, m, now, "no answer");
	else
		m->next = now + FIRST_WAIT / 2;
}

/* --- UPnP --------------------------------------------------------------------------------- */

static int job_begin(struct portmap *p, struct mapper *m, enum upnp_task task)
{
	struct upnp_question q = { .task = task,
				   .bind_to_device = p->options.bind_to_device,
				   .ifindex = m->what.ifindex,
				   .local = m->what.local,
				   .gateway = m->gateway,
				   .external_port = m->current.protocol == PORTMAP_UPNP ?
							    m->current.external.port :
							    m->what.local.port,
				   .lifetime = p->options.lifetime,
				   .place = m->place };
	int r;

	memcpy(q.ifname, m->what.ifname, sizeof(q.ifname));
	r = upnp_job_start(&m->job, &q);
	if (r == 0)
		r = portmap_watch(p, m, m->job.fd, SOURCE_JOB);
	if (r)
		upnp_job_end(&m->job);
	return r;
}

static int upnp_begin(struct portmap *p, struct mapper *m, u64 now)
{
	int r = job_begin(p, m, UPNP_ADD);

	if (r)
		return r;
	m->stage = STAGE_UPNP;
	m->next = now + UPNP_PATIENCE;
	return 0;
}

void ask_job_read(struct portmap *p, struct mapper *m, u64 now)
{
	struct upnp_answer a;
	int r = upnp_job_take(&m->job, &a);

	if (r == -EAGAIN)
		return;
	upnp_job_end(&m->job);
	if (m->stage == STAGE_RELEASING) {
		ask_end(m);
	} else if (r) {
		portmap_refused(p, m, now, "its process has ended");
	} else if (a.error || !endpoint_is_usable(&a.external)) {
		portmap_refused(p, m, now, a.why);
	} else {
		m->place = a.place;
		portmap_granted(p, m, now, &a.external, a.lifetime);
	}
}

/* --- giving back -------------------------------------------------------------------------- */

static int release_send(struct mapper *m)
{
	if (m->current.protocol == PORTMAP_PCP)
		return pcp_send(m, 0);
	memset(&m->natpmp, 0, sizeof(m->natpmp));
	m->natpmp.s = m->fd;
	if (sendnewportmappingrequest(&m->natpmp, NATPMP_PROTOCOL_UDP, m->what.local.port, 0, 0) <
	    0)
		return -EIO;
	return 0;
}

int ask_release(struct portmap *p, struct mapper *m, u64 now)
{
	int r;

	ask_end(m);
	if (m->current.protocol == PORTMAP_UPNP) {
		r = job_begin(p, m, UPNP_REMOVE);
	} else {
		r = open_gateway(p, m);
		if (r == 0)
			r = release_send(m);
	}
	if (r) {
		ask_end(m);
		return r;
	}
	m->stage = STAGE_RELEASING;
	m->tries = 1;
	m->next = now + FIRST_WAIT / 2;
	return 0;
}

/* Any answer will do. */
static void release_read(struct mapper *m)
{
	u8 bytes[PCP_MAX_SIZE];

	if (recv(m->fd, bytes, sizeof(bytes), 0) >= 0 || errno != EAGAIN)
		ask_end(m);
}

static void release_expire(struct mapper *m, u64 now)
{
	if (m->current.protocol == PORTMAP_UPNP) {
		m->next = TIME_NEVER;
	} else if (m->tries++ >= TRIES || release_send(m)) {
		ask_end(m);
		m->next = TIME_NEVER;
	} else {
		m->next = now + FIRST_WAIT / 2;
	}
}

/* --- for portmap.c ------------------------------------------------------------------------ */

int ask_begin(struct portmap *p, struct mapper *m, u64 now)
{
	switch (m->asking) {
	case PORTMAP_PCP:
		return pcp_begin(p, m, now);
	case PORTMAP_NATPMP:
		return natpmp_begin(p, m, now);
	case PORTMAP_UPNP:
		return upnp_begin(p, m, now);
	case PORTMAP_NONE:
		break;
	}
	return -EINVAL;
}

void ask_read(struct portmap *p, struct mapper *m, u64 now)
{
	if (m->stage == STAGE_PCP)
		pcp_read(p, m, now);
	else if (m->stage == STAGE_ADDRESS || m->stage == STAGE_PORT)
		natpmp_go_on(p, m, now);
	else if (m->stage == STAGE_RELEASING && m->fd >= 0)
		release_read(m);
}

void ask_expire(struct portmap *p, struct mapper *m, u64 now)
{
	if (m->stage == STAGE_PCP)
		pcp_expire(p, m, now);
	else if (m->stage == STAGE_ADDRESS || m->stage == STAGE_PORT)
		natpmp_go_on(p, m, now);
	else if (m->stage == STAGE_UPNP)
		portmap_refused(p, m, now, "no answer");
	else if (m->stage == STAGE_RELEASING)
		release_expire(m, now);
}
