/* SPDX-License-Identifier: MIT */
#include "packets.h"

#include <string.h>

#include "warp/wire.h"

struct packet packet_tcp(u8 family)
{
	return (struct packet){
		.family = family,
		.protocol = 6,
		.tos = 2,
		.ttl = 63,
		.id = 4711,
		.fragment = 0x4000,
		.label = 0x12345,
		.from = 1,
		.to = 2,
		.source = 5001,
		.destination = 443,
		.sequence = 0x12345678,
		.acknowledgement = 0x9abcdef0,
		.flags = FLAG_ACK,
		.window = 501,
	};
}

struct packet packet_udp(u8 family)
{
	struct packet p = packet_tcp(family);

	p.protocol = 17;
	return p;
}

void packet_options(struct packet *p, const char *bytes, u32 size)
{
	p->options = bytes;
	p->options_size = size;
}

void packet_ip_extra(struct packet *p, u8 type, const char *bytes, u32 size)
{
	p->extra_type = type;
	p->ip_extra = bytes;
	p->ip_extra_size = size;
}

u16 naive_sum(u16 sum, const u8 *data, size_t size)
{
	u32 s = sum;

	for (size_t i = 0; i < size; i++) {
		s += i % 2 ? data[i] : (u32)data[i] << 8;
		s = (s & 0xffff) + (s >> 16);
	}
	return (u16)s;
}

static u32 ip_size(const struct packet *p)
{
	return (p->family == 4 ? 20 : 40) + p->ip_extra_size;
}

u32 packet_transport(const struct packet *p)
{
	return ip_size(p);
}

u32 packet_headers(const struct packet *p)
{
	if (p->protocol == 6)
		return ip_size(p) + 20 + p->options_size;
	return ip_size(p) + (p->protocol == 17 ? 8 : 0);
}

static void put_ip4(const struct packet *p, u8 *out, u32 size)
{
	const u8 addresses[] = { 10, 44, 0, p->from, 10, 45, 0, p->to };

	out[0] = (u8)(0x40 | ip_size(p) / 4);
	out[1] = p->tos;
	put_u16(out + 2, (u16)size);
	put_u16(out + 4, p->id);
	put_u16(out + 6, p->fragment);
	out[8] = p->ttl;
	out[9] = p->protocol;
	memcpy(out + 12, addresses, 8);
	if (p->ip_extra_size)
		memcpy(out + 20, p->ip_extra, p->ip_extra_size);
	put_u16(out + 10, (u16)~naive_sum(0, out, ip_size(p)));
}

static void put_ip6(const struct packet *p, u8 *out, u32 size)
{
	put_u32(out, 0x60000000u | (u32)p->tos << 20 | p->label);
	put_u16(out + 4, (u16)(size - 40));
	out[6] = p->ip_extra_size ? p->extra_type : p->protocol;
	out[7] = p->ttl;
	out[8] = out[24] = 0xfd;
	out[9] = 0x44;
	out[25] = 0x45;
	out[23] = p->from;
	out[39] = p->to;
	if (p->ip_extra_size)
		memcpy(out + 40, p->ip_extra, p->ip_extra_size);
}

static void put_transport(const struct packet *p, u8 *out)
{
	put_u16(out, p->source);
	put_u16(out + 2, p->destination);
	if (p->protocol == 17) {
		put_u16(out + 4, (u16)(8 + p->size));
		return;
	}
	put_u32(out + 4, p->sequence);
	put_u32(out + 8, p->acknowledgement);
	out[12] = (u8)((20 + p->options_size) / 4 << 4 | p->reserved);
	out[13] = p->flags;
	put_u16(out + 14, p->window);
	put_u16(out + 18, p->urgent);
	if (p->options_size)
		memcpy(out + 20, p->options, p->options_size);
}

static u16 pseudo(const struct packet *p, const u8 *ip, u32 length)
{
	u8 header[40] = { 0 };

	if (p->family == 4) {
		memcpy(header, ip + 12, 8);
		header[9] = p->protocol;
		put_u16(header + 10, (u16)length);
		return naive_sum(0, header, 12);
	}
	memcpy(header, ip + 8, 32);
	if (p->final)
		header[31] = p->final;
	put_u32(header + 32, length);
	header[39] = p->protocol;
	return naive_sum(0, header, 40);
}

static u32 make(const struct packet *p, u8 *out, bool partial)
{
	u32 transport = ip_size(p), headers = packet_headers(p), size = headers + p->size;
	u8 *place = out + transport + (p->protocol == 6 ? 16 : 6);
	u16 sum;

	memset(out, 0, headers);
	if (p->family == 4)
		put_ip4(p, out, size);
	else
		put_ip6(p, out, size);
	if (p->size)
		memcpy(out + headers, p->data, p->size);
	if (p->protocol != 6 && p->protocol != 17)
		return size;
	put_transport(p, out + transport);
	sum = pseudo(p, out, size - transport);
	if (!partial)
		sum = (u16)~naive_sum(sum, out + transport, size - transport);
	if (!partial && !sum && p->protocol == 17)
		sum = 0xffff;
	put_u16(place, sum);
	return size;
}

u32 packet_make(const struct packet *p, u8 *out)
{
	return make(p, out, false);
}

u32 packet_make_partial(const struct packet *p, u8 *out)
{
	return make(p, out, true);
}
