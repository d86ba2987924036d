/* SPDX-License-Identifier: MIT */
/*
 * autosel.c - payloads of a tunnel with a target go out as planned, and again when they are missing.
 *
 * A plan is made ten times a second while payloads go out, and at once when a path that it relies
 * upon is not live any more, or nothing is reported of what went over it. A new plan takes the place of
 * one that does not meet the target; one that is merely cheaper has to stay so for a while.
 *
 *   engine_send ----- autosel_mask: the paths of the plan ------> outbox
 *        \---- autosel_keep: the datagram, until it is reported     |
 *                        |  reports are missing                     v
 *                        \-------- again, other paths ---------> outbox
 */
#include "autosel.h"

#include <errno.h>

#define PLAN_INTERVAL (100 * NS_PER_MS)
#define THRIFT_PATIENCE (500 * NS_PER_MS) /* a cheaper plan has to be so for so long */
#define AIM 0.5                           /* of the residual that is the target */
#define CHEAPER 0.93                      /* of the present cost */
#define SAFER 0.7 /* of the present residual, when neither meets the target */
#define ASK_INTERVAL (250 * NS_PER_MS)
#define UNREPORTED_MAX (1 * NS_PER_S) /* without reports for so long, none are to be had */
#define REPORTS_AWAITED (2 * NS_PER_S)
#define IDLE_AFTER (2 * NS_PER_S)
#define SHUNNED (2 * NS_PER_S) /* a path that was silent, at first; twice as long each time */
#define SHUNNED_MAX (64 * NS_PER_S)
#define SHUNNED_LOSS 0.5
#define SILENT_LOSS 0.75 /* it may help to send again what is missing */
#define SHORT_PATIENCE (3 * NS_PER_S)
#define OVERRUN_MEMORY (5 * NS_PER_S)

static struct flow *flow_of(const struct autosel *a, struct peer *p)
{
	return &p->flows[a->tunnel];
}

static u64 bit(u32 path)
{
	return UINT64_C(1) << path;
}

/* --- links and paths ------------------------------------------------------------------------- */

static u64 live_paths(const struct peer *p)
{
	u64 live = 0;

	for (u64 mask = p->used_mask; mask; mask &= mask - 1) {
		const u32 n = (u32)__builtin_ctzll(mask);
		const struct path *path = &p->paths[n];

		if (path->state != PATH_LIVE || path->cost == COST_BARRED ||
		    path->remote_cost >= COST_BARRED)
			continue;
		if (!path_relayed(path) || p->usable_mask & bit(n))
			live |= bit(n);
	}
	return live;
}

bool autosel_all_live(const struct peer *p, u64 mask)
{
	for (; mask; mask &= mask - 1) {
		const struct path *path = &p->paths[__builtin_ctzll(mask)];

		if (!path->used || path->state != PATH_LIVE)
			return false;
	}
	return true;
}

static u64 paths_of(const struct plan_input *in, u32 links)
{
	u64 mask = 0;

	for (u32 n = 0; n < in->count; n++)
		mask |= links >> n & 1 ? bit(in->link[n].path) : 0;
	return mask;
}

/* The links of these paths; false: some are not among them. */
static bool links_of(const struct plan_input *in, u64 paths, u8 *ret)
{
	u32 links = 0;

	for (u32 n = 0; n < in->count; n++) {
		if (paths & bit(in->link[n].path))
			links |= 1u << n;
		paths &= ~bit(in->link[n].path);
	}
	*ret = (u8)links;
	return paths == 0;
}

/* --- what a plan is made of ------------------------------------------------------------------ */

/* Nothing is reported of what goes over this path: it has failed, until an answer to a probe that was
 * sent after that shows that it lives. It is not relied upon for a while then. */
static bool is_silent(struct autosel *a, const struct peer *p, u64 now, u32 n)
{
	const u64 since = a->repair ? repair_silent_since(a->repair, n) : 0;
	struct shun *s = &a->shun[n];

	if (since == 0)
		return false;
	if (p->paths[n].answered_stamp <= since)
		return true;
	repair_heard(a->repair, n);
	s->last = s->until + SHUNNED_MAX < now || s->last == 0 ? SHUNNED : 2 * s->last;
	s->last = time_min(s->last, SHUNNED_MAX);
	s->until = now + s->last;
	return false;
}

/* Returns whether all links are silent. */
static bool mark_silent(struct autosel *a, const struct peer *p, u64 now)
{
	bool all = true;

	for (u32 n = 0; n < a->in.count; n++) {
		struct plan_link *l = &a->in.link[n];

		if (is_silent(a, p, now, l->path)) {
			l->loss = SILENT_LOSS;
			continue;
		}
		all = false;
		if (a->shun[l->path].until > now && l->loss < SHUNNED_LOSS)
			l->loss = SHUNNED_LOSS;
	}
	return all;
}

/* Reports of what goes over the paths in use are measured. */
static void set_answers(struct autosel *a)
{
	for (u32 n = 0; a->repair && n < a->in.count; n++) {
		struct plan_link *l = &a->in.link[n];
		const u64 known = repair_patience(a->repair, l->path);

		if (known && a->first & bit(l->path) && !(a->first & (a->first - 1)))
			l->answer = known;
	}
}

static bool reports_come(struct autosel *a, u64 now)
{
	if (a->repair && repair_counts(a->repair)->overrun != a->overruns) {
		a->overruns = repair_counts(a->repair)->overrun;
		a->overrun_at = now;
	}
	if (a->overrun_at && now - a->overrun_at < OVERRUN_MEMORY)
		return false;
	return a->reported &&
	       (a->unreported_since == 0 || now - a->unreported_since < UNREPORTED_MAX);
}

static void count_rate(struct autosel *a, const struct flow *f, u64 now)
{
	const double seconds = (double)(now - a->counted_at) / (double)NS_PER_S;
	const double rate = (double)(u32)(f->next_sequence - a->counted) / seconds;

	if (now - a->counted_at < PLAN_INTERVAL / 2)
		return;
	if (a->counted_at >= a->begun)
		a->rate = a->rate > 0 ? a->rate + (rate - a->rate) / 4 : rate;
	a->counted = f->next_sequence;
	a->counted_at = now;
}

/* What leaves after the send_deadline, which the other end knows, is dropped there. */
static void limit_within(struct autosel *a, u64 send_deadline)
{
	u64 way = TIME_NEVER;

	for (u32 n = 0; n < a->in.count; n++)
		way = time_min(way, a->in.link[n].delay);
	if (send_deadline && a->in.count)
		a->in.target.within = time_min(a->in.target.within, send_deadline + way);
}

static void gather(struct engine *e, struct peer *p, u64 now, struct autosel *a)
{
	u32 well;

	learn_refresh(p, now);
	count_rate(a, flow_of(a, p), now);
	a->in.target = e->tunnels[a->tunnel].target;
	a->in.rate = a->rate;
	a->in.parity = REDUND_PARITY_MAX;
	well = learn_links(e, p, live_paths(p), a->first | a->again, &a->in);
	set_answers(a);
	limit_within(a, e->tunnels[a->tunnel].send_deadline);
	a->in.reports = reports_come(a, now);
	a->in.young = well < (a->in.count < 2 ? a->in.count : 2) ||
		      (!a->in.reports && now - a->begun < REPORTS_AWAITED);
	if (mark_silent(a, p, now))
		a->in.young = true;
	if (a->in.reports && !a->repair)
		a->repair = repair_create(&e->options.allocator);
	a->in.reports &= a->repair != NULL;
}

/* --- which plan ------------------------------------------------------------------------------ */

/* Aims at more than the target: a plan that is kept while it meets the target does not change with
 * every noise. */
static void make_plan(const struct plan_input *in, bool sure, struct plan *ret)
{
	struct plan_input aim = *in;

	aim.target.residual_loss *= AIM;
	plan_make(&aim, ret);
	plan_rate(in, ret);
	if (!sure && plan_rank(in, ret) < PLAN_MEETS_LOSSES) { /* what is not known costs most */
		aim.young = true;
		plan_make(&aim, ret);
		plan_rate(in, ret);
	}
	if (ret->why == PLAN_YOUNG)
		return;
	if (ret->met)
		ret->why = PLAN_CHEAPEST;
	else if (plan_rank(in, ret) == PLAN_MEETS_LOSSES)
		ret->why = PLAN_FAILURES;
}

/* Whether to change, from the present plan with what is known now. */
static bool worth_changing(struct autosel *a, u64 now, const struct plan *plan)
{
	struct plan old = a->plan;
	const enum plan_rank rank = plan_rank(&a->in, plan);
	bool better;

	if (!links_of(&a->in, a->first, &old.first) || !links_of(&a->in, a->again, &old.again) ||
	    !old.first || old.why == PLAN_YOUNG || plan->why == PLAN_YOUNG)
		return true;
	if (old.kind == PLAN_REPAIR && !a->in.reports)
		return true;
	plan_rate(&a->in, &old);
	a->plan.residual = old.residual;
	a->plan.overhead = old.overhead;
	a->plan.cost = old.cost;
	a->plan.losses = old.losses;
	a->plan.met = old.met;
	a->plan.why = plan->why;
	if (rank > plan_rank(&a->in, &old))
		return true;
	better = rank >= PLAN_MEETS_LOSSES ? plan->cost < old.cost * CHEAPER :
					     plan->residual < old.residual * SAFER;
	if (!better)
		a->cheaper_since = 0;
	else if (a->cheaper_since == 0)
		a->cheaper_since = now;
	return better && now - a->cheaper_since >= THRIFT_PATIENCE;
}

/* Of some links the longest time for a report, the shortest way. */
static void set_times(struct autosel *a)
{
	u64 way = TIME_NEVER;

	a->patience = 0;
	for (u32 n = 0; n < a->in.count; n++) {
		const struct plan_link *l = &a->in.link[n];

		if (a->first & bit(l->path) && l->answer > a->patience)
			a->patience = l->answer;
		if (a->again & bit(l->path))
			way = time_min(way, l->delay);
	}
	a->leave = way == TIME_NEVER ? 0 : way + AUTOSEL_SLACK;
}

static void apply(struct engine *e, struct peer *p, u64 now, struct autosel *a,
		  const struct plan *plan)
{
	const struct shard_options shards = { plan->shards, plan->required,
					      plan->max_delay > SHARD_DELAY_MIN ? plan->max_delay :
										  SHARD_DELAY_MIN };
	const u64 first = paths_of(&a->in, plan->first), again = paths_of(&a->in, plan->again);

	if (plan->kind == PLAN_SHARDS && redund_tune(e, p, a->tunnel, now, &shards) < 0)
		return;
	if (!plan_same(plan, &a->plan) || first != a->first || again != a->again) {
		train_close(e);
		a->changes++;
		a->next_ask = now;
	}
	a->plan = *plan;
	a->first = first;
	a->again = again;
	a->cheaper_since = 0;
}

/* No path is live. */
static void go_blind(struct autosel *a, const struct peer *p)
{
	a->plan = (struct plan){ .kind = PLAN_COPIES, .why = PLAN_BEST, .residual = 1 };
	a->first = a->careful = pathset_select(p, 0);
	a->again = 0;
}

/* --- asking for reports ---------------------------------------------------------------------- */

static u32 count_of(u64 mask)
{
	u32 count = 0;

	for (; mask; mask &= mask - 1)
		count++;
	return count;
}

/* So often that what is missing is seen in time, and no more often. */
static u64 report_interval(const struct autosel *a)
{
	const u64 within = a->in.target.within;
	u64 interval = within / 8;

	for (u32 n = 0; n < a->in.count; n++) {
		const u64 trip = 3 * a->in.link[n].delay;
		const u64 leaves = trip < within ? (within - trip) / 4 : 0;

		if (a->first & bit(a->in.link[n].path))
			interval = time_min(interval, leaves);
	}
	interval /= NS_PER_MS;
	return interval < 2 ? 2 : interval > 50 ? 50 : interval;
}

static void ask(struct engine *e, struct peer *p, u64 now, struct autosel *a)
{
	const u64 within = a->in.target.within / NS_PER_MS;
	struct frame f = { .type = FRAME_REPORT };
	u64 mask = a->first & -a->first;

	f.report = (struct frame_report){
		.kind = REPORT_ASK,
		.tunnel = e->tunnels[a->tunnel].id,
		.sequence = flow_of(a, p)->next_sequence,
		.copies = a->plan.kind == PLAN_SHARDS ? 1 : (u8)count_of(a->first),
		.interval = (u8)report_interval(a),
		.within = (u16)within,
	};
	mask |= a->careful & ~mask & -(a->careful & ~mask);
	for (; mask; mask &= mask - 1)
		peer_send_frames(e, p, now, (u8)__builtin_ctzll(mask), &f, 1, 0);
	a->next_ask = now + ASK_INTERVAL;
}

/* --- whether the target is met --------------------------------------------------------------- */

/* Tells of what has stayed so for a while. */
static void tell_shortfall(struct engine *e, const struct peer *p, u64 now, struct autosel *a)
{
	const bool is_short = a->plan.why == PLAN_OVERHEAD || a->plan.why == PLAN_BEST;

	if (is_short == a->short_told || a->plan.why == PLAN_YOUNG) {
		a->short_since = 0;
		return;
	}
	if (a->short_since == 0)
		a->short_since = now;
	if (now - a->short_since < SHORT_PATIENCE)
		return;
	a->short_told = is_short;
	a->short_since = 0;
	engine_notice(e, NOTICE_TARGET, p->index, a->tunnel, is_short);
}

/* --- plans, in time -------------------------------------------------------------------------- */

void autosel_replan(struct engine *e, struct peer *p, u64 now, struct autosel *a)
{
	struct plan plan;

	a->next_plan = now + PLAN_INTERVAL;
	gather(e, p, now, a);
	if (a->in.count == 0) {
		go_blind(a, p);
		return;
	}
	a->careful = paths_of(&a->in, plan_cheap_links(&a->in));
	make_plan(&a->in, learn_surely(p, &a->in), &plan);
	if (worth_changing(a, now, &plan))
		apply(e, p, now, a, &plan);
	set_times(a);
	tell_shortfall(e, p, now, a);
	if (a->next_ask <= now)
		ask(e, p, now, a);
}

u64 autosel_mask(struct engine *e, struct peer *p, u64 now, struct autosel *a)
{
	if (a->used_at + IDLE_AFTER <= now || a->used_at == 0) {
		a->begun = now;
		a->reported = false;
		a->next_plan = a->next_ask = now;
		a->unreported_since = 0;
		a->plan.why = PLAN_YOUNG;
	}
	a->used_at = now;
	if (a->unreported_since == 0)
		a->unreported_since = now;
	if (assoc_ready(&p->assoc, now) &&
	    (a->next_plan <= now || !a->first || !autosel_all_live(p, a->first)))
		autosel_replan(e, p, now, a);
	engine_arm(e, a->next_plan);
	return a->first ? a->first : pathset_select(p, 0);
}

u64 autosel_careful_mask(const struct peer *p, const struct autosel *a)
{
	return a->careful && autosel_all_live(p, a->careful) ? a->careful : pathset_select(p, 0);
}

bool autosel_shards(const struct autosel *a)
{
	return a->plan.kind == PLAN_SHARDS;
}

/* --- time ------------------------------------------------------------------------------------ */

u64 autosel_next_expiry(const struct engine *e)
{
	u64 at = TIME_NEVER;

	for (const struct autosel *a = e->autosels; a; a = a->next) {
		at = time_min(at, a->next_plan);
		if (a->repair)
			at = time_min(at, repair_next_expiry(a->repair));
	}
	return at;
}

void autosel_expire(struct engine *e, u64 now)
{
	for (struct autosel *a = e->autosels; a; a = a->next) {
		struct peer *p = e->peers[a->peer];

		if (a->next_plan <= now) {
			if (a->used_at + IDLE_AFTER <= now || !assoc_ready(&p->assoc, now))
				a->next_plan = TIME_NEVER;
			else
				autosel_replan(e, p, now, a);
		}
		if (a->repair && repair_next_expiry(a->repair) <= now)
			mend_send(e, p, now, a);
	}
}

/* --- life ------------------------------------------------------------------------------------ */

int autosel_open(struct engine *e, struct peer *p, u16 tunnel)
{
	const struct tunnel *t = &e->tunnels[tunnel];
	struct autosel *a;

	if (t->target.within == 0 || !tunnel_has_peer(t, p->index))
		return 0;
	if (learn_open(e, p) < 0)
		return -ENOMEM;
	a = mem_alloc(&e->options.allocator, sizeof(*a));
	if (!a) {
		learn_close(e, p);
		return -ENOMEM;
	}
	a->peer = p->index;
	a->tunnel = tunnel;
	a->next_plan = TIME_NEVER;
	a->next = e->autosels;
	e->autosels = a;
	p->flows[tunnel].autosel = a;
	return 0;
}

void autosel_close(struct engine *e, struct peer *p, u16 tunnel)
{
	struct autosel *a = p->flows[tunnel].autosel, **at = &e->autosels;

	if (!a)
		return;
	while (*at != a)
		at = &(*at)->next;
	*at = a->next;
	repair_destroy(&e->options.allocator, a->repair);
	mem_free(&e->options.allocator, a, sizeof(*a));
	p->flows[tunnel].autosel = NULL;
	learn_close(e, p);
}
