/* SPDX-License-Identifier: MIT */
/*
 * ifset.c - the table behind netmon.
 *
 *   links[]      sorted by index               what the kernel has
 *   addresses[]  sorted by link and address    of it, only what could ever be used
 *   told[]       in the order of telling       what the caller believes
 *   wanted[]     made anew by every settle     what is true
 *
 * Tables are sorted arrays in one allocation each: hosts with thousands of links (containers) are
 * scanned every few seconds, and a search is a few steps. told and wanted are short.
 */
#include "ifset.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "warp/pattern.h"

struct link {
	struct ifset_link now;
	u32 scan;
	bool own; /* stays, whatever it is renamed to */
};

struct entry {
	struct ifset_address now;
	u32 scan;
};

struct told {
	struct netmon_address address;
	bool gone; /* its link was deleted since, and what is there now is another */
};

struct filter {
	struct patterns *inclusion, *exclusion;
	char (*own)[IFNAME_SIZE];
	size_t own_count;
};

struct ifset {
	struct netmon_ops ops;
	void *ctx;
	struct filter filter;
	u32 scan; /* the number of the scan, told apart from the one before */

	struct link *links;
	size_t link_count, link_room;
	struct entry *addresses;
	size_t address_count, address_room;
	struct told *told;
	size_t told_count, told_room;
	struct netmon_address *wanted;
	size_t wanted_count, wanted_room;
};

/* --- arrays ------------------------------------------------------------------------------ */

/* The array with room for `needed` (at least one) items of size bytes; NULL: no memory, the array
 * is as it was. */
static void *with_room(void *array, size_t *room, size_t needed, size_t size)
{
	size_t more = *room ? *room : 16;
	void *p;

	if (needed <= *room)
		return array;
	while (more < needed)
		more *= 2;
	p = realloc(array, more * size);
	if (p)
		*room = more;
	return p;
}

static void move_up(void *array, size_t at, size_t count, size_t size)
{
	u8 *p = (u8 *)array + at * size;

	memmove(p + size, p, (count - at) * size);
}

static void move_down(void *array, size_t at, size_t count, size_t size)
{
	u8 *p = (u8 *)array + at * size;

	memmove(p, p + size, (count - at - 1) * size);
}

/* --- filter ------------------------------------------------------------------------------ */

static void filter_clear(struct filter *f)
{
	patterns_free(f->inclusion);
	patterns_free(f->exclusion);
	free(f->own);
	memset(f, 0, sizeof(*f));
}

static int filter_copy_own(struct filter *f, const struct netmon_options *o)
{
	f->own = calloc(o->own_count + 1, sizeof(f->own[0]));
	if (!f->own)
		return -ENOMEM;
	for (; f->own_count < o->own_count; f->own_count++)
		strncpy(f->own[f->own_count], o->own[f->own_count], IFNAME_SIZE - 1);
	return 0;
}

static int filter_set(struct filter *f, const struct netmon_options *o)
{
	struct filter new = { 0 };
	int r;

	r = patterns_compile(&new.inclusion, o->inclusion, o->inclusion_count, NULL, NULL, 0);
	if (r == 0)
		r = patterns_compile(&new.exclusion, o->exclusion, o->exclusion_count, NULL, NULL,
				     0);
	if (r == 0)
		r = filter_copy_own(&new, o);
	if (r) {
		filter_clear(&new);
		return r;
	}
	filter_clear(f);
	*f = new;
	return 0;
}

static bool filter_is_own(const struct filter *f, const char *name)
{
	for (size_t i = 0; i < f->own_count; i++)
		if (strcmp(f->own[i], name) == 0)
			return true;
	return false;
}

static bool link_usable(const struct filter *f, const struct link *l)
{
	return l->now.running && !l->now.loopback && !l->own &&
	       patterns_match(f->inclusion, l->now.name) &&
	       !patterns_match(f->exclusion, l->now.name);
}

/* --- links ------------------------------------------------------------------------------- */

/* The first link whose index is not below index. */
static size_t link_position(const struct ifset *s, u32 index)
{
	size_t low = 0, high = s->link_count, middle;

	while (low < high) {
		middle = low + (high - low) / 2;
		if (s->links[middle].now.index < index)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static struct link *find_link(const struct ifset *s, u32 index)
{
	size_t at = link_position(s, index);

	return at < s->link_count && s->links[at].now.index == index ? &s->links[at] : NULL;
}

int ifset_link(struct ifset *s, const struct ifset_link *link)
{
	size_t at = link_position(s, link->index);
	struct link *l = find_link(s, link->index);

	if (!l) {
		l = with_room(s->links, &s->link_room, s->link_count + 1, sizeof(*l));
		if (!l)
			return -ENOMEM;
		s->links = l;
		move_up(s->links, at, s->link_count++, sizeof(s->links[0]));
		l = &s->links[at];
		l->own = false;
	}
	l->now = *link;
	l->scan = s->scan;
	l->own |= filter_is_own(&s->filter, link->name);
	return 0;
}

/* --- addresses --------------------------------------------------------------------------- */

static int order_of(const struct ifset_address *a, const struct ifset_address *b)
{
	int r;

	if (a->index != b->index)
		return a->index < b->index ? -1 : 1;
	r = memcmp(&a->address, &b->address, sizeof(a->address));
	if (r == 0)
		r = memcmp(&a->peer, &b->peer, sizeof(a->peer));
	return r ? r : (int)a->bits - (int)b->bits;
}

static size_t address_position(const struct ifset *s, const struct ifset_address *a)
{
	size_t low = 0, high = s->address_count, middle;

	while (low < high) {
		middle = low + (high - low) / 2;
		if (order_of(&s->addresses[middle].now, a) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool is_at(const struct ifset *s, size_t at, const struct ifset_address *a)
{
	return at < s->address_count && order_of(&s->addresses[at].now, a) == 0;
}

int ifset_address(struct ifset *s, const struct ifset_address *address)
{
	size_t at = address_position(s, address);
	struct entry *e;

	if (address_is_special(&address->address) || address_is_link_local(&address->address))
		return 0;
	if (!is_at(s, at, address)) {
		e = with_room(s->addresses, &s->address_room, s->address_count + 1, sizeof(*e));
		if (!e)
			return -ENOMEM;
		s->addresses = e;
		move_up(s->addresses, at, s->address_count++, sizeof(s->addresses[0]));
	}
	s->addresses[at].now = *address;
	s->addresses[at].scan = s->scan;
	return 0;
}

static void remove_address_at(struct ifset *s, size_t at)
{
	move_down(s->addresses, at, s->address_count--, sizeof(s->addresses[0]));
}

void ifset_address_gone(struct ifset *s, const struct ifset_address *address)
{
	size_t at = address_position(s, address);

	if (is_at(s, at, address))
		remove_address_at(s, at);
}

void ifset_link_gone(struct ifset *s, u32 index)
{
	size_t at = address_position(s, &(struct ifset_address){ .index = index });
	struct link *l = find_link(s, index);

	while (at < s->address_count && s->addresses[at].now.index == index)
		remove_address_at(s, at);
	for (size_t i = 0; i < s->told_count; i++)
		if (s->told[i].address.ifindex == index)
			s->told[i].gone = true;
	if (l)
		move_down(s->links, (size_t)(l - s->links), s->link_count--, sizeof(*l));
}

/* --- scans ------------------------------------------------------------------------------- */

void ifset_scan_begin(struct ifset *s)
{
	s->scan++;
}

void ifset_scan_end(struct ifset *s)
{
	for (size_t i = s->address_count; i-- > 0;)
		if (s->addresses[i].scan != s->scan)
			remove_address_at(s, i);
	for (size_t i = s->link_count; i-- > 0;)
		if (s->links[i].scan != s->scan)
			ifset_link_gone(s, s->links[i].now.index);
}

/* --- what is usable ---------------------------------------------------------------------- */

static bool same(const struct netmon_address *a, const struct netmon_address *b)
{
	return a->ifindex == b->ifindex && address_equal(&a->address, &b->address) &&
	       strcmp(a->ifname, b->ifname) == 0;
}

static struct told *find_told(const struct ifset *s, const struct netmon_address *a)
{
	for (size_t i = 0; i < s->told_count; i++)
		if (!s->told[i].gone && same(&s->told[i].address, a))
			return &s->told[i];
	return NULL;
}

static const struct netmon_address *find_wanted(const struct ifset *s,
						const struct netmon_address *a)
{
	for (size_t i = 0; i < s->wanted_count; i++)
		if (same(&s->wanted[i], a))
			return &s->wanted[i];
	return NULL;
}

static struct netmon_address describe(const struct link *l, const struct entry *e)
{
	struct netmon_address a = { .ifindex = l->now.index, .mtu = l->now.mtu };

	memcpy(a.ifname, l->now.name, sizeof(a.ifname));
	a.address = e->now.address;
	return a;
}

/* The order in which IPv6 addresses are preferred; what is in use stays in use. */
enum rank { RANK_TOLD, RANK_LASTING, RANK_TEMPORARY, RANKS };

static enum rank rank_of(const struct ifset *s, const struct netmon_address *a,
			 const struct entry *e)
{
	if (find_told(s, a))
		return RANK_TOLD;
	return e->now.temporary ? RANK_TEMPORARY : RANK_LASTING;
}

/* Of addresses[from..to), all of one link and family, those of one rank; at most *left. */
static int want_rank(struct ifset *s, const struct link *l, size_t from, size_t to, enum rank rank,
		     size_t *left)
{
	struct netmon_address a, *p;

	for (size_t i = from; i < to && *left; i++) {
		const struct entry *e = &s->addresses[i];

		a = describe(l, e);
		if (!e->now.preferred || rank_of(s, &a, e) != rank || find_wanted(s, &a))
			continue;
		p = with_room(s->wanted, &s->wanted_room, s->wanted_count + 1, sizeof(*p));
		if (!p)
			return -ENOMEM;
		s->wanted = p;
		s->wanted[s->wanted_count++] = a;
		(*left)--;
	}
	return 0;
}

static int want_run(struct ifset *s, size_t from, size_t to)
{
	const struct entry *first = &s->addresses[from];
	const struct link *l = find_link(s, first->now.index);
	size_t left = first->now.address.family == 6 ? NETMON_IPV6_MAX : SIZE_MAX;
	int r = 0;

	if (!l || !link_usable(&s->filter, l))
		return 0;
	for (int rank = 0; rank < RANKS && r == 0; rank++)
		r = want_rank(s, l, from, to, (enum rank)rank, &left);
	return r;
}

static int make_wanted(struct ifset *s)
{
	int r = 0;

	s->wanted_count = 0;
	for (size_t from = 0, to; from < s->address_count && r == 0; from = to) {
		const struct ifset_address *a = &s->addresses[from].now;

		for (to = from + 1; to < s->address_count; to++)
			if (s->addresses[to].now.index != a->index ||
			    s->addresses[to].now.address.family != a->address.family)
				break;
		r = want_run(s, from, to);
	}
	return r;
}

/* --- telling ----------------------------------------------------------------------------- */

static void tell_removed(struct ifset *s)
{
	size_t kept = 0;

	for (size_t i = 0; i < s->told_count; i++) {
		struct told *t = &s->told[i];

		if (t->gone || !find_wanted(s, &t->address))
			s->ops.removed(s->ctx, &t->address);
		else
			s->told[kept++] = *t;
	}
	s->told_count = kept;
}

static void tell_changed(struct ifset *s)
{
	for (size_t i = 0; i < s->told_count; i++) {
		struct netmon_address *a = &s->told[i].address;
		u32 mtu = find_wanted(s, a)->mtu;

		if (a->mtu == mtu)
			continue;
		a->mtu = mtu;
		s->ops.changed(s->ctx, a);
	}
}

static void tell_added(struct ifset *s)
{
	for (size_t i = 0; i < s->wanted_count; i++) {
		struct netmon_address *a = &s->wanted[i];

		if (find_told(s, a))
			continue;
		s->told[s->told_count++] = (struct told){ .address = *a };
		s->ops.added(s->ctx, a);
	}
}

int ifset_settle(struct ifset *s)
{
	int r = make_wanted(s);
	struct told *told;

	if (r)
		return r;
	told = with_room(s->told, &s->told_room, s->wanted_count + 1, sizeof(*told));
	if (!told)
		return -ENOMEM;
	s->told = told;
	tell_removed(s);
	tell_changed(s);
	tell_added(s);
	return 0;
}

bool ifset_usable(const struct ifset *s, size_t index, struct netmon_address *ret)
{
	if (index >= s->told_count)
		return false;
	*ret = s->told[index].address;
	return true;
}

/* --- life -------------------------------------------------------------------------------- */

int ifset_create(struct ifset **ret, const struct netmon_options *options,
		 const struct netmon_ops *ops, void *ctx)
{
	struct ifset *s = calloc(1, sizeof(*s));
	int r;

	if (!s)
		return -ENOMEM;
	r = filter_set(&s->filter, options);
	if (r) {
		free(s);
		return r;
	}
	s->ops = *ops;
	s->ctx = ctx;
	*ret = s;
	return 0;
}

void ifset_destroy(struct ifset *s)
{
	if (!s)
		return;
	filter_clear(&s->filter);
	free(s->links);
	free(s->addresses);
	free(s->told);
	free(s->wanted);
	free(s);
}

int ifset_configure(struct ifset *s, const struct netmon_options *options)
{
	int r = filter_set(&s->filter, options);

	if (r)
		return r;
	for (size_t i = 0; i < s->link_count; i++)
		s->links[i].own |= filter_is_own(&s->filter, s->links[i].now.name);
	return ifset_settle(s);
}
