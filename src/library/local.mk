# SPDX-License-Identifier: GPL-3.0-or-later
noinst_LIBRARIES += liblibrary.a
liblibrary_a_SOURCES =
