/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * vmap_check() against planted corruption: each invariant is broken once, and named.
 */
#include "tests/mm/vmap_fixture.h"

/*
 *   | free | a busy | b busy | c lazy | d busy | e busy | free
 */
static struct vmap_area *a, *b, *c, *d, *e;

static void five_tiles(void)
{
	struct vmap_area **const all[] = {&a, &b, &c, &d, &e};

	setup();
	vmap_set_mode(&sim->mm, VMAP_MANUAL);
	for (u32 i = 0; i < 5; i++)
		*all[i] = vmap_find(&sim->mm, must_take(0x2000, 1, BASE, BASE + 0x100000));
	give(c->va_start);
	ck_assert_ptr_null(vmap_check(&sim->mm));
}

#define expect_wrong(text) ck_assert_str_eq(vmap_check(&sim->mm), text)

START_TEST(check_names_broken_tiles)
{
	c->va_start += PAGE_SIZE;
	expect_wrong("a tile does not begin where the one before it ends");
	c->va_start -= PAGE_SIZE;

	c->va_end = c->va_start;
	expect_wrong("a tile has no length");
	c->va_end = d->va_start;

	a->va_end++;
	b->va_start++;
	expect_wrong("a tile's end is not page aligned");
	a->va_end--;
	b->va_start--;

	c->state = 3;
	expect_wrong("a tile has no known state");
	c->state = VMAP_AREA_LAZY;

	b->kind = 9;
	expect_wrong("a busy tile has no known kind");
	b->kind = VMAP_FRAMES;

	b->tile.prev = &d->tile;
	expect_wrong("the tile list is broken");
	b->tile.prev = &a->tile;
	ck_assert_ptr_null(vmap_check(&sim->mm));
}
END_TEST

START_TEST(check_names_a_space_not_covered)
{
	struct vmap_area *last = next_tile(e);

	last->va_end -= 0xfff;
	rb_propagate(&last->node, hole_summarise);
	expect_wrong("the tiles do not cover the space");
}
END_TEST

START_TEST(check_names_an_end_of_the_space_that_is_not_free)
{
	struct vmap_area *first = prev_tile(a), *last = next_tile(e);

	hole_erase(&sim->mm.vmap, first);
	first->state = VMAP_AREA_LAZY;
	expect_wrong("the first tile is not free");
	hole_insert(&sim->mm.vmap, first);
	ck_assert_ptr_null(vmap_check(&sim->mm));
	hole_erase(&sim->mm.vmap, last);
	last->state = VMAP_AREA_LAZY;
	expect_wrong("the last tile is not free");
}
END_TEST

START_TEST(check_names_free_tiles_that_touch)
{
	rb_erase(&sim->mm.vmap.busy, &e->node, NULL);
	hole_insert(&sim->mm.vmap, e);
	expect_wrong("two free tiles touch");
}
END_TEST

START_TEST(check_names_what_is_wrong_in_the_trees)
{
	struct vmap_space *space = &sim->mm.vmap;
	struct vmap_area *last = next_tile(e);

	rb_erase(&space->busy, &b->node, NULL);
	expect_wrong("a busy tile is not in its place in the busy tree");
	rb_insert_after(&space->busy, &b->node, &d->node, NULL);
	expect_wrong("a busy tile is not in its place in the busy tree");
	rb_erase(&space->busy, &b->node, NULL);
	rb_insert_after(&space->busy, &b->node, &a->node, NULL);
	ck_assert_ptr_null(vmap_check(&sim->mm));

	hole_erase(space, last);
	expect_wrong("a free tile is not in its place in the free tree");
	hole_insert(space, last);

	last->subtree_max--;
	expect_wrong("a node's summary is wrong");
	ck_assert_ptr_null(vmap_check(&sim->mm));

	space->busy.node->parent_color |= RB_RED;
	expect_wrong("the root is red");
}
END_TEST

START_TEST(check_names_a_tree_node_that_is_no_tile)
{
	list_del(&e->tile);
	d->va_end = e->va_end;
	expect_wrong("a tree holds what is no tile");
}
END_TEST

START_TEST(check_names_a_broken_lazy_list)
{
	struct vmap_space *space = &sim->mm.vmap;

	give(a->va_start);
	ck_assert_ptr_eq(space->lazy, a);
	space->lazy = c;
	expect_wrong("a lazy tile is not on the lazy list");
	/* One that a purge is at is on that list instead. */
	space->purging = a;
	a->next_lazy = NULL;
	ck_assert_ptr_null(vmap_check(&sim->mm));
	a->next_lazy = c;
	expect_wrong("the lazy list is longer than there are lazy tiles");
	space->purging = NULL;
	space->lazy = a;
	c->next_lazy = a;
	expect_wrong("the lazy list is longer than there are lazy tiles");
	c->next_lazy = b;
	expect_wrong("a tile on the lazy list is not lazy");
	c->next_lazy = NULL;
	ck_assert_ptr_null(vmap_check(&sim->mm));
}
END_TEST

START_TEST(check_names_a_recent_tile_that_is_not_busy)
{
	struct vmap_area **slot = recent_slot(&sim->mm.vmap, c->va_start);

	ck_assert_ptr_null(*slot);
	*slot = c;
	expect_wrong("a recent tile is not busy");
	*slot = NULL;
	ck_assert_ptr_eq(*recent_slot(&sim->mm.vmap, e->va_start), e);
	*recent_slot(&sim->mm.vmap, e->va_start) = d;
	expect_wrong("a recent tile is not busy");
}
END_TEST

START_TEST(check_names_a_wrong_hint)
{
	struct vmap_hint *hint = &sim->mm.vmap.hint;
	struct vmap_area *last = next_tile(e);

	ck_assert_ptr_eq(hint->hole, last);
	*hint = (struct vmap_hint){c, hint->start, ~0ull};
	expect_wrong("the hint's hole is no free tile");
	*hint = (struct vmap_hint){last, hint->start, 0x2000};
	rb_erase(&sim->mm.vmap.busy, &b->node, NULL);
	sim->mm.vmap.nr_busy--;
	*recent_slot(&sim->mm.vmap, b->va_start) = NULL;
	hole_insert(&sim->mm.vmap, b);
	expect_wrong("the hint leaves out a hole");
	hint->bytes = 0x3000;
	ck_assert_ptr_null(vmap_check(&sim->mm));
	hint->bytes = 0x1000;
	hint->start = b->va_start + 0x1000;
	expect_wrong("the hint leaves out a hole");
	hint->start += 1;
	ck_assert_ptr_null(vmap_check(&sim->mm));
}
END_TEST

START_TEST(check_names_each_wrong_count)
{
	struct vmap_space *space = &sim->mm.vmap;

	space->nr_busy++;
	expect_wrong("the count of busy tiles is wrong");
	space->nr_busy--;
	space->nr_free++;
	expect_wrong("the count of free tiles is wrong");
	space->nr_free--;
	space->nr_lazy++;
	expect_wrong("the count of lazy tiles is wrong");
	space->nr_lazy--;
	space->nr_lazy_pages++;
	expect_wrong("the count of lazy pages is wrong");
	space->nr_lazy_pages--;
	give(d->va_start);
	vmap_purge(&sim->mm);
	ck_assert_uint_gt(space->nr_spare, 0);
	space->nr_spare++;
	expect_wrong("the count of spare objects is wrong");
	space->nr_spare -= 2;
	expect_wrong("the count of spare objects is wrong");
	space->nr_spare++;
	space->spare->next_lazy = space->spare;
	expect_wrong("the count of spare objects is wrong");
}
END_TEST

static Suite *vmap_check_suite(void)
{
	Suite *suite = suite_create("vmap_check");
	TCase *tcase = tcase_create("vmap_check");

	tcase_add_checked_fixture(tcase, five_tiles, teardown);
	tcase_add_test(tcase, check_names_broken_tiles);
	tcase_add_test(tcase, check_names_a_space_not_covered);
	tcase_add_test(tcase, check_names_an_end_of_the_space_that_is_not_free);
	tcase_add_test(tcase, check_names_free_tiles_that_touch);
	tcase_add_test(tcase, check_names_what_is_wrong_in_the_trees);
	tcase_add_test(tcase, check_names_a_tree_node_that_is_no_tile);
	tcase_add_test(tcase, check_names_a_broken_lazy_list);
	tcase_add_test(tcase, check_names_a_recent_tile_that_is_not_busy);
	tcase_add_test(tcase, check_names_a_wrong_hint);
	tcase_add_test(tcase, check_names_each_wrong_count);
	suite_add_tcase(suite, tcase);
	return suite;
}

int main(void)
{
	return harness_run(vmap_check_suite());
}
