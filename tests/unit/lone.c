/* SPDX-License-Identifier: MIT */
/* lone.c - see lone.h. */
#include "lone.h"

void lone_begin(struct lone *l, u32 bufs)
{
	struct engine_options o = { .ciphers = crypto_ciphers() };

	assert_int_equal(crypto_init(), 0);
	*l = (struct lone){ .random = { 1 }, .bufs = bufs };
	l->allocator = o.allocator = test_allocator(&l->heap);
	l->pool = o.pool = pool_create(&l->allocator, bufs);
	o.random = test_random_source(&l->random);
	identity_from_private(&o.identity, (const u8[KEY_SIZE]){ 8 });
	assert_int_equal(engine_create(&l->e, &o), 0);
}

void lone_end(struct lone *l)
{
	engine_destroy(l->e);
	assert_int_equal(pool_available(l->pool), l->bufs);
	pool_destroy(l->pool);
	assert_int_equal(l->heap.live, 0);
}
