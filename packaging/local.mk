# SPDX-License-Identifier: GPL-3.0-or-later
# What makes a mount of the build part of a system: mount(8)'s helper, a systemd
# unit, and examples that are installed as documentation.
exampledir = $(docdir)/examples
dist_example_DATA = \
	packaging/fstab.example \
	packaging/garner.conf.example \
	packaging/smb.conf.example

dist_doc_DATA = \
	README.md \
	CHANGES

nodist_systemdsystemunit_DATA = packaging/garner@.service
CLEANFILES += $(nodist_systemdsystemunit_DATA)
EXTRA_DIST += \
	packaging/garner@.service.in \
	packaging/build-deb \
	packaging/build-libfuse \
	packaging/libfuse-uring.patch \
	packaging/debian/changelog \
	packaging/debian/control \
	packaging/debian/copyright \
	packaging/debian/garner.links \
	packaging/debian/rules \
	packaging/debian/source/format

packaging/garner@.service: $(srcdir)/packaging/garner@.service.in Makefile
	$(AM_V_GEN)$(MKDIR_P) packaging && \
	sed 's|[@]bindir[@]|$(bindir)|g' '$(srcdir)/packaging/garner@.service.in' > $@

# The helper is garner itself, which knows by its name that mount(8) calls: as mount.garner for
# the type in fstab, as mount.fuse.garner to remount, by the type that the kernel shows. The links
# are absolute: the folder that they lie in may be a link to another place.
install-exec-hook:
	$(MKDIR_P) '$(DESTDIR)$(mounthelperdir)'
	$(LN_S) -f '$(bindir)/garner' '$(DESTDIR)$(mounthelperdir)/mount.garner'
	$(LN_S) -f '$(bindir)/garner' '$(DESTDIR)$(mounthelperdir)/mount.fuse.garner'

uninstall-hook:
	rm -f '$(DESTDIR)$(mounthelperdir)/mount.garner' '$(DESTDIR)$(mounthelperdir)/mount.fuse.garner'
