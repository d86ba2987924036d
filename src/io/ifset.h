/* SPDX-License-Identifier: MIT */
/*
 * ifset.h - the table behind netmon: links and addresses go in, usable addresses come out.
 *
 * It knows no kernel. Whoever has news feeds them (ifset_link, ifset_address, ..._gone), as many as
 * came at once, and then settles: the set of usable addresses is worked out anew and compared with
 * what was told before. News that cancel each other thus cost nothing, and what was told always
 * equals what a fresh look would tell.
 *
 * A complete look is fed between ifset_scan_begin() and ifset_scan_end(); what it did not mention
 * is gone.
 */
#ifndef WARP_IO_IFSET_H
#define WARP_IO_IFSET_H

#include "warp/netmon.h"

struct ifset;

struct ifset_link {
	u32 index;
	char name[IFNAME_SIZE];
	u32 mtu;
	bool running; /* up, with carrier, operational */
	bool loopback;
};

struct ifset_address {
	u32 index; /* of the link */
	struct address address;
	struct address peer; /* the kernel knows an address apart by address, peer and bits */
	u8 bits;
	bool preferred; /* not tentative, deprecated or a duplicate */
	bool temporary; /* RFC 8981 */
};

/* As netmon_create(), netmon_configure(). ifset_configure() settles. */
int ifset_create(struct ifset **ret, const struct netmon_options *options,
		 const struct netmon_ops *ops, void *ctx);
void ifset_destroy(struct ifset *s);
int ifset_configure(struct ifset *s, const struct netmon_options *options);

/* New or changed. 0, or -ENOMEM: the table is as it was. */
int ifset_link(struct ifset *s, const struct ifset_link *link);
int ifset_address(struct ifset *s, const struct ifset_address *address);
/* Its addresses go with it. Even when it is back before the next ifset_settle(), they are told as
 * removed and added. */
void ifset_link_gone(struct ifset *s, u32 index);
void ifset_address_gone(struct ifset *s, const struct ifset_address *address);

void ifset_scan_begin(struct ifset *s);
void ifset_scan_end(struct ifset *s);

/* Tells the differences: removals, changes, additions. 0, or -ENOMEM: nothing was told. */
int ifset_settle(struct ifset *s);

/* What was told, as netmon_usable(). */
bool ifset_usable(const struct ifset *s, size_t index, struct netmon_address *ret);

#endif
