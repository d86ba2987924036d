/* SPDX-License-Identifier: MIT */
/*
 * test_outbox.c - what waits before a slow link: who is next, who is told, what may leave.
 */
#include "unit/desk.h"

#include "warp/ecn.h"

static void flood(struct desk *d, u32 tunnel)
{
	u32 size = 200;

	while (desk_give(d, tunnel, size++) == DROP_NONE)
		assert_true(size < 1300);
}

/* --- fairness --------------------------------------------------------------------------------- */

static void a_flood_delays_itself_and_not_the_others(void **state)
{
	struct desk *d = *state;

	desk_one_link(d);
	flood(d, BULK);
	assert_int_equal(desk_give(d, SPARSE, 300), DROP_NONE);
	assert_int_equal(engine_left(d->engine[0], d->tunnel[0][SPARSE]), 0);
	desk_send(d, 0, 0, 2);
	assert_int_equal(engine_left(d->engine[0], d->tunnel[0][SPARSE]), 1u << d->iface[0][0]);
	assert_int_equal(engine_left(d->engine[0], d->tunnel[0][SPARSE]), 0);
	desk_collect(d);
	assert_int_equal(d->delivered[d->tunnel[1][SPARSE]], 1);
}

static void two_floods_share_the_link_by_bytes(void **state)
{
	struct desk *d = *state;
	u32 large = 0, small = 0;

	desk_one_link(d);
	for (u32 n = 0; n < 200; n++) {
		while (desk_give(d, BULK, 1200 + large % 2) == DROP_NONE)
			large++;
		while (desk_give(d, SPARSE, 300 + small % 2) == DROP_NONE)
			small++;
		desk_send(d, 0, 0, 1);
	}
	desk_collect(d);
	large = d->delivered[d->tunnel[1][BULK]];
	small = d->delivered[d->tunnel[1][SPARSE]];
	assert_true(large > 20);
	assert_in_range(small, large * 3, large * 5);
}

static void a_flood_leaves_places_to_others(void **state)
{
	struct desk *d = *state;
	u32 count = 0;

	desk_one_link(d);
	flood(d, BULK);
	while (desk_give(d, SPARSE, 300 + count) == DROP_NONE)
		count++;
	assert_in_range(count, 20, OUTBOX_SIZE / 4);
	assert_int_equal(desk_drops(d, SPARSE, DROP_QUEUE_FULL), 1);
}

static void control_goes_before_payloads(void **state)
{
	struct desk *d = *state;
	struct outgoing out[1];

	desk_one_link(d);
	flood(d, BULK);
	engine_remove_peer(d->engine[0], d->now, d->peer[0]); /* says so */
	assert_int_equal(engine_outgoing(d->engine[0], d->now, d->iface[0][0], out, 1), 1);
	assert_true(out[0].buf->length < 100);
}

/* Probes overtake what waits; they must not tell of it as sent, or it would look lost. */
static void a_queue_is_no_loss(void **state)
{
	struct desk *d = *state;

	desk_one_link(d);
	for (u32 n = 0; n < 400; n++) {
		for (u32 k = 0; k < 20; k++)
			desk_give(d, BULK, 1000 + k);
		d->now += 5 * NS_PER_MS;
		desk_expire(d);
		desk_send(d, 0, 0, 5);
		desk_send(d, 1, 0, 64);
		desk_collect(d);
	}
	assert_true(desk_drops(d, BULK, DROP_QUEUE_FULL) > 100);
	for (u32 n = 0; n < MAX_PEER_PATHS; n++) {
		assert_true(d->engine[0]->peers[0]->paths[n].out.loss < 0.001);
		assert_true(d->engine[1]->peers[0]->paths[n].in.loss < 0.001);
	}
}

static void what_is_looked_at_and_not_sent_stays_in_its_place(void **state)
{
	struct desk *d = *state;
	struct outgoing before[8], after[8];

	desk_one_link(d);
	for (u32 n = 0; n < 8; n++)
		desk_give(d, n % 2 ? SPARSE : BULK, 500 + n);
	assert_int_equal(engine_outgoing(d->engine[0], d->now, d->iface[0][0], before, 8), 8);
	assert_int_equal(engine_outgoing(d->engine[0], d->now, d->iface[0][0], after, 8), 8);
	for (u32 n = 0; n < 8; n++)
		assert_ptr_equal(before[n].buf, after[n].buf);
	engine_sent(d->engine[0], d->now, d->iface[0][0], 3);
	assert_int_equal(engine_outgoing(d->engine[0], d->now, d->iface[0][0], after, 8), 5);
	for (u32 n = 0; n < 5; n++)
		assert_ptr_equal(before[n + 3].buf, after[n].buf);
}

/* --- congestion ------------------------------------------------------------------------------- */

/* Packets, none of which joins another, at twice the pace of the first links. */
static void overload(struct desk *d, u8 ecn, u64 duration, u32 links)
{
	for (u64 end = d->now + duration; d->now < end; d->now += NS_PER_MS) {
		for (u32 n = 0; n < 2; n++) {
			desk_give_packet(d, ecn);
			train_close(d->engine[0]);
		}
		desk_expire(d);
		for (u32 link = 0; link < LINKS; link++)
			desk_send(d, 0, link, link < links ? 1 : 64);
		for (u32 link = 0; link < LINKS; link++)
			desk_send(d, 1, link, 64);
		desk_collect(d);
	}
}

static void packets_that_understand_are_marked_and_not_dropped(void **state)
{
	struct desk *d = *state;

	desk_one_link(d);
	overload(d, ECN_ECT_0, 300 * NS_PER_MS, 1);
	assert_int_equal(desk_drops(d, NET, DROP_CONGESTION), 0);
	desk_settle(d);
	assert_in_range(d->marked, 2, 30);
	assert_int_equal(d->engine[0]->tunnels[d->tunnel[0][NET]].marked, d->marked);
}

static void others_are_dropped_one_by_one(void **state)
{
	struct desk *d = *state;

	desk_one_link(d);
	overload(d, ECN_NOT_ECT, 300 * NS_PER_MS, 1);
	assert_in_range(desk_drops(d, NET, DROP_CONGESTION), 2, 30);
	assert_int_equal(desk_drops(d, NET, DROP_QUEUE_FULL), 0);
}

static void a_slow_link_beside_a_fast_one_slows_nobody_down(void **state)
{
	struct desk *d = *state;

	overload(d, ECN_ECT_0, 300 * NS_PER_MS, 1);
	desk_settle(d);
	assert_int_equal(d->marked, 0);
	assert_int_equal(desk_drops(d, NET, DROP_CONGESTION), 0);
	overload(d, ECN_ECT_0, 300 * NS_PER_MS, 2);
	desk_settle(d);
	assert_true(d->marked > 0);
}

/* --- rates ------------------------------------------------------------------------------------ */

static void limit(struct desk *d, u64 rate)
{
	const struct iface_policy policy = { .rate_limit = rate };

	engine_iface_set_policy(d->engine[0], d->now, d->iface[0][0], &policy);
}

/* Bytes of IP that leave in duration, when there is always more; the most that left at once. */
static u64 bytes_of(struct desk *d, u64 duration, u64 *ret_burst)
{
	struct outgoing out[16];
	u64 sum = 0, end = d->now + duration;

	*ret_burst = 0;
	while (d->now < end) {
		u64 burst = 0;
		size_t n;

		while (desk_give(d, BULK, 1000) == DROP_NONE)
			;
		while ((n = engine_outgoing(d->engine[0], d->now, d->iface[0][0], out, 16)) > 0) {
			for (size_t k = 0; k < n; k++) {
				u32 segment = out[k].buf->segment ? out[k].buf->segment :
								    out[k].size;

				burst += out[k].size + 28 * ((out[k].size + segment - 1) / segment);
				desk_carry(d, 0, 0, &out[k]);
			}
			engine_sent(d->engine[0], d->now, d->iface[0][0], n);
		}
		assert_int_equal(engine_outgoing_ifaces(d->engine[0]), 0);
		desk_send(d, 1, 0, 64); /* answers to probes */
		desk_collect(d);
		desk_expire(d);
		assert_true(engine_next_expiry(d->engine[0]) > d->now);
		*ret_burst = burst > *ret_burst ? burst : *ret_burst;
		sum += burst;
		d->now = time_min(time_min(engine_next_expiry(d->engine[0]),
					   engine_next_expiry(d->engine[1])),
				  end);
	}
	return sum;
}

static void a_rate_holds_and_trains_leave_in_parts(void **state)
{
	static const u64 rates[] = { 12500, 125000, 1250000, 12500000 };
	struct desk *d = *state;
	u64 burst, sum;

	desk_one_link(d);
	for (u32 n = 0; n < ARRAY_SIZE(rates); n++) {
		limit(d, rates[n]);
		bytes_of(d, NS_PER_S, &burst);
		sum = bytes_of(d, 4 * NS_PER_S, &burst);
		assert_in_range(sum, 4 * rates[n] * 95 / 100, 4 * rates[n] * 101 / 100 + 4000);
		assert_in_range(burst, 0, rates[n] * 7 / 1000 + 4500);
	}
}

static void parts_of_a_train_arrive_like_the_whole(void **state)
{
	struct desk *d = *state;

	desk_one_link(d);
	for (u32 n = 0; n < 30; n++)
		assert_int_equal(desk_give(d, BULK, 1000), DROP_NONE);
	limit(d, 100000);
	assert_int_equal(engine_pending(d->engine[0], d->tunnel[0][BULK]), 1);
	for (u32 n = 0; n < 500; n++) {
		d->now += NS_PER_MS;
		engine_expire(d->engine[0], d->now);
		desk_send(d, 0, 0, 64);
	}
	desk_collect(d);
	assert_int_equal(d->delivered[d->tunnel[1][BULK]], 30);
	assert_int_equal(engine_pending(d->engine[0], d->tunnel[0][BULK]), 0);
}

static void a_limit_that_goes_lets_all_go(void **state)
{
	struct desk *d = *state;

	desk_one_link(d);
	for (u32 n = 0; n < 50; n++)
		desk_give(d, BULK, 500 + n);
	limit(d, 1000);
	while (desk_send(d, 0, 0, 64))
		;
	assert_int_equal(engine_outgoing_ifaces(d->engine[0]), 0);
	limit(d, 0);
	desk_settle(d);
	assert_int_equal(d->delivered[d->tunnel[1][BULK]], 50);
}

/* How long (ns) what has just been queued waits, when the rate is the only reason. */
static u64 queue_of(const struct desk *d, u64 rate)
{
	return d->engine[0]->ifaces[d->iface[0][0]]->outbox.bytes * NS_PER_S / rate;
}

/* In trains, and one by one. */
static void what_waits_for_a_rate_is_little(void **state)
{
	static const u64 rates[] = { 125000, 1250000, 12500000 };
	struct desk *d = *state;
	u64 most;

	desk_one_link(d);
	for (u32 n = 0; n < ARRAY_SIZE(rates); n++) {
		limit(d, rates[n]);
		most = 0;
		for (u32 ms = 0; ms < 1000; ms++, d->now += NS_PER_MS) {
			for (u32 k = 0; k < 50; k++)
				desk_give(d, BULK, ms & 128 ? 1000 : 1000 + k % 2);
			train_close(d->engine[0]);
			most = queue_of(d, rates[n]) > most ? queue_of(d, rates[n]) : most;
			desk_expire(d);
			desk_send(d, 0, 0, 64);
			desk_send(d, 1, 0, 64);
			desk_collect(d);
		}
		assert_in_range(most, 30 * NS_PER_MS, 65 * NS_PER_MS);
		desk_settle(d);
	}
}

static void a_flood_at_a_rate_leaves_places_to_others(void **state)
{
	struct desk *d = *state;
	u32 came;

	desk_one_link(d);
	limit(d, 125000);
	for (u32 ms = 0; ms < 1000; ms++, d->now += NS_PER_MS) {
		for (u32 k = 0; k < 20; k++)
			desk_give(d, BULK, 1000 + k % 2);
		if (ms % 50 == 0)
			assert_int_equal(desk_give(d, SPARSE, 200), DROP_NONE);
		desk_expire(d);
		desk_send(d, 0, 0, 64);
		desk_send(d, 1, 0, 64);
		desk_collect(d);
	}
	came = d->delivered[d->tunnel[1][SPARSE]];
	assert_in_range(came, 19, 20);
}

/* A limited link beside one that is not: what does not find a place is dropped there only. */
static void a_limit_is_its_links_own_affair(void **state)
{
	struct desk *d = *state;

	limit(d, 125000);
	for (u32 ms = 0; ms < 200; ms++, d->now += NS_PER_MS) {
		for (u32 k = 0; k < 10; k++)
			assert_int_equal(desk_give(d, BULK, 1000), DROP_NONE);
		desk_expire(d);
		desk_settle(d);
	}
	assert_int_equal(d->delivered[d->tunnel[1][BULK]], 2000);
	assert_true(desk_drops(d, BULK, DROP_QUEUE_FULL) > 1500);
	assert_int_equal(d->engine[0]->paced_mask | d->engine[0]->limited_mask,
			 d->engine[0]->limited_mask);
	limit(d, 0);
	assert_int_equal(d->engine[0]->limited_mask, 0);
}

/* Its last fragment finds a place when its first one did. */
static void a_large_payload_goes_whole_or_not_at_all(void **state)
{
	struct desk *d = *state;
	u32 taken = 0;

	desk_one_link(d);
	limit(d, 125000);
	for (u32 ms = 0; ms < 2000; ms++, d->now += NS_PER_MS) {
		if (ms < 1000)
			taken += desk_give(d, BULK, 8000) == DROP_NONE;
		desk_expire(d);
		desk_send(d, 0, 0, 64);
		desk_send(d, 1, 0, 64);
		desk_collect(d);
	}
	assert_in_range(taken, 10, 25);
	assert_int_equal(d->delivered[d->tunnel[1][BULK]], taken);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, desk_set_up, desk_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_flood_delays_itself_and_not_the_others),
		TEST(two_floods_share_the_link_by_bytes),
		TEST(a_flood_leaves_places_to_others),
		TEST(control_goes_before_payloads),
		TEST(a_queue_is_no_loss),
		TEST(what_is_looked_at_and_not_sent_stays_in_its_place),
		TEST(packets_that_understand_are_marked_and_not_dropped),
		TEST(others_are_dropped_one_by_one),
		TEST(a_slow_link_beside_a_fast_one_slows_nobody_down),
		TEST(a_rate_holds_and_trains_leave_in_parts),
		TEST(parts_of_a_train_arrive_like_the_whole),
		TEST(a_limit_that_goes_lets_all_go),
		TEST(what_waits_for_a_rate_is_little),
		TEST(a_flood_at_a_rate_leaves_places_to_others),
		TEST(a_limit_is_its_links_own_affair),
		TEST(a_large_payload_goes_whole_or_not_at_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
