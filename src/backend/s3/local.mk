# SPDX-License-Identifier: GPL-3.0-or-later
noinst_LIBRARIES += libs3.a
EXTRA_DIST += src/backend/s3/DESIGN
libs3_a_SOURCES = \
	src/backend/s3/client-answer.c \
	src/backend/s3/client-internal.h \
	src/backend/s3/client-request.c \
	src/backend/s3/client.c \
	src/backend/s3/client.h \
	src/backend/s3/credentials.c \
	src/backend/s3/credentials.h \
	src/backend/s3/http-easy.c \
	src/backend/s3/http-internal.h \
	src/backend/s3/http.c \
	src/backend/s3/http.h \
	src/backend/s3/keeper.c \
	src/backend/s3/keeper.h \
	src/backend/s3/many.c \
	src/backend/s3/many.h \
	src/backend/s3/probe.c \
	src/backend/s3/probe.h \
	src/backend/s3/profile.c \
	src/backend/s3/profile.h \
	src/backend/s3/retry.c \
	src/backend/s3/retry.h \
	src/backend/s3/settings.c \
	src/backend/s3/settings.h \
	src/backend/s3/sign.c \
	src/backend/s3/sign.h \
	src/backend/s3/xml.c \
	src/backend/s3/xml.h
