# SPDX-License-Identifier: GPL-3.0-or-later
# Shells look for a file of the command's own name.
bashcompletiondir = $(datadir)/bash-completion/completions
zshcompletiondir = $(datadir)/zsh/site-functions
nodist_bashcompletion_DATA = completion/garner
dist_zshcompletion_DATA = completion/_garner
EXTRA_DIST += completion/garner.bash
CLEANFILES += completion/garner

completion/garner: $(srcdir)/completion/garner.bash
	$(AM_V_GEN)$(MKDIR_P) completion && cp '$(srcdir)/completion/garner.bash' $@
