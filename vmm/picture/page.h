/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The files the page is made of, inside the program. */
#ifndef VMM_PICTURE_PAGE_H
#define VMM_PICTURE_PAGE_H

/* Text that ends in a NUL. */
extern const char page_html[], page_css[];
extern const char page_core_js[], page_space_js[], page_tables_js[], page_figures_js[];

#endif
