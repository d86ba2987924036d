/* SPDX-License-Identifier: MIT */
/*
 * path.c - the life of one path: probes, answers, states, losses and rates.
 *
 * Losses are counted, not guessed: each probe says how many datagrams were sent on the path so
 * far, each answer how many had arrived. The difference, once nothing is under way, is what was
 * lost. When the other end starts to count anew (it was restarted, or its interface was), its
 * count goes back; the ledger then keeps the losses so far and begins a new line.
 */
#include "warp/path.h"

#include <string.h>

#define PROBE_BUSY (100 * NS_PER_MS)   /* interval while data flows */
#define PROBE_SEARCH (250 * NS_PER_MS) /* for a path that does not answer, at first */
#define PROBE_SEEK (1 * NS_PER_S)      /* later, while data flows */
#define SEARCH_TIME (5 * NS_PER_S)     /* how long "at first" is */
#define PROBE_URGENT (20 * NS_PER_MS)  /* while an answer is overdue */
#define URGENT_PROBES 10u              /* and no more than so many are not answered */
#define OVERDUE_SLACK (20 * NS_PER_MS) /* beyond what the round trip varies by */
#define OVERDUE_MAX (1 * NS_PER_S)
#define OVERDUE_PROBES 3u
/* How late the first missing answer is before the path is demoted. When data flows, it was asked for
 * at most PROBE_BUSY after the probe that was answered last, so that path_expire() comes 240 ms after
 * that answer. */
#define PATIENCE_BUSY (140 * NS_PER_MS)
#define PATIENCE_IDLE (300 * NS_PER_MS)
#define DEAD_AFTER (2 * NS_PER_S)
#define RATE_INTERVAL (500 * NS_PER_MS)
#define LOSS_MEMORY 128.0 /* datagrams over which a loss figure is smoothed */
#define LOSS_RECENT 8.0   /* the same, of one that forgives quickly */
#define LOSS_FORGIVEN 8.0 /* when the recent figure is so many times lower, it is the better one */
#define ANSWER_LOST (1.0 / 6)       /* on the way here: answers may be lost as well */
#define RTT_RELIEF 5u               /* answers in a row that took less than half */
#define LOSS_SILENCE (1 * NS_PER_S) /* what no answer came to for so long was an outage */

const char *path_state_name(enum path_state state)
{
	static const char *const names[] = { "probing", "live", "degraded", "dead" };

	_Static_assert(ARRAY_SIZE(names) == PATH_STATES, "a state has no name");
	return state < PATH_STATES ? names[state] : "?";
}

const char *path_origin_name(enum path_origin origin)
{
	static const char *const names[] = {
		"static",     "map",   "router",   "lan",     "peer",
		"prediction", "probe", "override", "arrival", "relay"
	};

	_Static_assert(ARRAY_SIZE(names) == PATH_ORIGINS, "an origin has no name");
	return origin < PATH_ORIGINS ? names[origin] : "?";
}

void path_init(struct path *p, u64 now, u8 iface, u16 socket, const struct endpoint *remote,
	       enum path_origin origin, u32 ceiling)
{
	memset(p, 0, sizeof(*p));
	p->used = true;
	p->iface = iface;
	p->socket = socket;
	p->remote = *remote;
	p->origin = origin;
	p->born = now;
	p->next_probe = now;
	p->rate_at = now;
	pmtu_init(&p->pmtu, ceiling);
}

/* --- losses and rates ------------------------------------------------------------------------ */

static u64 ledger_lost(const struct path_ledger *l)
{
	return l->lost_before + (l->sent > l->received ? l->sent - l->received : 0);
}

/* Long runs without a loss say that a link has recovered, much sooner than the long memory would:
 * 17 datagrams in a row bring the recent figure to an eighth of what it was. */
static void ledger_smooth(struct path_ledger *l, u64 sent, u64 beyond, u64 received)
{
	double new_sent = (double)(sent - l->sent) - ((double)beyond - (double)l->beyond);
	double new_received = (double)(received - l->received), loss;

	if (new_sent <= 0)
		return;
	loss = new_received >= new_sent ? 0.0 : 1.0 - new_received / new_sent;
	l->loss += (loss - l->loss) * new_sent / (new_sent + LOSS_MEMORY);
	l->recent += (loss - l->recent) * new_sent / (new_sent + LOSS_RECENT);
	if (l->recent * LOSS_FORGIVEN < l->loss)
		l->loss = l->recent;
}

/* A newer pair of counts; older ones (reordered probes) are passed over. outage: the path was
 * silent, which is no matter of how much it loses. */
static void ledger_take(struct path_ledger *l, u64 stamp, u64 sent, u64 beyond, u64 received,
			bool outage)
{
	if (l->begun && stamp <= l->stamp)
		return;
	if (l->begun && sent >= l->sent && received >= l->received && !outage)
		ledger_smooth(l, sent, beyond, received);
	l->begun = true;
	l->stamp = stamp;
	l->sent = sent;
	l->beyond = beyond;
	l->received = received;
}

u64 path_lost_out(const struct path *p)
{
	return ledger_lost(&p->out);
}

u64 path_judged_out(const struct path *p, u64 *ret_lost)
{
	const u64 lost = ledger_lost(&p->out);

	*ret_lost = lost > p->out.beyond ? lost - p->out.beyond : 0;
	return p->out.sent - p->out.beyond;
}

u64 path_lost_in(const struct path *p)
{
	return ledger_lost(&p->in);
}

static void rate_sample(struct path *p, u64 now)
{
	u64 received = p->first.bytes + p->duplicate.bytes;
	double seconds = (double)(now - p->rate_at) / (double)NS_PER_S;

	if (now - p->rate_at < RATE_INTERVAL)
		return;
	p->rate_out += ((double)(p->sent.bytes - p->rate_sent) / seconds - p->rate_out) / 2;
	p->rate_in += ((double)(received - p->rate_received) / seconds - p->rate_in) / 2;
	p->rate_at = now;
	p->rate_sent = p->sent.bytes;
	p->rate_received = received;
}

/* --- probes ---------------------------------------------------------------------------------- */

static u64 overdue_after(const struct path *p)
{
	return time_min(p->rtt + 4 * p->rtt_var + OVERDUE_SLACK, OVERDUE_MAX);
}

static u64 probe_interval(const struct path *p, u64 now, bool busy, u64 idle_interval)
{
	u64 silent_since = p->answered_stamp ? p->oldest_unanswered : p->born;

	if (p->state == PATH_LIVE && p->unanswered == 0)
		return busy ? PROBE_BUSY : idle_interval;
	if (path_usable(p))
		return PROBE_BUSY;
	if (silent_since && now - silent_since < SEARCH_TIME)
		return PROBE_SEARCH;
	return busy && p->answered_stamp ? PROBE_SEARCH : busy ? PROBE_SEEK : idle_interval;
}

/* Plans the next probe. Whether what is missing was lost, or the path is, is asked at once. */
static void plan_probe(struct path *p)
{
	u64 overdue = p->oldest_unanswered + overdue_after(p);

	p->next_probe = p->probed_at + p->interval;
	if (p->state != PATH_LIVE || p->unanswered == 0)
		return;
	if (overdue > p->probed_at)
		p->next_probe = time_min(p->next_probe, overdue);
	else if (p->unanswered < URGENT_PROBES)
		p->next_probe = p->probed_at + PROBE_URGENT;
}

static void fill_probe(const struct path *p, struct frame_probe *probe)
{
	probe->packets = p->sent.packets - p->waiting.packets + 1 - p->sent_epoch;
	probe->bytes = p->sent.bytes - p->waiting.bytes;
	probe->cost = p->cost;
}

void path_mtu_probe(struct path *p, struct frame_probe *probe)
{
	fill_probe(p, probe);
	pmtu_sent(&p->pmtu, probe->stamp);
}

bool path_mtu_answered(struct path *p, u64 now, u64 stamp)
{
	const u32 size = p->pmtu.probing;

	if (!pmtu_answered(&p->pmtu, now, stamp))
		return false;
	/* Those that went after it took it for one that is not answered. */
	for (u32 i = 0; i < PATH_PROBES_REMEMBERED; i++) {
		if (p->probe[i].stamp > stamp && p->probe[i].beyond > 0) {
			p->probe[i].beyond--;
			p->probe[i].beyond_bytes -= size;
		}
	}
	return true;
}

void path_probe(struct path *p, u64 now, bool busy, u64 idle_interval, struct frame_probe *probe)
{
	struct path_probe *sent = &p->probe[p->probe_at];

	p->interval = probe_interval(p, now, busy, idle_interval);
	p->probed_at = now;
	rate_sample(p, now);
	p->probe_at = (p->probe_at + 1) % PATH_PROBES_REMEMBERED;
	fill_probe(p, probe);
	sent->stamp = probe->stamp;
	sent->packets = probe->packets;
	sent->bytes = probe->bytes;
	sent->beyond = p->pmtu.beyond;
	sent->beyond_bytes = p->pmtu.beyond_bytes;
	if (p->oldest_unanswered == 0) {
		p->oldest_unanswered = probe->stamp;
		p->patience = p->interval > PROBE_BUSY ? PATIENCE_IDLE : PATIENCE_BUSY;
	}
	p->unanswered++;
	plan_probe(p);
}

void path_reply(const struct path *p, const struct frame_probe *probe, const struct endpoint *seen,
		struct frame_probe_reply *ret)
{
	*ret = (struct frame_probe_reply){
		.stamp = probe->stamp,
		.packets = p->first.packets + p->duplicate.packets - p->in.received_base,
		.bytes = p->first.bytes + p->duplicate.bytes,
		.seen = *seen,
		.cost = p->cost,
	};
}

/* The sender counts anew, in the present session, and has sent so many by now: what had arrived
 * before it began. */
static u64 arrivals_before(const struct path *p, u64 arrived, u64 sent)
{
	return arrived - p->session_base <= sent ? p->session_base : arrived - sent;
}

bool path_loses_much(const struct path *p)
{
	return p->in.recent >= ANSWER_LOST;
}

void path_session_begins(struct path *p, bool crossed)
{
	if (!crossed)
		p->session_base = p->first.packets + p->duplicate.packets;
	p->in.stamp = 0;
	p->transit.known = false;
}

void path_take_probe(struct path *p, const struct frame_probe *probe)
{
	u64 arrived = p->first.packets + p->duplicate.packets;
	struct path_ledger *l = &p->in;

	/* A count that goes back, yet covers all that came, has only been corrected: for what never
	 * left, or because it was us who counted anew. */
	if (l->begun && probe->packets < l->sent && probe->stamp > l->stamp &&
	    probe->packets < arrived - l->received_base) {
		l->lost_before = ledger_lost(l);
		l->received_base = arrivals_before(p, arrived, probe->packets);
		l->begun = false;
	}
	ledger_take(l, probe->stamp, probe->packets, 0, arrived - l->received_base, false);
}

/* A round trip that was long for a while is forgotten sooner than smoothing would: what is overdue goes by
 * it, and so does how soon silence shows. */
static bool rtt_relieved(struct path *p, u64 sample)
{
	p->rtt_lower = sample < p->rtt / 2 ? p->rtt_lower + 1 : 0;
	return p->rtt_lower >= RTT_RELIEF;
}

static void rtt_sample(struct path *p, u64 sample)
{
	u64 deviation;

	if (p->rtt == 0 || rtt_relieved(p, sample)) {
		p->rtt = sample;
		p->rtt_var = sample / 2;
		p->rtt_lower = 0;
		return;
	}
	deviation = sample > p->rtt ? sample - p->rtt : p->rtt - sample;
	p->rtt_var = p->rtt_var - p->rtt_var / 4 + deviation / 4;
	p->rtt = p->rtt - p->rtt / 8 + sample / 8;
}

static struct path_probe *probe_find(struct path *p, u64 stamp)
{
	for (u32 i = 0; i < PATH_PROBES_REMEMBERED; i++) {
		if (stamp && p->probe[i].stamp == stamp)
			return &p->probe[i];
	}
	return NULL;
}

/* After an answer: which probes are still out. */
static void recount_unanswered(struct path *p)
{
	p->oldest_unanswered = 0;
	p->unanswered = 0;
	for (u32 i = 0; i < PATH_PROBES_REMEMBERED; i++) {
		u64 stamp = p->probe[i].stamp;

		if (stamp <= p->answered_stamp)
			continue;
		p->unanswered++;
		if (p->oldest_unanswered == 0 || stamp < p->oldest_unanswered)
			p->oldest_unanswered = stamp;
	}
}

static void take_report(struct path *p, const struct path_probe *probe, u64 arrived)
{
	const u64 before = probe->packets - arrived; /* if the receiver counts anew */
	struct path_ledger *l = &p->out;

	if (l->begun && probe->stamp > l->stamp && arrived < l->received) {
		/* The receiver counts anew: so do we, from this probe on. What neither its former
		 * life nor this one has had is lost. */
		if (probe->packets > l->received + arrived)
			l->lost_before += probe->packets - l->received - arrived;
		l->begun = false;
		p->sent_epoch += before;
		ledger_take(l, probe->stamp, arrived, 0, arrived, false);
		pmtu_none_beyond(&p->pmtu);
		for (u32 i = 0; i < PATH_PROBES_REMEMBERED; i++) {
			p->probe[i].packets -= before;
			p->probe[i].beyond = p->probe[i].beyond_bytes = 0;
		}
		return;
	}
	ledger_take(l, probe->stamp, probe->packets, probe->beyond, arrived,
		    p->state != PATH_LIVE && probe->stamp > l->stamp + LOSS_SILENCE);
}

static bool path_set_live(struct path *p, u64 now)
{
	bool changed = p->state != PATH_LIVE;

	if (p->state == PATH_PROBING)
		pmtu_start(&p->pmtu, now);
	p->state = PATH_LIVE;
	return changed;
}

bool path_take_reply(struct path *p, u64 now, const struct frame_probe_reply *reply)
{
	struct path_probe *probe = probe_find(p, reply->stamp);
	bool changed = false;

	if (!probe)
		return false;
	rtt_sample(p, now > probe->stamp ? now - probe->stamp : 1);
	take_report(p, probe, reply->packets);
	if (p->state != PATH_LIVE)
		pmtu_recount(&p->pmtu);
	if (probe->stamp > p->answered_stamp) {
		pmtu_report(&p->pmtu, now,
			    &(struct pmtu_counts){ probe->packets - probe->beyond,
						   probe->bytes - probe->beyond_bytes,
						   reply->packets, reply->bytes });
		p->rtt_last = now > probe->stamp ? now - probe->stamp : 1;
		p->answered_stamp = probe->stamp;
		p->told_bytes = reply->bytes;
	}
	probe->stamp = 0;
	recount_unanswered(p);
	/* An answer that comes very late shows that the path works, not that it works now. */
	if (!p->oldest_unanswered || p->state == PATH_PROBING ||
	    now - p->oldest_unanswered < DEAD_AFTER)
		changed = path_set_live(p, now);
	plan_probe(p);
	return changed;
}

void path_take_counts(struct path *p, const struct frame_probe_reply *reply)
{
	const struct path_probe *probe = probe_find(p, reply->stamp);

	if (probe)
		take_report(p, probe, reply->packets);
}

bool path_confirm(struct path *p, u64 now)
{
	p->last_heard = now;
	if (p->state == PATH_LIVE)
		return false;
	pmtu_recount(&p->pmtu);
	p->answered_stamp = now;
	recount_unanswered(p);
	p->next_probe = now;
	return path_set_live(p, now);
}

void path_bury(struct path *p)
{
	if (p->state != PATH_PROBING)
		p->state = PATH_DEAD;
}

/* --- time ------------------------------------------------------------------------------------ */

void path_wake(struct path *p, u64 now)
{
	p->next_probe = time_min(p->next_probe, now);
	p->interval = time_min(p->interval, PROBE_BUSY); /* should an answer come before */
}

/* When the third of the missing answers is overdue, and the first one very much so. */
static u64 degrade_at(const struct path *p)
{
	u64 enough = p->oldest_unanswered + p->rtt + p->patience, third;
	u32 missing = 0;

	for (u32 i = 0; i < PATH_PROBES_REMEMBERED; i++) {
		u64 stamp = p->probe[(p->probe_at + i) % PATH_PROBES_REMEMBERED].stamp;

		if (stamp <= p->answered_stamp || ++missing < OVERDUE_PROBES)
			continue;
		third = stamp + overdue_after(p);
		return third > enough ? third : enough;
	}
	return TIME_NEVER;
}

static u64 demote_at(const struct path *p)
{
	if (p->state == PATH_DEGRADED && p->oldest_unanswered)
		return p->oldest_unanswered + DEAD_AFTER;
	return p->state == PATH_LIVE ? degrade_at(p) : TIME_NEVER;
}

u64 path_next_expiry(const struct path *p)
{
	return time_min(p->next_probe, demote_at(p));
}

bool path_expire(struct path *p, u64 now)
{
	if (demote_at(p) > now)
		return false;
	p->state = p->state == PATH_LIVE ? PATH_DEGRADED : PATH_DEAD;
	return true;
}
