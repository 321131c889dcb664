# SPDX-License-Identifier: GPL-2.0-or-later
# Sets what `nestbox bench` said (the second file) beside Linux's figures (the first one,
# tests/data/linux-vmalloc-instructions). Fails if a case costs more than half of Linux's, if
# nothing was measured, or if what was measured is not instructions.

FNR == NR {
	if ($0 !~ /^#/)
		linux[$2 > 0 ? $1 " " $2 : $1] = $3
	next
}

$1 == "case" {
	counted = $3 == "instructions"
	print "| case | Linux 6.1 | half | here | share |"
	print "|---|---|---|---|---|"
	next
}

# The rows: the case and its pages, if it has several sizes; loops; instructions.
/^[a-z_]+ +[0-9]/ && NF >= 6 {
	name = NF == 7 ? $1 " " $2 : $1
	here = $(NF - 3)
	rows++
	if (!(name in linux)) {
		printf "| %s | | | %.0f | |\n", name, here
		next
	}
	printf "| %s | %d | %d | %.0f | %.0f %% |\n", name, linux[name], linux[name] / 2, here,
		100 * here / linux[name]
	if (here > linux[name] / 2)
		above++
}

END {
	if (!rows || !counted) {
		print "no instructions were counted" > "/dev/stderr"
		exit 1
	}
	if (above) {
		print above " above half of Linux's" > "/dev/stderr"
		exit 1
	}
}
