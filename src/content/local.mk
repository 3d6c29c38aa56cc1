# SPDX-License-Identifier: GPL-3.0-or-later
noinst_LIBRARIES += libcontent.a
libcontent_a_SOURCES =
