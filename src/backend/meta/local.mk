# SPDX-License-Identifier: GPL-3.0-or-later
noinst_LIBRARIES += libmeta.a
libmeta_a_SOURCES =
