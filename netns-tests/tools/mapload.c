/* SPDX-License-Identifier: MIT */
/*
 * mapload - a great many nodes of one map, and what they ask of it.
 *
 *   mapload ENDPOINT PUBLIC-KEY PID NODES <STEPS
 *
 * All nodes shake hands, register one interface and ask for their partner (2k and 2k+1 list each
 * other). Then it does the steps that it reads from its standard input, a line each:
 *
 *   rate=WINDOW,SECONDS   registrations as fast as the map answers: WINDOW nodes wait at a time
 *   push=COUNT,SECONDS    what nodes do all day: each registers, asks and keeps alive once in 10 s and
 *                         renews its keys once in 120 s; meanwhile COUNT nodes change their port,
 *                         and their partners wait to be told. p50, p99, max of that delay, and of
 *                         the delay until a registration is answered
 *   gap=SECONDS           the same without changes
 *
 * Each prints one line of JSON. PID is the map's process: its memory and its CPU time are read from
 * /proc. Memory is that at the end of a step, less that before there was any node; peak is the highest.
 * Exit status 0; 1 when the nodes cannot be registered in time, or an answer is wrong; 2.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "warp/base64.h"
#include "warp/cookie.h"
#include "warp/handshake.h"
#include "warp/memory.h"
#include "warp/session.h"
#include "warp/wire.h"

#include "unit/loadio.h"

#define CYCLE (10 * NS_PER_S) /* interface_scan_interval */
#define REKEY_CYCLE (120 * NS_PER_S)
#define GREETINGS 1800u /* a second: below what the map works on, some with cookies */
#define RETRY NS_PER_S
#define TRIES 4u
#define GIVEN_UP (100 * NS_PER_MS)
#define WINDOW_MAX 4096u
#define DELAYS_MAX 4000000u
#define LONGEST_PUSH (5 * NS_PER_S)

/* A handshake under way. */
struct shake {
	struct handshake noise;
	struct cookie_jar jar;
	u64 sent;
	u32 index;
	u8 message[WIRE_INITIATION_SIZE];
};

struct node {
	struct identity identity;
	struct session *session[2]; /* by the last bit of its index */
	struct shake *shake;
	u32 index; /* of the newest session */
	u64 asked; /* a registration is under way since then; 0: none */
	u64 moved; /* has told the map of another port then, its partner not yet of it; 0: no */
	u64 proof;
	u32 place; /* in the window */
	u8 socket, tries;
	bool registered, acquainted, proved;
};

struct delays {
	u32 count, max;
	u64 *ns;
};

/* Whose turn it is in something that all nodes do once in a cycle, beginning with one of them. */
struct turns {
	u64 begun, cycle, done;
	u32 first;
};

struct world {
	struct load *load;
	u8 map_key[KEY_SIZE];
	int pid;
	u64 now;
	u64 memory, peak; /* of the map: before there were nodes; highest above that */
	u32 count, registered, acquainted, shaking;
	u32 renewed;      /* whose keys are to be renewed next */
	u32 window, next; /* window 0: answers are no reason to ask again */
	struct node *asking[WINDOW_MAX];
	u64 asked, lost, answers, greetings, pushes;
	struct delays told, answered; /* max 0: nobody wants to know */
	struct node nodes[];
};

static _Noreturn void bad(const char *what)
{
	fprintf(stderr, "mapload: %s\n", what);
	exit(2);
}

static _Noreturn void wrong(const char *what)
{
	fprintf(stderr, "mapload: %s\n", what);
	exit(1);
}

static void add_delay(struct delays *d, u64 ns)
{
	if (d->count < d->max)
		d->ns[d->count++] = ns;
}

static u32 number_of(const struct world *w, const struct node *n)
{
	return (u32)(n - w->nodes);
}

static struct node *partner_of(struct world *w, const struct node *n)
{
	return &w->nodes[number_of(w, n) ^ 1];
}

/* --- handshakes -------------------------------------------------------------------------- */

static void send_initiation(struct world *w, struct node *n)
{
	n->shake->sent = w->now;
	load_send(w->load, number_of(w, n), n->socket, n->shake->message, WIRE_INITIATION_SIZE);
}

/* The node's number and the last bit of its sessions are the index. */
static u32 next_index(const struct world *w, const struct node *n)
{
	return (number_of(w, n) + 1) << 1 | (~n->index & 1);
}

static void greet(struct world *w, struct node *n)
{
	struct wire_hello hello = { .version = WIRE_VERSION,
				    .ciphers = CIPHER_BIT(CIPHER_CHACHA20_POLY1305),
				    .life = 1,
				    .stamp = w->now };
	u8 ephemeral[KEY_SIZE], bytes[WIRE_HELLO_SIZE];
	struct shake *s;

	if (n->shake) {
		send_initiation(w, n);
		return;
	}
	s = n->shake = calloc(1, sizeof(*s));
	if (!s)
		bad("no memory");
	random_fill(&system_random, ephemeral, sizeof(ephemeral));
	private_key_clamp(ephemeral);
	wire_put_hello(bytes, &hello);
	s->index = next_index(w, n);
	s->message[0] = WIRE_INITIATION;
	put_u32(s->message + 4, s->index);
	handshake_init_initiator(&s->noise, &n->identity, w->map_key, WIRE_PROLOGUE,
				 sizeof(WIRE_PROLOGUE) - 1);
	if (handshake_write_1(&s->noise, ephemeral, bytes, sizeof(bytes),
			      s->message + WIRE_INITIATION_NOISE) < 0)
		bad("the public key is not one");
	cookie_jar_init(&s->jar, w->map_key);
	cookie_stamp(&s->jar, w->now, s->message, WIRE_INITIATION_SIZE);
	w->shaking++;
	send_initiation(w, n);
}

static void say(struct world *w, struct node *n, const struct frame *frames, size_t count);

static void say_register(struct world *w, struct node *n)
{
	struct frame f = { .type = FRAME_REGISTER_REQUEST };

	f.register_request.proof = n->proof;
	n->asked = w->now;
	w->asked++;
	say(w, n, &f, 1);
}

static void say_query(struct world *w, struct node *n)
{
	struct frame f = { .type = FRAME_MAPPING_REQUEST };

	f.mapping_request.count = 1;
	f.mapping_request.keys = partner_of(w, n)->identity.public_key;
	say(w, n, &f, 1);
}

static void say_probe(struct world *w, struct node *n)
{
	struct frame f = { .type = FRAME_PROBE, .probe = { .stamp = w->now } };

	say(w, n, &f, 1);
}

static void greeted(struct world *w, struct node *n, const u8 *data)
{
	struct shake *s = n->shake;
	const u8 no_preshared_key[KEY_SIZE] = { 0 };
	struct session **slot = &n->session[s->index & 1];
	struct handshake_keys keys;
	u8 bytes[WIRE_HELLO_SIZE];

	if (handshake_read_2(&s->noise, no_preshared_key, data + WIRE_RESPONSE_NOISE,
			     WIRE_RESPONSE_SIZE - WIRE_RESPONSE_NOISE - 2 * MAC_SIZE, bytes) < 0)
		return;
	handshake_split(&s->noise, &keys);
	session_destroy(*slot, &system_allocator);
	if (session_create(slot, &system_allocator, &keys, NULL, CIPHER_CHACHA20_POLY1305,
			   REPLAY_BITS_MAP, w->now) < 0)
		bad("no memory");
	(*slot)->local_index = n->index = s->index;
	(*slot)->remote_index = get_u32(data + 4);
	free(s);
	n->shake = NULL;
	w->shaking--;
	w->greetings++;
	say_register(w, n);
	say_query(w, n);
}

static void cookie_given(struct world *w, struct node *n, const u8 *data)
{
	if (cookie_take(&n->shake->jar, w->now, data + 8, data + 8 + XNONCE_SIZE) < 0)
		return;
	cookie_stamp(&n->shake->jar, w->now, n->shake->message, WIRE_INITIATION_SIZE);
	send_initiation(w, n);
}

/* --- frames ------------------------------------------------------------------------------ */

static void say(struct world *w, struct node *n, const struct frame *frames, size_t count)
{
	struct session *s = n->session[n->index & 1];
	u8 data[LOAD_DATAGRAM];
	size_t size = 0;

	for (size_t i = 0; i < count; i++) {
		int r = frame_put(data + WIRE_HEADER_SIZE + size,
				  sizeof(data) - WIRE_OVERHEAD - size, &frames[i]);

		if (r < 0)
			bad("a frame cannot be written");
		size += (size_t)r;
	}
	if (s && session_seal(s, w->now, data, size) == 0)
		load_send(w->load, number_of(w, n), n->socket, data, size + WIRE_OVERHEAD);
}

/* The next node has this place in the window. */
static void ask_next(struct world *w, u32 place)
{
	struct node *n;

	do {
		n = &w->nodes[w->next];
		w->next = (w->next + 1) % w->count;
	} while (n->asked);
	n->place = place;
	w->asking[place] = n;
	say_register(w, n);
}

static void registered(struct world *w, struct node *n, const struct frame_register_response *f)
{
	u32 seen = get_u32(f->observed.address.bytes);

	if (seen != 0x0a010000 + number_of(w, n))
		wrong("a node is told an address that it does not have");
	if (n->asked) {
		w->answers++;
		add_delay(&w->answered, clock_now() - n->asked);
	}
	n->asked = 0;
	n->tries = 0;
	w->registered += !n->registered;
	n->registered = true;
	n->proved = n->proved || !f->proof;
	if (f->proof != n->proof) {
		n->proof = f->proof;
		if (!n->proved)
			say_register(w, n);
	}
	if (n->place < w->window && w->asking[n->place] == n)
		ask_next(w, n->place);
}

static void told(struct world *w, struct node *n, const struct frame_mapping_response *f)
{
	struct node *partner = partner_of(w, n);

	if (memcmp(f->key, partner->identity.public_key, KEY_SIZE) != 0)
		wrong("a node is told about another than its partner");
	w->pushes += f->flags & MAPPING_PUSH;
	if (f->count && !n->acquainted) {
		n->acquainted = true;
		w->acquainted++;
	}
	if (!partner->moved || !(f->flags & MAPPING_PUSH))
		return;
	add_delay(&w->told, clock_now() - partner->moved);
	partner->moved = 0;
}

static void heard_frames(struct world *w, struct node *n, u8 *plain, size_t size)
{
	struct frame f;

	while (frame_next(&plain, &size, &f) > 0) {
		if (f.type == FRAME_REGISTER_RESPONSE)
			registered(w, n, &f.register_response);
		else if (f.type == FRAME_MAPPING_RESPONSE)
			told(w, n, &f.mapping_response);
	}
}

/* The node that an index belongs to, or NULL. */
static struct node *node_of(struct world *w, u32 index)
{
	u32 number = (index >> 1) - 1;

	return number < w->count ? &w->nodes[number] : NULL;
}

static void hear_transport(struct world *w, u8 *data, size_t size)
{
	u32 index = get_u32(data + 4);
	struct node *n = node_of(w, index);
	struct session *s = n ? n->session[index & 1] : NULL;

	if (s && session_open(s, w->now, data, size) == DROP_NONE)
		heard_frames(w, n, data + WIRE_HEADER_SIZE, size - WIRE_OVERHEAD);
}

static void hear(void *ctx, u8 *data, size_t size)
{
	struct world *w = ctx;
	struct node *n;

	if (size >= WIRE_OVERHEAD && data[0] == WIRE_TRANSPORT) {
		hear_transport(w, data, size);
	} else if (size == WIRE_RESPONSE_SIZE && data[0] == WIRE_RESPONSE) {
		n = node_of(w, get_u32(data + 8));
		if (n && n->shake && n->shake->index == get_u32(data + 8))
			greeted(w, n, data);
	} else if (size == WIRE_COOKIE_SIZE && data[0] == WIRE_COOKIE) {
		n = node_of(w, get_u32(data + 4));
		if (n && n->shake && n->shake->index == get_u32(data + 4))
			cookie_given(w, n, data);
	}
}

/* --- time -------------------------------------------------------------------------------- */

static void listen_for(struct world *w, u64 wait)
{
	load_receive(w->load, wait, hear, w);
	w->now = clock_now();
}

static void look_at_memory(struct world *w)
{
	u64 memory = load_memory(w->pid);

	memory = memory > w->memory ? memory - w->memory : 0;
	if (memory > w->peak)
		w->peak = memory;
}

static void take_turns(struct world *w, struct turns *t, void (*f)(struct world *, struct node *))
{
	u64 due = (w->now - t->begun) * w->count / t->cycle;

	for (u32 i = 0; t->done < due && i < 256; i++)
		f(w, &w->nodes[(t->first + t->done++) % w->count]);
}

/* Those that have had no answer for a while ask again. */
static void retry_one(struct world *w, struct node *n)
{
	if (n->shake && w->now - n->shake->sent > RETRY)
		send_initiation(w, n);
	if (n->asked && w->now - n->asked > RETRY) {
		if (++n->tries % TRIES == 0)
			greet(w, n); /* the map knows this session no more */
		say_register(w, n);
	}
	if (n->registered && !n->acquainted)
		say_query(w, n);
}

/* --- steps ------------------------------------------------------------------------------- */

static void print_memory(struct world *w)
{
	u64 memory = load_memory(w->pid);

	look_at_memory(w);
	printf("\"bytes_per_node\": %.1f, \"peak_bytes_per_node\": %.1f}\n",
	       (double)(memory - w->memory) / w->count, (double)w->peak / w->count);
	fflush(stdout);
}

/* All nodes become known to the map and to their partners. */
static void begin(struct world *w)
{
	u64 begun = w->now, end = begun + (60 + w->count / 200) * NS_PER_S, cpu = load_cpu(w->pid);
	struct turns first = { begun, (u64)w->count * NS_PER_S / GREETINGS, 0, 0 },
		     retrying = { begun, RETRY, 0, 0 };
	u64 looked = begun;

	while (w->registered < w->count || w->acquainted < w->count) {
		if (w->now > end) {
			fprintf(stderr,
				"mapload: %u registered, %u know their partner, %u shake hands\n",
				w->registered, w->acquainted, w->shaking);
			wrong("not all nodes are registered in time");
		}
		if (first.done < w->count)
			take_turns(w, &first, greet);
		listen_for(w, NS_PER_MS);
		take_turns(w, &retrying, retry_one);
		if (w->now - looked < RETRY)
			continue;
		looked = w->now;
		look_at_memory(w);
	}
	cpu = load_cpu(w->pid) - cpu;
	printf("{\"step\": \"begin\", \"nodes\": %u, \"seconds\": %.1f, \"cpu\": %.2f, ", w->count,
	       (double)(w->now - begun) / 1e9, (double)cpu / 1e9);
	print_memory(w);
}

static void give_up(struct world *w)
{
	for (u32 i = 0; i < w->window; i++) {
		if (w->now - w->asking[i]->asked > GIVEN_UP) {
			w->asking[i]->asked = 0;
			w->lost++;
			ask_next(w, i);
		}
	}
}

static void rate(struct world *w, u32 window, u32 seconds)
{
	u64 begun = w->now, looked = begun, end = begun + seconds * NS_PER_S;
	u64 cpu = load_cpu(w->pid);

	if (!window || window > WINDOW_MAX || window >= w->count)
		bad("the window is too large");
	w->answers = w->lost = 0;
	w->window = window;
	for (u32 i = 0; i < window; i++)
		ask_next(w, i);
	while (w->now < end) {
		listen_for(w, 20 * NS_PER_MS);
		if (w->now - looked > GIVEN_UP / 4) {
			looked = w->now;
			give_up(w);
		}
	}
	w->window = 0;
	cpu = load_cpu(w->pid) - cpu;
	printf("{\"step\": \"rate\", \"answers\": %llu, \"lost\": %llu, \"seconds\": %.3f, "
	       "\"cpu\": %.3f, ",
	       (unsigned long long)w->answers, (unsigned long long)w->lost,
	       (double)(w->now - begun) / 1e9, (double)cpu / 1e9);
	print_memory(w);
	listen_for(w, 50 * NS_PER_MS);
}

static void move(struct world *w)
{
	struct node *n;

	do {
		n = &w->nodes[random_u32(&system_random) % w->count];
	} while (n->moved || n->shake || partner_of(w, n)->shake);
	n->socket ^= 1;
	n->proved = false;
	n->moved = clock_now();
	say_register(w, n);
	load_flush(w->load);
}

static int by_value(const void *a, const void *b)
{
	const u64 *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

static double quantile(const struct delays *d, double q)
{
	u32 at = (u32)((double)d->count * q);

	if (!d->count)
		return -1;
	return (double)d->ns[at < d->count ? at : d->count - 1] / 1e6;
}

static void begin_delays(struct delays *d, u32 max)
{
	*d = (struct delays){ .max = max, .ns = calloc(max ? max : 1, sizeof(*d->ns)) };
	if (!d->ns)
		bad("no memory");
}

static void print_delays(struct delays *d, const char *name)
{
	if (d->count)
		qsort(d->ns, d->count, sizeof(*d->ns), by_value);
	printf("\"%s\": %u, \"%s_p50_ms\": %.3f, \"%s_p99_ms\": %.3f, \"%s_max_ms\": %.3f, ", name,
	       d->count, name, quantile(d, 0.5), name, quantile(d, 0.99), name, quantile(d, 1));
	free(d->ns);
	*d = (struct delays){ 0 };
}

static void print_day(struct world *w, u64 begun, u64 cpu, u32 moves)
{
	printf("{\"step\": \"push\", \"moves\": %u, \"asked\": %llu, \"greetings\": %llu, ", moves,
	       (unsigned long long)w->asked, (unsigned long long)w->greetings);
	print_delays(&w->told, "told");
	print_delays(&w->answered, "answered");
	printf("\"seconds\": %.3f, \"cpu\": %.3f, ", (double)(w->now - begun) / 1e9,
	       (double)cpu / 1e9);
	print_memory(w);
}

static void day(struct world *w, u32 moves, u32 seconds)
{
	u64 begun = w->now, end = begun + seconds * NS_PER_S, cpu = load_cpu(w->pid),
	    looked = begun;
	/* Each in another part of the cycle. */
	struct turns registering = { begun, CYCLE, 0, 0 },
		     asking = { begun, CYCLE, 0, w->count / 4 },
		     probing = { begun, CYCLE, 0, w->count / 2 },
		     renewing = { begun, REKEY_CYCLE, 0, w->renewed },
		     retrying = { begun, RETRY, 0, 0 };
	u32 moved = 0;

	w->asked = w->greetings = 0;
	begin_delays(&w->told, moves);
	begin_delays(&w->answered, DELAYS_MAX);
	/* The last changes have time to be told of. */
	while (w->now < end || (w->told.count < moved && w->now < end + LONGEST_PUSH)) {
		if (w->now < end) {
			take_turns(w, &registering, say_register);
			take_turns(w, &asking, say_query);
			take_turns(w, &probing, say_probe);
			take_turns(w, &renewing, greet);
		}
		if (moves > 0 && moved < moves && w->now >= begun + moved * (end - begun) / moves) {
			move(w);
			moved++;
		}
		take_turns(w, &retrying, retry_one);
		listen_for(w, NS_PER_MS / 10);
		if (w->now - looked > RETRY) {
			looked = w->now;
			look_at_memory(w);
		}
	}
	w->renewed = (u32)((w->renewed + renewing.done) % w->count);
	print_day(w, begun, load_cpu(w->pid) - cpu, moves);
}

/* --- beginning --------------------------------------------------------------------------- */

static u32 number(const char *text, char **end, u32 max)
{
	unsigned long n = strtoul(text, end, 10);

	if (*end == text || n > max)
		bad("a number is out of range");
	return (u32)n;
}

static void step(struct world *w, const char *text)
{
	const char *is = strchr(text, '=');
	u32 value[2] = { 0 };
	char *end;

	if (!is)
		bad("a step is rate=WINDOW,SECONDS, push=COUNT,SECONDS or gap=SECONDS");
	value[0] = number(is + 1, &end, 1000000);
	if (*end == ',')
		value[1] = number(end + 1, &end, 36000);
	if (*end)
		bad("a step has something behind it");
	if (!strncmp(text, "rate=", 5))
		rate(w, value[0], value[1]);
	else if (!strncmp(text, "push=", 5))
		day(w, value[0], value[1]);
	else if (!strncmp(text, "gap=", 4))
		day(w, 0, value[0]);
	else
		bad("a step is rate=, push= or gap=");
}

static struct world *make_world(char **argv)
{
	char *end;
	u32 count = number(argv[4], &end, LOAD_CLIENTS_MAX);
	struct world *w;

	if (*end || count < 2 || count % 2)
		bad("the nodes are not an even number");
	w = calloc(1, sizeof(*w) + count * sizeof(w->nodes[0]));
	if (!w)
		bad("no memory");
	w->count = count;
	if (key_from_base64(w->map_key, argv[2], strlen(argv[2])) < 0)
		bad("the map's public key is not one");
	w->pid = (int)number(argv[3], &end, INT32_MAX);
	for (u32 i = 0; i < count; i++) {
		u8 key[KEY_SIZE];

		random_fill(&system_random, key, sizeof(key));
		private_key_clamp(key);
		identity_from_private(&w->nodes[i].identity, key);
	}
	w->load = load_open(argv[1]);
	w->memory = load_memory(w->pid);
	w->now = clock_now();
	return w;
}

int main(int argc, char **argv)
{
	struct world *w;
	char line[64];

	if (argc != 5)
		bad("usage: mapload ENDPOINT PUBLIC-KEY PID NODES <STEPS");
	if (crypto_init() < 0)
		bad("no cryptography");
	w = make_world(argv);
	begin(w);
	while (fgets(line, sizeof(line), stdin)) {
		line[strcspn(line, "\n")] = 0;
		w->now = clock_now();
		step(w, line);
	}
	return 0;
}
