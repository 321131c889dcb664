/* SPDX-License-Identifier: GPL-2.0-or-later */
/*
 * Two vCPUs that make the seed's calls at the same time, on their own frames and areas and, as a
 * hostile host would, on each other's. Whatever comes of it, the guest lives, the auditor finds
 * nothing, and every frame comes back. Each vCPU's choices are random; the seed is printed.
 */
#include "tests/machine/calls_machine.h"

#include <pthread.h>
#include <time.h>

#include "vmm/attach/executor.h"

#define NR_VCPUS  2
#define NR_THINGS 6
#define FRAMES    4

/* What a vCPU has; the other one looks at it without a lock, to be in the way. */
struct hand {
	unsigned int vcpu;
	uint64_t random;
	uint64_t frame[FRAMES];
	uint64_t area[NR_THINGS]; /* of any kind, 0: none */
	uint64_t object;
	uint64_t refused, done;
	int failed; /* a call that was not even answered */
};

static struct hand hands[NR_VCPUS];

static uint64_t draw(struct hand *hand, uint64_t below)
{
	hand->random ^= hand->random << 13;
	hand->random ^= hand->random >> 7;
	hand->random ^= hand->random << 17;
	return hand->random % below;
}

/* Returns the first result, or 0 where it was refused. */
static uint64_t make(struct hand *hand, uint16_t opcode, uint64_t a, uint64_t b, uint64_t c,
		     uint64_t d)
{
	const struct nb_submission sqe = {.opcode = opcode, .arg = {a, b, c, d}};
	struct nb_completion cqe;

	if (guest_call(m.guest, hand->vcpu, &sqe, &cqe)) {
		hand->failed = 1;
		return 0;
	}
	hand->refused += cqe.status != 0;
	hand->done += cqe.status == 0;
	return cqe.status == 0 ? cqe.result[0] : 0;
}

/* One's own, or the other's. */
static uint64_t some_area(struct hand *hand)
{
	return __atomic_load_n(&hands[draw(hand, NR_VCPUS)].area[draw(hand, NR_THINGS)],
			       __ATOMIC_RELAXED);
}

static uint64_t some_frame(struct hand *hand)
{
	return __atomic_load_n(&hands[draw(hand, NR_VCPUS)].frame[draw(hand, FRAMES)],
			       __ATOMIC_RELAXED);
}

static void put_frames(struct hand *hand)
{
	uint64_t *data = guest_data(m.guest, hand->vcpu);

	for (int i = 0; i < FRAMES; i++)
		data[i] = some_frame(hand);
}

static void keep(struct hand *hand, uint64_t area)
{
	if (area)
		__atomic_store_n(&hand->area[draw(hand, NR_THINGS)], area, __ATOMIC_RELAXED);
}

static void take_new_frame(struct hand *hand)
{
	uint64_t pfn = make(hand, NB_OP_ALLOC_PAGES, 0, GFP_KERNEL, ANY_NODE, 0);

	if (pfn)
		__atomic_store_n(&hand->frame[draw(hand, FRAMES)], pfn, __ATOMIC_RELAXED);
}

static void step(struct hand *hand)
{
	switch (draw(hand, 16)) {
	case 0:
	case 1:
		take_new_frame(hand);
		break;
	case 2:
		make(hand, NB_OP_FREE_PAGES, some_frame(hand), 0, 0, 0);
		break;
	case 3:
		put_frames(hand);
		keep(hand, make(hand, NB_OP_VMAP, 1 + draw(hand, FRAMES), VM_MAP, PAGE_KERNEL, 0));
		break;
	case 4:
		put_frames(hand);
		keep(hand, make(hand, NB_OP_VMAP, 1, VM_MAP_PUT_PAGES, PAGE_KERNEL, 0));
		break;
	case 5:
		keep(hand, make(hand, NB_OP_GET_VM_AREA_WINDOW, FRAMES * PAGE_SIZE, 0, 0, 0));
		break;
	case 6:
		put_frames(hand);
		make(hand, NB_OP_MAP_VM_AREA, some_area(hand), FRAMES, PAGE_KERNEL, 0);
		break;
	case 7:
		make(hand, NB_OP_UNMAP_KERNEL_RANGE, some_area(hand) + PAGE_SIZE, PAGE_SIZE, 0, 0);
		break;
	case 8:
		make(hand, NB_OP_UNMAP_VM_AREA, some_area(hand), 0, 0, 0);
		break;
	case 9:
		make(hand, NB_OP_VUNMAP, some_area(hand), 0, 0, 0);
		break;
	case 10:
		make(hand, NB_OP_FREE_VM_AREA, some_area(hand), 0, 0, 0);
		break;
	case 11:
		make(hand, NB_OP_VFREE, some_area(hand), 0, 0, 0);
		break;
	case 12:
		make(hand, NB_OP_REMOVE_VM_AREA, some_area(hand), 0, 0, 0);
		break;
	case 13:
		keep(hand, make(hand, NB_OP_VMALLOC_CALL, NB_VMALLOC, 2 * PAGE_SIZE, 0, 0));
		break;
	case 14:
		make(hand, NB_OP_KFREE, hands[draw(hand, NR_VCPUS)].object, 0, 0, 0);
		hand->object = make(hand, NB_OP_KMALLOC, 100, GFP_KERNEL, ANY_NODE, 0);
		break;
	default:
		make(hand, draw(hand, 2) ? NB_OP_VREAD : NB_OP_VWRITE, some_area(hand), 300, 64, 0);
	}
}

static void *play(void *argument)
{
	struct hand *hand = argument;

	for (int i = 0; i < 400 && !hand->failed; i++)
		step(hand);
	return NULL;
}

static void start_smp(void)
{
	calls_start_with(64ull << 20, NR_VCPUS);
}

/* Frames and objects that were overwritten in the hands are nobody's now: found from outside. */
static void free_what_is_left(void)
{
	const struct layout *l = inspect_layout(m.inspector);
	struct inspect_areas areas;
	struct inspect_page page;

	ck_assert_int_eq(inspect_areas(m.inspector, &areas), 0);
	for (size_t i = 0; i < areas.count; i++) {
		if (areas.area[i].state == INSPECT_BUSY && areas.area[i].kind != l->vmap_array)
			ck_assert_int_eq(QUIET(NB_OP_REMOVE_VM_AREA, areas.area[i].start), 0);
	}
	inspect_areas_free(&areas);
	for (uint64_t pfn = 0; pfn < inspect_end_pfn(m.inspector); pfn++) {
		if (inspect_section_online(m.inspector, pfn) &&
		    inspect_page(m.inspector, pfn, &page) && page.state == l->page_other)
			ck_assert_int_eq(QUIET(NB_OP_FREE_PAGES, pfn, 0), 0);
	}
}

START_TEST(two_vcpus_in_each_others_way)
{
	const uint64_t seed = (uint64_t)time(NULL);
	uint64_t before, slabs, after;
	pthread_t thread[NR_VCPUS];

	ck_assert_int_eq(QUIET(NB_OP_SET_MODE, (uint64_t)_i), 0);
	objects_in_use(&slabs);
	before = frames_left() + slabs;
	printf("mode %d, seed %llu: ", _i, (unsigned long long)seed);
	for (unsigned int i = 0; i < NR_VCPUS; i++) {
		hands[i] = (struct hand){.vcpu = i, .random = seed * 2654435761u + i + 1};
		ck_assert_int_eq(pthread_create(&thread[i], NULL, play, &hands[i]), 0);
	}
	for (unsigned int i = 0; i < NR_VCPUS; i++) {
		pthread_join(thread[i], NULL);
		printf("%llu done, %llu refused; ", (unsigned long long)hands[i].done,
		       (unsigned long long)hands[i].refused);
		ck_assert_msg(!hands[i].failed, "the guest died: %s",
			      guest_failure(m.guest) ? guest_failure(m.guest)->text : "?");
		ck_assert_uint_gt(hands[i].done, 50);
		ck_assert_uint_gt(hands[i].refused, 20);
	}
	printf("\n");
	audited("both");
	free_what_is_left();
	audited("all is given back");
	after = frames_left();
	objects_in_use(&slabs);
	ck_assert_uint_eq(after + slabs, before);
	ck_assert_uint_eq(busy_areas(), 0);
}
END_TEST

/* How many hypercalls @vcpu has answered since its start. */
static uint32_t answered(unsigned int vcpu)
{
	uint64_t gpa =
		guest_boot(m.guest)->info.area_gpa[vcpu] + offsetof(struct nb_vcpu_area, cq_tail);
	uint32_t tail;

	ck_assert_int_eq(gpa_space_read(guest_space(m.guest), gpa_make(gpa), &tail, sizeof(tail)),
			 0);
	return tail;
}

/* nestbox replay --parallel: each where it was done in Linux, in the plan's order all the same. */
START_TEST(an_executor_that_is_spread_works_on_each_vcpu)
{
	static const uint32_t cpus[] = {0, 1, 1, 0, 3};
	struct replay_request requests[5] = {{0}};
	struct replay_result results[5];
	struct guest_executor *executor;
	struct replay_executor interface;
	struct input_error why;
	struct error error;
	uint32_t before[2];

	ck_assert_int_eq(guest_executor_create(m.guest, &executor, &error), 0);
	interface = guest_executor_interface(executor);
	for (size_t i = 0; i < 5; i++)
		requests[i] = (struct replay_request){.type = REPLAY_RESERVE,
						      .va_bytes = 4 * PAGE_SIZE,
						      .align = PAGE_SIZE,
						      .vstart = NB_VMALLOC_START,
						      .vend = NB_VMALLOC_END,
						      .node = -1,
						      .cpu = cpus[i]};
	for (int spread = 0; spread < 2; spread++) {
		before[0] = answered(0), before[1] = answered(1);
		ck_assert_int_eq(interface.submit(interface.context, requests, 5, results, &why),
				 0);
		ck_assert_uint_eq(answered(0) - before[0], spread ? 2 : 5);
		ck_assert_uint_eq(answered(1) - before[1], spread ? 3 : 0);
		for (size_t i = 0; i < 5; i++) {
			ck_assert_int_eq(results[i].status, 0);
			ck_assert(i == 0 || results[i].address > results[i - 1].address);
		}
		guest_executor_spread(executor);
	}
	guest_executor_destroy(executor);
}
END_TEST

static Suite *calls_smp_suite(void)
{
	Suite *suite = suite_create("calls_smp");
	TCase *tcase = tcase_create("calls_smp");

	tcase_add_checked_fixture(tcase, start_smp, calls_stop);
	tcase_set_timeout(tcase, 120);
	tcase_add_test(tcase, an_executor_that_is_spread_works_on_each_vcpu);
	tcase_add_loop_test(tcase, two_vcpus_in_each_others_way, 0, 2);
	suite_add_tcase(suite, tcase);
	return suite;
}

int main(void)
{
	int status = harness_need_kvm();

	return status ? status : harness_run(calls_smp_suite());
}
