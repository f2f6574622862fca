#include "doctor_words.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* clang-format off */
static const struct finding findings[] = {
    {"lost", true, "stored, not pruned, and in no table: nobody works on them",
     "don't send them again under another id; look for them in the provider's list; restore the database from before (deploy/OPERATIONS.md), or ask who changed rows by hand"},
    {"twice", true, "in two tables at once",
     "stop the workers and look who changed rows by hand, or from which backup they came; the copy whose fence is the higher is the true one"},
    {"no_end", true, "ended and not told, and their end is missing",
     "their events can't be sent: restore the database from before, or tell whoever waits for them"},
    {"no_request", true, "tasks without their request",
     "a restore that was not whole? No worker touches them; restore table request, or delete them once you know what they were"},
    {"unreadable", true, "can't be read by this program",
     "run the version that wrote them, or a later one; workers leave them alone"},
    {"same_task", true, "have the id of a provider's task that another request has too",
     "an attach to the wrong request? pixverse-ctl show of each, and the provider's list, tell whose it is"},
    {"no_event", true, "ended without an event",
     "who waits for them hears nothing: a row changed by hand? pixverse-ctl show tells how each ended"},
    {"other_event", true, "their event says another end than their row",
     "a row changed by hand? The event is what was told"},
    {"doubt", false, "in doubt for more than an hour: nobody knows whether they were bought",
     "pixverse-ctl explain ID; look in the provider's list, then pixverse-ctl attach ID TASK-ID, or cancel"},
    {"rewound", false, "wait unsent since the database was set back: they may have been bought",
     "deploy/OPERATIONS.md: pixverse-ctl attach, cancel or retry --pay-again"},
    {"unknown", false, "ended as submit_unknown within a week: they may have been paid for",
     "look in the provider's list, then pixverse-ctl attach ID TASK-ID: the video comes late, but it comes"},
    {"untold", true, "ended more than ten minutes ago and are not told",
     "the topic of events takes nothing: /readyz of a worker says why (rights, replicas, size)"},
    {"unaccepted", false, "taken in more than ten minutes ago, and that is not told (ACCEPTED_EVENTS)",
     "the topic of events takes nothing, or no worker runs: /readyz of a worker says why"},
    {"overdue", true, "past their deadline for more than ten minutes",
     "no worker settles them: are workers there, and with the account that sent them? pixverse-ctl workers, explain ID"},
    {"suspect", true, "taken over more than 20 times: their workers die of them",
     "the workers' logs name the crash; pixverse-ctl cancel ID ends one"},
    {"cancel", false, "ordered to be cancelled more than an hour ago, and not ended",
     "pixverse-ctl explain ID; are workers there? pixverse-ctl workers"},
    {"no_worker", true, "there is work, and no worker runs",
     "start one: pixverse-worker run"},
    {"silent", false, "workers hold a lease and have said nothing for a minute",
     "look at the processes and their connections to PostgreSQL; others take over what a dead one has"},
    {"versions", false, "workers of different versions run side by side",
     "right while a new version is rolled out; else finish that"},
    {"hold", false, "nothing is submitted in the scope of a hold",
     "auth: APIMART_API_KEY; balance: top up; channel: what stands between worker and provider; storage: STORAGE_URL; operator: pixverse-ctl resume"},
    {"expiry", false, "paid, and their video expires at the provider within an hour",
     "storage or its network: pixverse-ctl explain ID says why it is not home"},
    {"history", false, "history beyond HISTORY_DAYS is two days behind",
     "do workers run with the same HISTORY_DAYS? Their logs say why; pixverse-ctl prune does it now"},
    {"rights", true, "this role may not do what a worker has to do",
     "GRANT what is missing to the role in DATABASE_URL, or run doctor as the workers' role"},
    {"setting", true, "PostgreSQL may forget what it has acknowledged",
     "a crash may forget an intent, and its video be paid twice: turn it on"},
    {"autovacuum", true, "dead rows stay, and the queue gets slower by the hour",
     "turn it on"},
    {"bloat", false, "more dead than living in a table",
     "VACUUM it once; what keeps dead rows is a finding of its own (snapshot, transaction)"},
    {"snapshot", false, "an old snapshot keeps dead rows from being removed",
     "end that session, drop that slot, or roll the prepared transaction back"},
    {"transaction", false, "a transaction has been open for more than an hour",
     "who is it? pg_terminate_backend(PID) ends it"},
    {"wraparound", true, "transaction numbers run out: PostgreSQL will refuse to write",
     "VACUUM (FREEZE) as the owner; end old snapshots first"},
    {"connections", false, "nine tenths of PostgreSQL's connections are taken",
     "raise max_connections, or put a pooler in session mode between"},
    {"sequence", true, "a sequence is behind its table: new rows are refused, or taken for another's",
     "stop the workers, then SELECT setval('SEQUENCE', NUMBER) as the owner"},
    {"clock", false, "this machine's clock and PostgreSQL's differ",
     "workers go by PostgreSQL's; certificates, signatures (S3) and logs by the machine's: set it (NTP)"},
    {"kafka", true, "Kafka can't be asked",
     "KAFKA_BROKERS and KAFKA_CONF_*; is it running?"},
    {"topic", true, "a topic can't be used as a worker uses it",
     "pixverse-worker migrate makes those that are missing; rights are Kafka's ACLs"},
    {"topic_doubt", false, "nobody can tell whether a topic may be used",
     "pixverse-worker check asks again"},
    {"object_missing", true, "told as completed, and their video is not in storage",
     "who deleted it? Versions or a backup of the bucket have it; the provider's URL may still live (pixverse-ctl show ID)"},
    {"object_differs", true, "their video in storage is not as long as was told",
     "somebody replaced it: versions or a backup of the bucket have the one that was told"},
    {"object_unknown", false, "videos in storage that no row tells of",
     "of requests that were pruned, of another database, or stored by a worker that died before it was told: keep them until you know"},
    {"storage", true, "storage can't be looked at",
     "STORAGE_URL and credentials are those of the workers; the folder has to be mounted here"},
    {0},
};
/* clang-format on */

const struct finding *finding_of(const char *name)
{
    for (const struct finding *finding = findings; finding->name; finding++) {
        if (strcmp(finding->name, name) == 0) {
            return finding;
        }
    }
    return NULL;
}

static void tell_person(const struct finding *finding, int64_t n,
                        const json_t *of, const char *since)
{
    size_t i;
    const json_t *one;
    size_t shown = json_array_size(of);
    struct buf text;
    buf_init(&text, 0);
    buf_printf(&text, "%-8s %s: ", finding->is_fault ? "fault" : "warning",
               finding->name);
    if (n > 1) {
        buf_printf(&text, "%" PRId64 " ", n);
    }
    buf_add_text(&text, finding->found);
    if (since) {
        buf_printf(&text, ", since %s", since);
    }
    json_array_foreach(of, i, one)
    {
        buf_printf(&text, "%s%s", i ? ", " : ": ", json_string_value(one));
    }
    if (shown && (int64_t)shown < n) {
        buf_printf(&text, " and %" PRId64 " more", n - (int64_t)shown);
    }
    if (text.bytes) {
        print_for_people(text.bytes);
    }
    printf("         -> %s\n", finding->todo);
    buf_done(&text);
}

void doctor_tell(struct doctor *doctor, const char *name, int64_t n,
                 const json_t *of, const char *since)
{
    static const struct finding later = {
        "", false, "a finding of a later program", "run that one's doctor"};
    const struct finding *finding = finding_of(name);
    finding = finding ? finding : &later;
    doctor->faults += finding->is_fault;
    doctor->warnings += !finding->is_fault;
    if (!doctor->ctl->json) {
        tell_person(finding, n, of, since);
        return;
    }
    json_t *line =
        json_pack("{s:s, s:s, s:s, s:I, s:s}", "finding", name, "level",
                  finding->is_fault ? "fault" : "warning", "found",
                  finding->found, "count", (json_int_t)n, "do", finding->todo);
    if (since) {
        json_object_set_new(line, "since", json_string(since));
    }
    if (of) {
        json_object_set_new(line, "of", json_deep_copy(of));
    }
    ctl_print_json(line);
    json_decref(line);
}

void doctor_tell_one(struct doctor *doctor, const char *name,
                     const char *detail)
{
    json_t *of = json_pack("[s]", detail);
    doctor_tell(doctor, name, 1, of, NULL);
    json_decref(of);
}
