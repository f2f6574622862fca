#include "edge/rewind.h"

#include "core/offsets.h"
#include "edge/kafka/ask.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MEMBERS_NAMED 3

/* ---- asking ---- */

/** The answer to one admin request, the caller's; null with *err set. */
static rd_kafka_event_t *answer(const struct topics_options *options,
                                rd_kafka_queue_t *queue, const char *what,
                                struct err *err)
{
    rd_kafka_event_t *event = rd_kafka_queue_poll(queue, ASK_MS);
    rd_kafka_resp_err_t code =
        event ? rd_kafka_event_error(event) : RD_KAFKA_RESP_ERR__TIMED_OUT;
    if (code) {
        ask_err(err, options, code, what);
        if (event) {
            rd_kafka_event_destroy(event);
        }
        return NULL;
    }
    return event;
}

/* ---- members ---- */

/** A group that is not known has none. */
static bool judge_group(const struct topics_options *options,
                        const rd_kafka_ConsumerGroupDescription_t *group,
                        struct err *err)
{
    const rd_kafka_error_t *error =
        rd_kafka_ConsumerGroupDescription_error(group);
    rd_kafka_resp_err_t code = error ? rd_kafka_error_code(error) : 0;
    size_t len = rd_kafka_ConsumerGroupDescription_member_count(group);
    char names[256] = "";
    if (code && code != RD_KAFKA_RESP_ERR_GROUP_ID_NOT_FOUND) {
        return ask_err(err, options, code, "looking at the group");
    }
    for (size_t i = 0; i < len && i < MEMBERS_NAMED; i++) {
        const rd_kafka_MemberDescription_t *member =
            rd_kafka_ConsumerGroupDescription_member(group, i);
        size_t used = strlen(names);
        snprintf(names + used, sizeof names - used, "%s%s at %s", i ? ", " : "",
                 rd_kafka_MemberDescription_client_id(member),
                 rd_kafka_MemberDescription_host(member));
    }
    return len == 0 ||
           err_set(err, ERR_PERMANENT,
                   "the group %s has %zu member%s (%s%s): stop every worker "
                   "first, and wait until the group has lost those that were "
                   "killed (45 s by default)",
                   options->group, len, len == 1 ? "" : "s", names,
                   len > MEMBERS_NAMED ? ", …" : "");
}

static bool has_no_members(rd_kafka_t *rk, const struct topics_options *options,
                           struct err *err)
{
    const char *const what = "looking at the group";
    const char *names[] = {options->group};
    rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
    rd_kafka_DescribeConsumerGroups(rk, names, 1, NULL, queue);
    rd_kafka_event_t *event = answer(options, queue, what, err);
    bool good = event != NULL;
    if (event) {
        size_t len = 0;
        const rd_kafka_ConsumerGroupDescription_t **groups =
            rd_kafka_DescribeConsumerGroups_result_groups(
                rd_kafka_event_DescribeConsumerGroups_result(event), &len);
        good = len == 1 ? judge_group(options, groups[0], err)
                        : ask_err(err, options, RD_KAFKA_RESP_ERR__FAIL, what);
        rd_kafka_event_destroy(event);
    }
    rd_kafka_queue_destroy(queue);
    return good;
}

/* ---- offsets ---- */

static bool find_by_time(rd_kafka_t *rk, const struct topics_options *options,
                         const rd_kafka_topic_partition_list_t *all,
                         int64_t to_ms, struct rewind_part *parts,
                         struct err *err)
{
    rd_kafka_topic_partition_list_t *list =
        ask_by_time(rk, options, all, to_ms, err);
    for (int i = 0; list && i < list->cnt; i++) {
        parts[i].partition = list->elems[i].partition;
        parts[i].to = list->elems[i].offset;
    }
    if (!list) {
        return false;
    }
    rd_kafka_topic_partition_list_destroy(list);
    return true;
}

static bool take_committed(const struct topics_options *options,
                           const rd_kafka_event_t *event,
                           struct rewind_part *parts, size_t len,
                           struct err *err)
{
    const char *const what = "reading the group's offsets";
    size_t groups = 0;
    const rd_kafka_group_result_t **results =
        rd_kafka_ListConsumerGroupOffsets_result_groups(
            rd_kafka_event_ListConsumerGroupOffsets_result(
                (rd_kafka_event_t *)event),
            &groups);
    const rd_kafka_error_t *error =
        groups ? rd_kafka_group_result_error(results[0]) : NULL;
    if (!groups || error) {
        return ask_err(
            err, options,
            error ? rd_kafka_error_code(error) : RD_KAFKA_RESP_ERR__FAIL, what);
    }
    const rd_kafka_topic_partition_list_t *list =
        rd_kafka_group_result_partitions(results[0]);
    for (int i = 0; i < list->cnt; i++) {
        const rd_kafka_topic_partition_t *at = &list->elems[i];
        if (at->err) {
            return ask_err(err, options, at->err, what);
        }
        for (size_t p = 0; p < len; p++) {
            if (parts[p].partition == at->partition) {
                parts[p].committed = at->offset;
            }
        }
    }
    return true;
}

static bool find_committed(rd_kafka_t *rk, const struct topics_options *options,
                           const rd_kafka_topic_partition_list_t *all,
                           struct rewind_part *parts, struct err *err)
{
    rd_kafka_ListConsumerGroupOffsets_t *asked =
        rd_kafka_ListConsumerGroupOffsets_new(options->group, all);
    rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
    rd_kafka_ListConsumerGroupOffsets(rk, &asked, 1, NULL, queue);
    rd_kafka_event_t *event =
        answer(options, queue, "reading the group's offsets", err);
    bool good =
        event && take_committed(options, event, parts, (size_t)all->cnt, err);
    if (event) {
        rd_kafka_event_destroy(event);
    }
    rd_kafka_queue_destroy(queue);
    rd_kafka_ListConsumerGroupOffsets_destroy(asked);
    return good;
}

bool rewind_look(const struct topics_options *options, const char *topic,
                 int64_t to_ms, struct rewind_part **parts, size_t *len,
                 struct err *err)
{
    assert(options->group && topic && to_ms > 0 && parts && len);
    *parts = NULL;
    *len = 0;
    rd_kafka_t *rk = ask_open(options, RD_KAFKA_PRODUCER, err);
    rd_kafka_topic_partition_list_t *all =
        rk ? ask_partitions(rk, options, topic, err) : NULL;
    struct rewind_part *found =
        all ? calloc((size_t)all->cnt, sizeof *found) : NULL;
    bool good = found && has_no_members(rk, options, err) &&
                find_by_time(rk, options, all, to_ms, found, err) &&
                find_committed(rk, options, all, found, err);
    if (all && !found) {
        err_set(err, ERR_FATAL, "no memory");
    }
    for (int i = 0; good && i < all->cnt; i++) {
        struct rewind_part *part = &found[i];
        part->committed = part->committed < 0 ? -1 : part->committed;
        part->to = offsets_back_to(part->committed, part->to);
    }
    if (good) {
        *parts = found;
        *len = (size_t)all->cnt;
    } else {
        free(found);
    }
    if (all) {
        rd_kafka_topic_partition_list_destroy(all);
    }
    if (rk) {
        rd_kafka_destroy(rk);
    }
    return good;
}

/* ---- setting them ---- */

static bool judge_set(const struct topics_options *options,
                      const rd_kafka_event_t *event, struct err *err)
{
    const char *const what = "setting the group's offsets";
    size_t groups = 0;
    const rd_kafka_group_result_t **results =
        rd_kafka_AlterConsumerGroupOffsets_result_groups(
            rd_kafka_event_AlterConsumerGroupOffsets_result(
                (rd_kafka_event_t *)event),
            &groups);
    const rd_kafka_error_t *error =
        groups ? rd_kafka_group_result_error(results[0]) : NULL;
    rd_kafka_resp_err_t code = error ? rd_kafka_error_code(error) : 0;
    const rd_kafka_topic_partition_list_t *list =
        groups && !error ? rd_kafka_group_result_partitions(results[0]) : NULL;
    for (int i = 0; list && i < list->cnt && !code; i++) {
        code = list->elems[i].err;
    }
    if (!groups) {
        code = RD_KAFKA_RESP_ERR__FAIL;
    }
    return !code || ask_err(err, options, code, what);
}

bool rewind_commit(const struct topics_options *options, const char *topic,
                   const struct rewind_part *parts, size_t len, struct err *err)
{
    assert(options->group && topic && parts);
    rd_kafka_topic_partition_list_t *list =
        rd_kafka_topic_partition_list_new((int)len);
    for (size_t i = 0; i < len; i++) {
        if (parts[i].to >= 0) {
            rd_kafka_topic_partition_list_add(list, topic, parts[i].partition)
                ->offset = parts[i].to;
        }
    }
    rd_kafka_t *rk =
        list->cnt ? ask_open(options, RD_KAFKA_PRODUCER, err) : NULL;
    bool good = !list->cnt;
    if (rk) {
        rd_kafka_AlterConsumerGroupOffsets_t *asked =
            rd_kafka_AlterConsumerGroupOffsets_new(options->group, list);
        rd_kafka_queue_t *queue = rd_kafka_queue_new(rk);
        rd_kafka_AlterConsumerGroupOffsets(rk, &asked, 1, NULL, queue);
        rd_kafka_event_t *event =
            answer(options, queue, "setting the group's offsets", err);
        good = event && judge_set(options, event, err);
        if (event) {
            rd_kafka_event_destroy(event);
        }
        rd_kafka_queue_destroy(queue);
        rd_kafka_AlterConsumerGroupOffsets_destroy(asked);
        rd_kafka_destroy(rk);
    }
    rd_kafka_topic_partition_list_destroy(list);
    return good;
}
