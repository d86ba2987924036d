/* SPDX-License-Identifier: MIT */
/*
 * UPnP against a router that is made up: a process in a network namespace of its own answers searches
 * and serves a description and SOAP, rightly or as bad as routers are. Also the process that asks:
 * it answers, it can be ended, it may do next to nothing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "io/upnp.h"
#include "netns.h"
#include "warp/text.h"

#define US "192.168.77.2"
#define ROUTER "192.168.77.1"
#define HTTP_PORT 5000
#define BIG (1 << 20)

/* How the router is. */
enum mode {
	GOOD,
	PERMANENT_ONLY, /* grants no limited lease */
	PORT_TAKEN,     /* the first port that is asked for */
	REFUSES,
	NO_ADDRESS, /* has no outer address */
	ELSEWHERE,  /* its description points to another host */
	LARGE,      /* its description never ends */
	SILENT,     /* accepts connections, says nothing */
	NOT_XML,
};

/* What the test and the router both see. */
struct shared {
	enum mode mode;
	u32 added, deleted;
	char lease[16], port[8]; /* as asked for last */
};

static struct shared *shared;
static int ours = -1, routers = -1;
static pid_t router;

/* --- the router --------------------------------------------------------------------------- */

static void say(int fd, const char *status, const char *body)
{
	dprintf(fd,
		"HTTP/1.1 %s\r\nContent-Type: text/xml\r\nContent-Length: %zu\r\n"
		"Connection: close\r\n\r\n%s",
		status, strlen(body), body);
}

static void describe(int fd)
{
	static const char *const form =
		"<?xml version=\"1.0\"?><root><device><deviceList><device><deviceList><device>"
		"<serviceList><service>"
		"<serviceType>urn:schemas-upnp-org:service:WANIPConnection:1</serviceType>"
		"<serviceId>x</serviceId><controlURL>%s/ctl</controlURL>"
		"<eventSubURL>/e</eventSubURL><SCPDURL>/s</SCPDURL>"
		"</service></serviceList></device></deviceList></device></deviceList></device></root>";
	char body[2048];

	snprintf(body, sizeof(body), form,
		 shared->mode == ELSEWHERE ? "http://192.168.77.9:80" : "");
	say(fd, "200 OK", shared->mode == NOT_XML ? "<<<&&&<serviceType>" : body);
}

static void never_end(int fd)
{
	static char page[4096];

	dprintf(fd, "HTTP/1.1 200 OK\r\n\r\n");
	memset(page, '<', sizeof(page));
	for (size_t sent = 0; sent < BIG; sent += sizeof(page)) {
		if (send(fd, page, sizeof(page), MSG_NOSIGNAL) < 0)
			return;
	}
}

static void fail_with(int fd, int code)
{
	char body[256];

	snprintf(body, sizeof(body),
		 "<s:Envelope><s:Body><s:Fault><detail><UPnPError><errorCode>%d</errorCode>"
		 "</UPnPError></detail></s:Fault></s:Body></s:Envelope>",
		 code);
	say(fd, "500 Internal Server Error", body);
}

static void copy_value(const char *request, const char *name, char *ret, size_t room)
{
	const char *at = strstr(request, name);

	ret[0] = 0;
	if (at && (at = strchr(at, '>')))
		snprintf(ret, room, "%.*s", (int)strcspn(at + 1, "<"), at + 1);
}

static void add(int fd, const char *request)
{
	shared->added++;
	copy_value(request, "NewLeaseDuration", shared->lease, sizeof(shared->lease));
	copy_value(request, "NewExternalPort", shared->port, sizeof(shared->port));
	if (shared->mode == PERMANENT_ONLY && strcmp(shared->lease, "0") != 0)
		fail_with(fd, 725);
	else if (shared->mode == PORT_TAKEN && strcmp(shared->port, "51900") == 0)
		fail_with(fd, 718);
	else if (shared->mode == REFUSES)
		fail_with(fd, 606);
	else
		say(fd, "200 OK", "<s:Envelope><s:Body><r/></s:Body></s:Envelope>");
}

static void obey(int fd, const char *request)
{
	if (strstr(request, "#GetExternalIPAddress")) {
		say(fd, "200 OK",
		    shared->mode == NO_ADDRESS ?
			    "<b><NewExternalIPAddress>0.0.0.0</NewExternalIPAddress></b>" :
			    "<b><NewExternalIPAddress>203.0.113.9</NewExternalIPAddress></b>");
	} else if (strstr(request, "#AddPortMapping")) {
		add(fd, request);
	} else if (strstr(request, "#DeletePortMapping")) {
		shared->deleted++;
		say(fd, "200 OK", "<s:Envelope><s:Body><r/></s:Body></s:Envelope>");
	} else {
		fail_with(fd, 401);
	}
}

static void serve(int listener)
{
	const struct timeval patience = { .tv_usec = 300000 };
	int fd = accept(listener, NULL, NULL);
	char request[8192] = "";
	size_t size = 0;
	ssize_t n;

	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	do {
		n = recv(fd, request + size, sizeof(request) - 1 - size, 0);
		size += n > 0 ? (size_t)n : 0;
		request[size] = 0;
	} while (n > 0 && !strstr(request, "</s:Envelope>") &&
		 !(request[0] == 'G' && strstr(request, "\r\n\r\n")));
	if (shared->mode == SILENT) {
		pause();
	} else if (request[0] == 'P') {
		obey(fd, request);
	} else if (shared->mode == LARGE) {
		never_end(fd);
	} else {
		describe(fd);
	}
	close(fd);
}

static void be_found(int fd)
{
	static const char form[] = "HTTP/1.1 200 OK\r\n"
				   "ST: urn:schemas-upnp-org:device:InternetGatewayDevice:1\r\n"
				   "LOCATION: http://" ROUTER ":5000/d.xml\r\n\r\n";
	struct sockaddr_in from;
	socklen_t length = sizeof(from);
	char text[2048];

	if (recvfrom(fd, text, sizeof(text), 0, (struct sockaddr *)&from, &length) > 0)
		sendto(fd, form, sizeof(form) - 1, 0, (const struct sockaddr *)&from, length);
}

static int bound(int type, int port)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons((u16)port) };
	int fd = socket(AF_INET, type, 0), one = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (fd < 0 || bind(fd, (const struct sockaddr *)&at, sizeof(at)))
		_exit(1);
	return fd;
}

/* Until the test ends it; ready says that it listens. */
static void be_router(int ready)
{
	struct ip_mreqn group = { .imr_ifindex = (int)if_nametoindex("b") };
	struct pollfd p[2] = { { .fd = bound(SOCK_DGRAM, 1900), .events = POLLIN },
			       { .fd = bound(SOCK_STREAM, HTTP_PORT), .events = POLLIN } };

	inet_pton(AF_INET, "239.255.255.250", &group.imr_multiaddr);
	if (setsockopt(p[0].fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &group, sizeof(group)) ||
	    listen(p[1].fd, 8))
		_exit(1);
	close(ready);
	for (;;) {
		poll(p, 2, -1);
		if (p[0].revents)
			be_found(p[0].fd);
		if (p[1].revents)
			serve(p[1].fd);
	}
}

static void start_router(enum mode mode)
{
	int ready[2];
	char byte;

	netns_needed();
	*shared = (struct shared){ .mode = mode };
	assert_int_equal(pipe(ready), 0);
	router = fork();
	assert_true(router >= 0);
	if (!router) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(ready[0]);
		if (setns(routers, CLONE_NEWNET))
			_exit(1);
		be_router(ready[1]);
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 0);
	close(ready[0]);
}

static int stop_router(void **state)
{
	(void)state;
	if (router > 0) {
		kill(router, SIGKILL);
		waitpid(router, NULL, 0);
	}
	router = 0;
	return 0;
}

static int make_namespaces(void **state)
{
	(void)state;
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	if (shared == MAP_FAILED)
		return -1;
	if (!netns_enter())
		return 0;
	ours = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (ours < 0 || unshare(CLONE_NEWNET))
		return -1;
	routers = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	assert_int_equal(setns(ours, CLONE_NEWNET), 0);
	run("ip link add name in0 type veth peer name b netns /proc/%d/fd/%d", getpid(), routers);
	run("ip addr add " US "/24 dev in0 && ip link set dev in0 up");
	assert_int_equal(setns(routers, CLONE_NEWNET), 0);
	run("ip addr add " ROUTER "/24 dev b && ip link set dev lo up && ip link set dev b up");
	assert_int_equal(setns(ours, CLONE_NEWNET), 0);
	return 0;
}

/* --- questions ---------------------------------------------------------------------------- */

static struct upnp_question question(void)
{
	struct upnp_question q = { .task = UPNP_ADD,
				   .bind_to_device = true,
				   .ifindex = if_nametoindex("in0"),
				   .ifname = "in0",
				   .external_port = 51900,
				   .lifetime = 3600 };

	assert_int_equal(endpoint_parse(US ":51900", &q.local), 0);
	assert_int_equal(address_parse(ROUTER, &q.gateway), 0);
	return q;
}

static struct upnp_answer ask(enum mode mode)
{
	struct upnp_question q;
	struct upnp_answer a;

	start_router(mode);
	q = question();
	upnp_ask(&q, &a);
	return a;
}

static void a_mapping_is_made_renewed_and_taken_back(void **state)
{
	struct upnp_answer a = ask(GOOD), again;
	struct upnp_question q = question();

	(void)state;
	assert_int_equal(a.error, 0);
	assert_string_equal(endpoint_text(&a.external), "203.0.113.9:51900");
	assert_int_equal(a.lifetime, 3600);
	assert_string_equal(shared->lease, "3600");
	assert_string_equal(a.place.control, "http://" ROUTER ":5000/ctl");
	q.place = a.place;
	upnp_ask(&q, &again);
	assert_int_equal(again.error, 0);
	assert_int_equal(shared->added, 2);
	q.task = UPNP_REMOVE;
	upnp_ask(&q, &again);
	assert_int_equal(again.error, 0);
	assert_int_equal(shared->deleted, 1);
}

static void a_router_that_knows_no_leases_gets_none(void **state)
{
	struct upnp_answer a = ask(PERMANENT_ONLY);

	(void)state;
	assert_int_equal(a.error, 0);
	assert_string_equal(shared->lease, "0");
	assert_int_equal(a.lifetime, 3600);
}

static void a_port_that_is_taken_is_not_insisted_on(void **state)
{
	struct upnp_answer a = ask(PORT_TAKEN);

	(void)state;
	assert_int_equal(a.error, 0);
	assert_int_not_equal(a.external.port, 51900);
	assert_int_equal(a.external.port, atoi(shared->port));
}

static void what_cannot_be_had_says_why(void **state)
{
	static const struct {
		enum mode mode;
		const char *why;
	} bad[] = {
		{ REFUSES, "the router refuses: error 606" },
		{ NO_ADDRESS, "Cannot assign requested address" },
		{ ELSEWHERE, "the router has no such service" },
		{ LARGE, "the router's description cannot be read" },
		{ NOT_XML, "the router has no such service" },
	};

	(void)state;
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct upnp_answer a = ask(bad[i].mode);

		assert_true(a.error < 0);
		assert_string_equal(a.why, bad[i].why);
		stop_router(NULL);
	}
}

/* --- the process -------------------------------------------------------------------------- */

static bool waits(const struct upnp_job *job, int ms)
{
	struct pollfd p = { .fd = job->fd, .events = POLLIN };

	return poll(&p, 1, ms) == 1;
}

static void a_process_asks_and_ends(void **state)
{
	struct upnp_job job;
	struct upnp_question q;
	struct upnp_answer a;

	(void)state;
	start_router(GOOD);
	q = question();
	assert_int_equal(upnp_job_start(&job, &q), 0);
	assert_int_equal(upnp_job_take(&job, &a), -EAGAIN);
	assert_true(waits(&job, 20000));
	assert_int_equal(upnp_job_take(&job, &a), 0);
	assert_int_equal(a.error, 0);
	assert_string_equal(endpoint_text(&a.external), "203.0.113.9:51900");
	upnp_job_end(&job);
	assert_int_equal(job.fd, -1);
}

static void read_file(const char *path, char *ret, size_t room)
{
	FILE *f = fopen(path, "r");

	assert_non_null(f);
	ret[fread(ret, 1, room - 1, f)] = 0;
	fclose(f);
}

static pid_t pid_of(const struct upnp_job *job)
{
	char path[64], text[512];
	const char *at;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", job->process);
	read_file(path, text, sizeof(text));
	at = strstr(text, "\nPid:");
	assert_non_null(at);
	return (pid_t)strtol(at + 5, NULL, 10);
}

static void a_process_that_hangs_may_do_nothing_and_is_ended(void **state)
{
	struct upnp_job job;
	struct upnp_question q;
	struct upnp_answer a;
	char path[64], status[8192];
	pid_t pid;

	(void)state;
	start_router(SILENT);
	q = question();
	assert_int_equal(upnp_job_start(&job, &q), 0);
	assert_false(waits(&job, 500));
	assert_int_equal(upnp_job_take(&job, &a), -EAGAIN);
	pid = pid_of(&job);
	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	read_file(path, status, sizeof(status));
	assert_non_null(strstr(status, "Name:\twarpd-upnp\n"));
	assert_non_null(strstr(status, "CapPrm:\t0000000000000000"));
	assert_non_null(strstr(status, "CapEff:\t0000000000000000"));
	assert_non_null(strstr(status, "NoNewPrivs:\t1"));
	upnp_job_end(&job);
	/* Now, not when it would have given up. */
	for (u32 i = 0; i < 200 && kill(pid, 0) == 0; i++) {
		waitpid(pid, NULL, WNOHANG);
		poll(NULL, 0, 10);
	}
	assert_int_equal(kill(pid, 0), -1);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(a_mapping_is_made_renewed_and_taken_back, stop_router),
		cmocka_unit_test_teardown(a_router_that_knows_no_leases_gets_none, stop_router),
		cmocka_unit_test_teardown(a_port_that_is_taken_is_not_insisted_on, stop_router),
		cmocka_unit_test_teardown(what_cannot_be_had_says_why, stop_router),
		cmocka_unit_test_teardown(a_process_asks_and_ends, stop_router),
		cmocka_unit_test_teardown(a_process_that_hangs_may_do_nothing_and_is_ended,
					  stop_router),
	};

	if (argc == 2 && strcmp(argv[1], UPNP_WORKER_ARGUMENT) == 0)
		return upnp_worker(STDIN_FILENO);
	return cmocka_run_group_tests(tests, make_namespaces, NULL);
}
