/* SPDX-License-Identifier: MIT */
/*
 * allowed.c - the keys are public, so looking them up need not take constant time.
 */
#include "allowed.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct allowed {
	size_t count;
	u8 keys[][KEY_SIZE];
};

static int compare(const void *a, const void *b)
{
	return memcmp(a, b, KEY_SIZE);
}

int allowed_create(struct allowed **ret, const struct conf_map_server *conf)
{
	struct allowed *a;

	*ret = NULL;
	if (!conf->allowed_clients)
		return 0;
	a = malloc(sizeof(*a) + conf->allowed_client_count * KEY_SIZE);
	if (!a)
		return -ENOMEM;
	a->count = conf->allowed_client_count;
	memcpy(a->keys, conf->allowed_clients, a->count * KEY_SIZE);
	qsort(a->keys, a->count, KEY_SIZE, compare);
	*ret = a;
	return 0;
}

void allowed_destroy(struct allowed *a)
{
	free(a);
}

bool allowed_has(const struct allowed *a, const u8 key[static KEY_SIZE])
{
	return bsearch(key, a->keys, a->count, KEY_SIZE, compare) != NULL;
}
