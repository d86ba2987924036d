# warp: how it is built and how it is judged.
#
#   make                 programs and the core library into build/
#   make check           everything that is tested in minutes (tests/run/check.sh lists the suites)
#   make unit            one suite; also sim asan check-pure sizes lint fuzz coverage netns-tests demo
#   make netns-tests T=name
#   make WERROR=1 ...    warnings are errors, as in `make check`
#
# VARIANT selects another compiler and another folder (build/asan, build/coverage, build/fuzz), so
# that variants never mix. New source files are picked up by wildcard; a folder may be empty.

VERSION := 0.1.0
VARIANT ?=
WERROR ?=
T ?=

PREFIX ?= /usr/local
BINDIR ?= $(PREFIX)/bin
SBINDIR ?= $(PREFIX)/sbin
MANDIR ?= $(PREFIX)/share/man
DOCDIR ?= $(PREFIX)/share/doc/warp
UNITDIR ?= $(PREFIX)/lib/systemd/system
DESTDIR ?=

# --- the compiler -------------------------------------------------------------------------------

PKGS := libsodium libisal libmnl libnl-3.0 libnl-route-3.0 yaml-0.1 jansson libcap-ng libpcre2-8
WARNINGS := -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes
SANITIZE := -fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer
HARDEN := -fstack-protector-strong

ifeq ($(VARIANT),)
BUILD := build
CFLAGS ?= -O2 -g
HARDEN += -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2
else ifeq ($(VARIANT),asan)
BUILD := build/asan
CC := clang
CFLAGS := -O1 -g $(SANITIZE)
else ifeq ($(VARIANT),fuzz)
BUILD := build/fuzz
CC := clang
CFLAGS := -O1 -g $(SANITIZE) -fsanitize=fuzzer-no-link
else ifeq ($(VARIANT),coverage)
BUILD := build/coverage
CC := gcc
CFLAGS := -O0 -g --coverage
else
$(error VARIANT is asan, fuzz, coverage or nothing, not '$(VARIANT)')
endif

# Library headers are system headers: their warnings are not ours to mend.
PKG_CFLAGS := $(patsubst -I%,-isystem %,$(shell pkg-config --cflags $(PKGS) 2>/dev/null))
WARP_CPPFLAGS := -D_GNU_SOURCE -DWARP_VERSION='"$(VERSION)"' -Iinclude -Isrc -Itests $(PKG_CFLAGS)
WARP_CFLAGS := -std=gnu17 $(CFLAGS) $(WARNINGS) $(if $(WERROR),-Werror) $(HARDEN) -fPIE
WARP_LDFLAGS := $(CFLAGS) -pie -Wl,-z,relro,-z,now,--as-needed $(LDFLAGS)
WARP_LDLIBS := $(shell pkg-config --libs $(PKGS) 2>/dev/null) -lev -lnatpmp -lminiupnpc

# Faster ciphers where the library exists (x86-64); libsodium's are always there.
ifneq ($(wildcard /usr/include/intel-ipsec-mb.h),)
WARP_CPPFLAGS += -DWARP_IPSEC_MB
WARP_LDLIBS += -lIPSec_MB
endif

# --- what there is ------------------------------------------------------------------------------

objects = $(patsubst %.c,$(BUILD)/%.o,$(1))

core_src := $(wildcard src/core/*/*.c)
io_src := $(wildcard src/util/*.c src/conf/*.c src/io/*.c)
warpd_src := $(wildcard src/warpd/*.c)
map_src := $(wildcard src/warp-map/*.c)
tool_src := $(wildcard tools/warp/*.c)
unit_src := $(wildcard tests/unit/test_*.c)
sim_src := $(wildcard tests/sim/scenario_*.c tests/sim/test_*.c)
fuzz_src := $(wildcard tests/fuzz/fuzz_*.c)
netns_src := $(wildcard netns-tests/tools/*.c)
preload_src := $(wildcard netns-tests/tools/lib/*.c)
bench_src := $(wildcard netns-tests/bench/core.c)
# What the tests share: the simulator, fakes, and rooms of programs that they look into.
help_src := $(filter-out $(unit_src) $(sim_src),$(wildcard tests/unit/*.c tests/sim/*.c)) \
	src/warp-map/streams.c

core_lib := $(BUILD)/libwarpcore.a
io_lib := $(BUILD)/libwarpio.a
help_lib := $(BUILD)/libwarptest.a
programs := $(if $(warpd_src),$(BUILD)/warpd) $(if $(map_src),$(BUILD)/warp-map) \
	$(if $(tool_src),$(BUILD)/warp)
unit_bin := $(unit_src:%.c=$(BUILD)/%)
sim_bin := $(sim_src:%.c=$(BUILD)/%)
fuzz_bin := $(fuzz_src:%.c=$(BUILD)/%)
bench_bin := $(if $(bench_src),$(BUILD)/bench-core)
netns_bin := $(netns_src:netns-tests/tools/%.c=$(BUILD)/netns/%) \
	$(preload_src:netns-tests/tools/lib/%.c=$(BUILD)/netns/%.so)
all_src := $(core_src) $(io_src) $(warpd_src) $(map_src) $(tool_src) $(unit_src) $(sim_src) \
	$(fuzz_src) $(netns_src) $(bench_src) $(help_src)
man_pages := $(wildcard man/*.[1-8])

.PHONY: all tests deps packages demo check check-long unit sim asan coverage coverage-run fuzz \
	fuzz-long fuzz-bin netns-tests lint check-pure sizes soak bench bench-core install deb \
	demo-run format clean print-cppflags print-version
.DELETE_ON_ERROR:

all: $(core_lib) $(io_lib) $(programs)

# Everything that `make check` runs or compiles with this variant's compiler.
tests: all $(unit_bin) $(sim_bin) $(netns_bin) $(bench_bin)

# --- rules --------------------------------------------------------------------------------------

packages:
	@pkg-config --exists --print-errors $(PKGS) || \
		{ echo "warp: libraries are missing; as root: make deps" >&2; exit 2; }

# Objects that were compiled without -Werror are compiled again when it is asked for, once:
# .werror exists while no object is newer than the last complete -Werror build began.
$(BUILD)/.werror:
	@mkdir -p $(@D) && touch $@

$(BUILD)/%.o: %.c Makefile $(if $(WERROR),$(BUILD)/.werror) | packages
	@mkdir -p $(@D)
	$(if $(WERROR),,@rm -f $(BUILD)/.werror)
	$(CC) $(WARP_CPPFLAGS) $(CPPFLAGS) $(WARP_CFLAGS) -MMD -MP -c -o $@ $<

# Two rooms may have files of one name: q appends them both, r would replace.
$(core_lib): $(call objects,$(core_src))
$(io_lib): $(call objects,$(io_src))
$(help_lib): $(call objects,$(help_src))
$(core_lib) $(io_lib) $(help_lib): Makefile
	@mkdir -p $(@D)
	rm -f $@ && $(AR) qcs $@ $(filter %.o,$^)

link = $(CC) $(WARP_LDFLAGS) -o $@ $(filter %.o,$^) $(filter %.a,$^) $(1) $(WARP_LDLIBS)

$(BUILD)/warpd: $(call objects,$(warpd_src))
$(BUILD)/warp-map: $(call objects,$(map_src))
$(BUILD)/warp: $(call objects,$(tool_src))
$(BUILD)/warpd $(BUILD)/warp-map $(BUILD)/warp: $(io_lib) $(core_lib)
	$(call link)

$(unit_bin) $(sim_bin): $(BUILD)/%: $(BUILD)/%.o $(help_lib) $(io_lib) $(core_lib)
	$(call link,-lcmocka)

$(fuzz_bin): $(BUILD)/%: $(BUILD)/%.o $(io_lib) $(core_lib)
	$(call link,-fsanitize=fuzzer)

$(filter-out %.so,$(netns_bin)): $(BUILD)/netns/%: $(BUILD)/netns-tests/tools/%.o $(help_lib) $(io_lib) $(core_lib)
	@mkdir -p $(@D)
	$(call link)

# Libraries to be preloaded, also by programs that no sanitizer is part of.
$(BUILD)/netns/%.so: netns-tests/tools/lib/%.c Makefile
	@mkdir -p $(@D)
	$(CC) -shared -fPIC -D_GNU_SOURCE -std=gnu17 -O2 -g $(WARNINGS) $(if $(WERROR),-Werror) -o $@ $< -ldl

$(BUILD)/bench-core: $(call objects,$(bench_src)) $(core_lib)
	$(call link)

-include $(patsubst %.o,%.d,$(call objects,$(all_src)))

# --- suites: each prints `ok NAME`, `not ok NAME: why`, `skip NAME: why` ------------------------

deps:
	tests/run/deps.sh all

unit: $(unit_bin)
	@tests/run/cmocka.sh unit $^

sim: $(sim_bin)
	@tests/run/cmocka.sh sim $^

# Also the gate for what clang warns of: every program is compiled, with -Werror if asked for.
asan:
	+@$(MAKE) --no-print-directory VARIANT=asan tests
	@tests/run/cmocka.sh asan $(unit_src:%.c=build/asan/%) $(sim_src:%.c=build/asan/%)

coverage:
	+@$(MAKE) --no-print-directory VARIANT=coverage $(unit_src:%.c=build/coverage/%) \
		$(sim_src:%.c=build/coverage/%)
	@tests/run/coverage.sh $(unit_src:%.c=build/coverage/%) $(sim_src:%.c=build/coverage/%)

FUZZ_SECONDS ?= 30
fuzz:
	+@$(MAKE) --no-print-directory VARIANT=fuzz fuzz-bin
	@FUZZ_SECONDS=$(FUZZ_SECONDS) tests/run/fuzz.sh $(fuzz_src:%.c=build/fuzz/%)

fuzz-bin: $(fuzz_bin)

fuzz-long:
	+@$(MAKE) --no-print-directory fuzz FUZZ_SECONDS=1800

check-pure: $(core_lib)
	@tests/run/check-pure.sh $(core_lib)

sizes:
	@tests/run/sizes.sh

lint:
	@tests/run/lint.sh

netns-tests: all $(netns_bin)
	@tests/run/netns.sh $(T)

# --- what people ask for ------------------------------------------------------------------------

demo:
	@tests/run/deps.sh demo
	+@$(MAKE) --no-print-directory demo-run
demo-run: all $(netns_bin)
	@tests/run/later.sh netns-tests/demo.sh

check:
	@tests/run/check.sh

check-long:
	@tests/run/check.sh long

soak: all $(netns_bin)
	@tests/run/later.sh tests/soak/run.sh

bench: all $(netns_bin)
	@tests/run/later.sh netns-tests/bench/run.sh

bench-core: $(bench_bin)
	@tests/run/later.sh netns-tests/bench/core.sh

install: all
	install -d $(DESTDIR)$(BINDIR) $(DESTDIR)$(SBINDIR) $(DESTDIR)$(UNITDIR) $(DESTDIR)$(DOCDIR)
	install -m 755 $(BUILD)/warp $(DESTDIR)$(BINDIR)/
	install -m 755 $(BUILD)/warpd $(BUILD)/warp-map $(DESTDIR)$(SBINDIR)/
	install -m 644 $(wildcard README.md) LICENSE $(DESTDIR)$(DOCDIR)/
	for page in $(man_pages); do \
		install -D -m 644 "$$page" "$(DESTDIR)$(MANDIR)/man$${page##*.}/$${page##*/}" || exit 1; \
	done
	for unit in warpd warp-map; do \
		sed -e 's,@SBINDIR@,$(SBINDIR),g' -e 's,@BINDIR@,$(BINDIR),g' \
			packaging/$$unit.service > $(DESTDIR)$(UNITDIR)/$$unit.service || exit 1; \
	done

deb:
	packaging/deb.sh $(VERSION)

format:
	clang-format -i $(wildcard $(addsuffix /*.[ch],include/warp src/* src/core/* tools/* tests/* netns-tests/tools \
		netns-tests/bench))

clean:
	rm -rf build

print-cppflags:
	@printf '%s\n' '$(subst ','\'',$(WARP_CPPFLAGS))'

print-version:
	@echo $(VERSION)
