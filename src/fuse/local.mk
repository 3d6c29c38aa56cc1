# SPDX-License-Identifier: GPL-3.0-or-later
noinst_LIBRARIES += libmount.a
libmount_a_SOURCES =
