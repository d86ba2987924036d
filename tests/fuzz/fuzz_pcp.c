/* SPDX-License-Identifier: MIT */
/*
 * fuzz_pcp.c - what routers, and whoever is on the link, can send: answers of PCP and NAT-PMP, answers
 * to a search for UPnP devices, URLs. The first byte chooses. Input lies in memory of exactly its
 * size, so that a sanitizer sees any byte too many.
 */
#include <stdlib.h>
#include <string.h>

#include "io/portmap_pcp.h"
#include "io/upnp.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
	if (!condition)
		abort();
}

/* What is granted must be put into a request as it was read: a renewal asks for it again. */
static void try_again(const struct pcp_answer *a, const u8 *bytes)
{
	struct pcp_map map = { .client = a->external.address,
			       .internal_port = a->internal_port,
			       .suggested = a->external };
	u8 again[PCP_MAP_SIZE];

	memcpy(map.nonce, a->nonce, sizeof(map.nonce));
	pcp_put_map(again, &map);
	require(memcmp(again + 24, bytes + 24, 13) == 0);
	require(memcmp(again + 40, bytes + 40, 20) == 0);
}

static void try_answer(const u8 *bytes, size_t size)
{
	struct pcp_epoch epoch = { .known = true, .seconds = 1000, .at = NS_PER_S };
	struct pcp_answer a;

	if (pcp_get_answer(bytes, size, &a))
		return;
	require(pcp_result_name(a.result) != NULL);
	pcp_epoch_goes_on(&epoch, 2 * NS_PER_S, a.epoch);
	require(epoch.seconds == a.epoch);
	if (a.kind == PCP_MAPPED)
		try_again(&a, bytes);
}

static void try_location(const u8 *bytes, size_t size)
{
	char url[UPNP_URL_SIZE];

	if (upnp_location((const char *)bytes, size, url))
		return;
	require(strlen(url) > 0 && strlen(url) < sizeof(url));
}

static void try_url(const u8 *bytes, size_t size)
{
	char *text = malloc(size + 1);
	struct endpoint e;
	const char *path;

	if (!text)
		return;
	memcpy(text, bytes, size);
	text[size] = 0;
	if (upnp_url(text, &e, &path) == 0)
		require(endpoint_is_usable(&e) && path[0] == '/' && !strpbrk(path, " \r\n"));
	free(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	u8 *copy;

	if (size < 1)
		return 0;
	copy = malloc(size > 1 ? size - 1 : 1);
	if (!copy)
		return 0;
	memcpy(copy, data + 1, size - 1);
	if (data[0] % 4 == 1)
		try_location(copy, size - 1);
	else if (data[0] % 4 == 2)
		try_url(copy, size - 1);
	else
		try_answer(copy, size - 1);
	free(copy);
	return 0;
}
