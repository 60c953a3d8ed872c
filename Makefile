# The front door: verbs.  Meson does the work, tools/setup the packages.
B       ?= build
PREFIX  ?= /usr/local
DESTDIR ?=

.PHONY: all setup run test vm bench fuzz lint format install clean

all: $(B)/build.ninja
	@ninja -C $(B) --quiet || ninja -C $(B)

# The packages come first: without them there is nothing to configure with.
$(B)/build.ninja:
	@tools/setup build
	meson setup $(B) --prefix=$(PREFIX)

setup:
	tools/setup build
run: $(B)/build.ninja
	@ninja -C $(B) --quiet sonde
	$(B)/sonde run $(ARGS)
test:
	@tools/setup build test
	@tools/test $(B)
# The same programs under the distribution's other kernels, emulated: minutes.
vm: $(B)/build.ninja
	@tools/setup vm
	@ninja -C $(B) --quiet
	meson test -C $(B) --no-rebuild --print-errorlogs --suite vm
# The sender of live frames is built if clang and libbpf were there to
# configure with.
bench: $(B)/build.ninja
	@tools/setup bench || echo "bench: goes on without what is missing"
	@[ -e $(B)/bench/sender ] || meson setup --reconfigure $(B) >/dev/null
	@ninja -C $(B) --quiet || ninja -C $(B)
	@bench/run $(B)
fuzz: $(B)/build.ninja
	@tools/fuzz $(SECONDS)
lint: all
	@tools/setup lint
	@tools/lint $(B)
format:
	git ls-files '*.[ch]' | xargs clang-format -i
install: all
	@meson configure $(B) -Dprefix=$(abspath $(PREFIX))
	@ninja -C $(B) --quiet
	meson install -C $(B) --no-rebuild $(if $(DESTDIR),--destdir $(abspath $(DESTDIR)))
clean:
	rm -rf $(B) build-asan build-tsan build-fuzz
