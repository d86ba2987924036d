/* SPDX-License-Identifier: MIT */
/*
 * datagram.c - bytes to the headers of datagrams, hellos and returns, and back; the layouts are drawn
 * in wire.h.
 */
#include "warp/wire.h"

#include <errno.h>

void wire_put_transport(u8 p[static WIRE_HEADER_SIZE], const struct wire_transport *h)
{
	put_u32(p, (u32)WIRE_TRANSPORT << 24);
	put_u32(p + 4, h->receiver);
	put_u64(p + 8, h->counter);
}

int wire_get_transport(const u8 *p, size_t size, struct wire_transport *ret)
{
	if (size < WIRE_OVERHEAD || get_u32(p) != (u32)WIRE_TRANSPORT << 24)
		return -EBADMSG;
	ret->receiver = get_u32(p + 4);
	ret->counter = get_u64(p + 8);
	return 0;
}

void wire_put_hello(u8 p[static WIRE_HELLO_SIZE], const struct wire_hello *h)
{
	p[0] = h->version;
	p[1] = h->ciphers;
	put_u16(p + 2, h->flags);
	put_u32(p + 4, h->life);
	put_u64(p + 8, h->stamp);
}

int wire_get_hello(const u8 p[static WIRE_HELLO_SIZE], struct wire_hello *ret)
{
	if (p[0] != WIRE_VERSION)
		return -EBADMSG;
	ret->version = p[0];
	ret->ciphers = p[1];
	ret->flags = get_u16(p + 2);
	ret->life = get_u32(p + 4);
	ret->stamp = get_u64(p + 8);
	return 0;
}

void wire_put_return(u8 p[static WIRE_RETURN_SIZE], u64 nonce)
{
	put_u32(p, (u32)WIRE_RETURN << 24);
	put_u64(p + 4, nonce);
}

bool wire_get_return(const u8 *p, size_t size, u64 *ret_nonce)
{
	if (size != WIRE_RETURN_SIZE || get_u32(p) != (u32)WIRE_RETURN << 24)
		return false;
	*ret_nonce = get_u64(p + 4);
	return true;
}
