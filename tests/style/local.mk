# SPDX-License-Identifier: GPL-2.0-or-later
STYLE_TESTS += %D%/docs.sh %D%/format.sh %D%/freestanding.sh %D%/hardening.sh %D%/includes.sh %D%/seed_map.sh \
	%D%/shellcheck.sh %D%/spdx.sh %D%/test_style.sh
EXTRA_DIST += %D%/files.sh
