/* SPDX-License-Identifier: MIT */
/*
 * daemon.c - starting and stopping, and the loop. See daemon.h for what a wake-up does.
 *
 * There is one timer, a timerfd on CLOCK_BOOTTIME: it counts nanoseconds and goes on in suspend. It
 * is set only to an earlier time than it has; that it rings in vain now and then is cheaper than
 * setting it at every wake-up.
 */
#include "warpd/daemon.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "warp/aead_fast.h"
#include "warp/log.h"
#include "warp/memory.h"
#include "warpd/events.h"

#define LAST_WORDS (300 * NS_PER_MS) /* for the farewell to peers, maps and routers */

/* --- timers ------------------------------------------------------------------------------- */

static u64 next_expiry(const struct daemon *d)
{
	u64 next = time_min(engine_next_expiry(d->engine), ctl_next_expiry(d->ctl));

	next = time_min(next, time_min(d->next_scan, d->next_retry));
	next = time_min(next, d->next_gate);
	next = time_min(next, ports_next_expiry(d));
	next = time_min(next, time_min(d->next_count, events_next_expiry(d)));
	return time_min(time_min(next, d->next_mtu), tunnels_next_expiry(d));
}

static void arm(struct daemon *d)
{
	u64 next = next_expiry(d);
	struct itimerspec at = { 0 };

	if (next >= d->armed)
		return;
	if (!next)
		next = 1; /* 0 would switch it off */
	at.it_value.tv_sec = (time_t)(next / NS_PER_S);
	at.it_value.tv_nsec = (long)(next % NS_PER_S);
	timerfd_settime(d->timer_fd, TFD_TIMER_ABSTIME, &at, NULL);
	d->armed = next;
}

/* The kernel is asked for everything again, and what has failed is tried again. */
static void scan(struct daemon *d)
{
	int error = netmon_rescan(d->netmon);

	d->next_scan = d->now + d->conf->interfaces.scan_interval;
	if (error)
		log_warnx("local addresses cannot be read: %s", strerror(-error));
	links_retry(d);
	tunnels_retry(d);
	hosts_ask(d);
}

static void run_timers(struct daemon *d)
{
	if (d->now >= d->next_scan)
		scan(d);
	if (d->now >= d->next_retry)
		links_retry(d);
	if (d->now >= d->next_gate)
		tunnels_retry(d);
	if (d->now >= d->next_mtu)
		tunnels_follow_mtu(d);
	if (d->now >= d->next_count)
		policy_expire(d);
	tunnels_expire(d);
	if (d->now >= ports_next_expiry(d))
		ports_expire(d);
	if (d->now >= events_next_expiry(d))
		events_expire(d);
	if (d->now >= ctl_next_expiry(d->ctl))
		ctl_expire(d->ctl, d->now);
	if (d->now >= engine_next_expiry(d->engine))
		engine_expire(d->engine, d->now);
}

/* --- watchers ----------------------------------------------------------------------------- */

static void on_wake_up(struct ev_loop *loop, ev_check *w, int events)
{
	(void)w;
	(void)events;
	daemon_of(loop)->now = clock_now();
}

static void before_sleep(struct ev_loop *loop, ev_prepare *w, int events)
{
	struct daemon *d = daemon_of(loop);

	(void)w;
	(void)events;
	run_timers(d);
	drain(d);
	if (drain_settle(d))
		ev_idle_start(loop, &d->again);
	if (spin_wanted(&d->spin, d->now))
		ev_idle_start(loop, &d->again);
	notices_tell(d);
	arm(d);
}

static void on_again(struct ev_loop *loop, ev_idle *w, int events)
{
	(void)events;
	ev_idle_stop(loop, w);
}

/* What is due is run before the next sleep. */
static void on_timer(struct ev_loop *loop, ev_io *w, int events)
{
	u64 times;

	(void)events;
	if (read(w->fd, &times, sizeof(times)) == (ssize_t)sizeof(times))
		daemon_of(loop)->armed = TIME_NEVER;
}

static void on_netmon(struct ev_loop *loop, ev_io *w, int events)
{
	struct daemon *d = daemon_of(loop);

	(void)w;
	(void)events;
	netmon_read(d->netmon);
	drain(d);
}

static void on_ctl(struct ev_loop *loop, ev_io *w, int events)
{
	struct daemon *d = daemon_of(loop);

	(void)w;
	(void)events;
	ctl_readable(d->ctl, d->now);
	drain(d);
}

static void on_terminate(struct ev_loop *loop, ev_signal *w, int events)
{
	(void)events;
	log_info("signal %d: leaving", w->signum);
	ev_break(loop, EVBREAK_ALL);
}

static void on_hangup(struct ev_loop *loop, ev_signal *w, int events)
{
	struct conf_error error = { 0 };

	(void)w;
	(void)events;
	config_reload(daemon_of(loop), &error);
}

static void watch(struct daemon *d)
{
	struct ev_loop *loop = d->loop;

	ev_check_init(&d->wake_up, on_wake_up);
	ev_set_priority(&d->wake_up, EV_MAXPRI);
	ev_prepare_init(&d->before_sleep, before_sleep);
	ev_idle_init(&d->again, on_again);
	ev_io_init(&d->timer_io, on_timer, d->timer_fd, EV_READ);
	ev_io_init(&d->netmon_io, on_netmon, netmon_fd(d->netmon), EV_READ);
	ev_io_init(&d->resolver_io, hosts_answered, resolver_fd(d->resolver), EV_READ);
	ev_io_init(&d->ctl_io, on_ctl, ctl_fd(d->ctl), EV_READ);
	ev_signal_init(&d->terminate, on_terminate, SIGTERM);
	ev_signal_init(&d->interrupt, on_terminate, SIGINT);
	ev_signal_init(&d->hangup, on_hangup, SIGHUP);
	ev_check_start(loop, &d->wake_up);
	ev_prepare_start(loop, &d->before_sleep);
	ev_io_start(loop, &d->timer_io);
	ev_io_start(loop, &d->netmon_io);
	ev_io_start(loop, &d->resolver_io);
	ev_io_start(loop, &d->ctl_io);
	ev_signal_start(loop, &d->terminate);
	ev_signal_start(loop, &d->interrupt);
	ev_signal_start(loop, &d->hangup);
}

/* --- starting and stopping ---------------------------------------------------------------- */

static char *answer(void *ctx, const char *question)
{
	struct conf_error error = { 0 };

	if (!strcmp(question, "status"))
		return status_json(ctx);
	if (!strcmp(question, "version"))
		return status_version();
	if (!strcmp(question, CTL_LISTEN))
		return events_begin(ctx);
	if (!strcmp(question, "reload"))
		return status_ok(config_reload(ctx, &error) < 0 ? error.text : NULL);
	return NULL;
}

/* Whose implementation of the ciphers; NULL: the one that was asked for is not there. */
static const struct aead_ops *choose_aead(const struct conf *conf)
{
	const struct aead_ops *fast = NULL;

	if (conf->crypto != CRYPTO_LIBSODIUM)
		fast = aead_ipsec_mb();
	if (conf->crypto == CRYPTO_IPSEC_MB && !fast)
		log_errorx(
			"crypto: ipsec-mb is not in this build, or this CPU lacks what it needs; "
			"take 'auto'");
	return fast || conf->crypto == CRYPTO_IPSEC_MB ? fast : aead_libsodium();
}

/* ChaCha20-Poly1305 is offered in any case: each pair of nodes has a cipher in common. */
static u8 choose_ciphers(const struct conf *conf, const struct aead_ops *aead)
{
	u8 chacha = CIPHER_BIT(CIPHER_CHACHA20_POLY1305), aes = CIPHER_BIT(CIPHER_AES_256_GCM);

	if (conf->cipher == CIPHER_AES_256_GCM && !(aead->ciphers & aes))
		log_warnx("cipher: this CPU has no AES; chacha20-poly1305 is used");
	return conf->cipher == CIPHER_CHACHA20_POLY1305 ? chacha : aead->ciphers;
}

static int create_engine(struct daemon *d, const struct conf *conf)
{
	struct engine_options options = {
		.identity = conf->identity,
		.allocator = system_allocator,
		.random = system_random,
		.aead = d->aead,
		.ciphers = choose_ciphers(conf, d->aead),
		.scan_interval = conf->interfaces.scan_interval,
		.keepalive_interval = conf->interfaces.keepalive_interval,
		.max_consecutive_failures = conf->interfaces.max_consecutive_failures,
	};
	int error;

	d->pool = pool_create(&system_allocator, POOL_BUFFERS);
	if (!d->pool)
		return -ENOMEM;
	d->batch = udp_batch_create(&system_allocator, d->pool);
	if (!d->batch)
		return -ENOMEM;
	options.pool = d->pool;
	error = engine_create(&d->engine, &options);
	crypto_wipe(&options, sizeof(options));
	return error;
}

/* Does it need what only a privileged process may do, and may this one? */
static int check_privileges(const struct conf *conf)
{
	size_t i;

	for (i = 0; i < conf->tunnel_count; i++) {
		if (conf->tunnels[i].gate.kind == GATE_TUN && !sandbox_has_net_admin()) {
			log_errorx("tunnel %s: making the interface %s needs CAP_NET_ADMIN; "
				   "start warpd as root",
				   conf->tunnels[i].name, conf->tunnels[i].gate.tun);
			return -EPERM;
		}
	}
	return 0;
}

struct sandbox_needs daemon_needs(const struct conf *conf)
{
	struct sandbox_needs needs = { .low_port = conf->interfaces.listen_port > 0 &&
						   conf->interfaces.listen_port < 1024 };
	size_t i;

	for (i = 0; i < conf->tunnel_count; i++)
		needs.dgram_gate |= conf->tunnels[i].gate.kind == GATE_UNIX &&
				    conf->tunnels[i].gate.type == UNIX_DGRAM;
	return needs;
}

static int enter_sandbox(struct daemon *d)
{
	const struct sandbox_needs needs = daemon_needs(d->conf);

	return sandbox_enter(&needs, &d->gone);
}

/* The configuration becomes real; mistakes in it that only the system can see end the start. */
static int apply_first(struct daemon *d, struct conf *conf)
{
	struct conf_error error_text = { 0 };
	int error = ctl_open(&d->ctl, conf->control_socket, answer, d, &error_text);

	if (error) {
		conf_free(conf);
	} else {
		error = config_apply(d, conf, &error_text);
	}
	if (error && error_text.text[0])
		log_errorx("%s", error_text.text);
	return error;
}

/* The parts that run by themselves; after the sandbox, as one of them is a thread. */
static int open_sources(struct daemon *d)
{
	int error = resolver_create(&d->resolver);

	if (error)
		return error;
	d->timer_fd = timerfd_create(CLOCK_BOOTTIME, TFD_NONBLOCK | TFD_CLOEXEC);
	if (d->timer_fd < 0)
		return -errno;
	error = ports_configure(d);
	return error ? error : links_configure(d);
}

/* What needs no configuration but its identity and intervals. */
static int open_core(struct daemon *d, const struct conf *conf)
{
	int error = -EIO;

	d->loop = ev_default_loop(EVFLAG_AUTO);
	if (d->loop) {
		ev_set_userdata(d->loop, d);
		error = create_engine(d, conf);
	}
	if (error)
		log_errorx("cannot start: %s", strerror(-error));
	return error;
}

/* A tunnel is a part of the network: behind busy applications it would be a slow one. */
static void set_priority(int nice)
{
	if (setpriority(PRIO_PROCESS, 0, nice) < 0)
		log_warn("nice: %d cannot be had", nice);
}

static int open_rest(struct daemon *d)
{
	int error;

	set_priority(d->conf->nice);
	error = enter_sandbox(d);

	if (!error)
		error = open_sources(d);
	if (error)
		log_errorx("cannot start: %s", strerror(-error));
	return error;
}

int daemon_start(struct daemon *d, struct conf *conf, const char *conf_path)
{
	*d = (struct daemon){ .timer_fd = -1,
			      .armed = TIME_NEVER,
			      .next_retry = TIME_NEVER,
			      .next_mtu = TIME_NEVER,
			      .next_gate = TIME_NEVER,
			      .next_count = TIME_NEVER,
			      .now = clock_now(),
			      .conf_path = conf_path };
	d->started = d->now;
	d->aead = choose_aead(conf);
	if (!d->aead || check_privileges(conf) < 0 || open_core(d, conf) < 0) {
		conf_free(conf);
		return 2;
	}
	if (apply_first(d, conf) < 0 || open_rest(d) < 0)
		return 2;
	watch(d);
	return 0;
}

void daemon_run(struct daemon *d)
{
	u64 until;

	scan(d);
	ev_run(d->loop, 0);
	d->now = clock_now();
	until = d->now + LAST_WORDS;
	ports_release(d);
	engine_shutdown(d->engine, d->now);
	drain_all(d, LAST_WORDS);
	ports_finish(d, until);
}

void daemon_stop(struct daemon *d)
{
	ports_close(d);
	if (d->engine) {
		tunnels_close(d);
		links_close(d);
	}
	policy_close(d);
	config_free(d);
	ctl_close(d->ctl);
	events_close(d);
	if (d->netmon)
		netmon_destroy(d->netmon);
	if (d->resolver)
		resolver_destroy(d->resolver);
	if (d->engine)
		engine_destroy(d->engine);
	if (d->batch)
		udp_batch_destroy(d->batch);
	if (d->pool)
		pool_destroy(d->pool);
	if (d->timer_fd >= 0)
		close(d->timer_fd);
}
