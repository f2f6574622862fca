#include "base/list.h"
#include "lib/check.h"

struct item {
    int number;
    struct list link;
};

static int pop(struct list *head)
{
    struct list *link = list_pop(head);
    return link ? LIST_OWNER(link, struct item, link)->number : 0;
}

TEST_CASE(list_pop__what_was_added__comes_in_order)
{
    struct list head;
    struct item items[3] = {{.number = 1}, {.number = 2}, {.number = 3}};
    list_init(&head);
    assert_true(list_is_empty(&head));
    assert_null(list_pop(&head));
    for (int i = 0; i < 3; i++) {
        list_add_tail(&head, &items[i].link);
    }
    for (int i = 1; i <= 3; i++) {
        assert_int_equal(pop(&head), i);
    }
    assert_true(list_is_empty(&head));
}

TEST_CASE(list_remove__twice__is_out_once)
{
    struct list head;
    struct item items[3] = {{.number = 1}, {.number = 2}, {.number = 3}};
    list_init(&head);
    for (int i = 0; i < 3; i++) {
        list_add_tail(&head, &items[i].link);
    }
    list_remove(&items[1].link);
    list_remove(&items[1].link);
    assert_int_equal(pop(&head), 1);
    list_add_tail(&head, &items[1].link); /* and in again */
    assert_int_equal(pop(&head), 3);
    assert_int_equal(pop(&head), 2);
    assert_int_equal(pop(&head), 0);
}

TEST_CASE(list_take_all__some_or_none__leaves_nothing)
{
    struct list from;
    struct list head;
    struct item items[2] = {{.number = 1}, {.number = 2}};
    list_init(&from);
    list_take_all(&head, &from);
    assert_true(list_is_empty(&head));
    list_add_tail(&from, &items[0].link);
    list_add_tail(&from, &items[1].link);
    list_take_all(&head, &from);
    assert_true(list_is_empty(&from));
    list_remove(&items[0].link); /* knows its new ring */
    assert_int_equal(pop(&head), 2);
    assert_int_equal(pop(&head), 0);
}

TEST_CASE(list_add_all_front__some_or_none__come_first_in_their_order)
{
    struct list from;
    struct list head;
    struct item items[3] = {{.number = 1}, {.number = 2}, {.number = 3}};
    list_init(&from);
    list_init(&head);
    list_add_all_front(&head, &from);
    assert_true(list_is_empty(&head));
    list_add_tail(&from, &items[0].link);
    list_add_tail(&from, &items[1].link);
    list_add_tail(&head, &items[2].link);
    list_add_all_front(&head, &from);
    assert_true(list_is_empty(&from));
    for (int i = 1; i <= 3; i++) {
        assert_int_equal(pop(&head), i);
    }
    list_add_tail(&from, &items[0].link);
    list_add_all_front(&head, &from);
    assert_int_equal(pop(&head), 1);
    assert_int_equal(pop(&head), 0);
}

TESTS_RUN(NULL, NULL)
