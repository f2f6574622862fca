#!/usr/bin/env python3
# tests/run: postgres kafka long timeout=2400
"""The tests are tested: each guard of ours is taken away in a copy of the
sources, and a test of the quick set has to notice.

A mutant is one exact substitution. The copy is below build/mutants, and built
there: only what a mutant changes is compiled again. `mutants.py WORD...` tries
those whose name holds one of the words.
"""

import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path

import tap

ROOT = Path(os.environ.get("TEST_ROOT", Path(__file__).parents[2]))
HOME = ROOT / "build" / "mutants"
TREE = HOME / "tree"
BUILD = HOME / "build"
LIMIT_S = 60  # a test that hangs has noticed, too

# name, file, what stands there once, what comes instead, programs one of which
# has to fail
MUTANTS = [
    ("no fence where rows are saved", "sql/query/save.sql",
     "WHERE t.fence = given.fence AND t.version = given.version - 1",
     "WHERE t.version = given.version - 1", ["edge/store_turn"]),
    ("no version where rows are saved", "sql/query/save.sql",
     "WHERE t.fence = given.fence AND t.version = given.version - 1",
     "WHERE t.fence = given.fence", ["edge/store_turn"]),
    ("an id that was learnt is overwritten", "sql/query/save.sql",
     "AND (t.provider_task_id = ''\n"
     "            OR t.provider_task_id = given.provider_task_id)",
     "", ["edge/store_turn"]),
    ("a former owner writes why a task waits", "sql/query/reason_set.sql",
     "WHERE t.owner = $1::bigint AND", "WHERE $1::bigint > 0 AND",
     ["edge/store_turn"]),
    ("a reason of an earlier fence is written", "sql/query/reason_set.sql",
     "t.fence = v.fence AND ", "", ["edge/store_turn"]),
    ("a former owner takes a reason away", "sql/query/reason_gone.sql",
     " AND r.fence <= v.fence", "", ["edge/store_turn"]),
    ("what flows has a reason", "lib/flow/reason.c",
     "now_ms - trouble->reason.since_ms >= REASON_AFTER_MS",
     "now_ms - trouble->reason.since_ms >= 0", ["sim/reason"]),
    ("a claim without a live lease", "sql/query/claim.sql",
     "AND EXISTS (SELECT FROM lease WHERE id = $1::bigint AND NOT dead)",
     "", ["edge/store_turn"]),
    ("a claim under a hold", "sql/query/claim.sql",
     "(reason IN ('auth', 'balance', 'channel')",
     "(reason IN ('auth', 'channel')", ["edge/store_turn"]),
    ("a cancelled request is claimed", "sql/query/claim.sql",
     "AND (SELECT o.task FROM cancel o WHERE o.task = w.id) IS NULL", "",
     ["edge/store_orders"]),
    ("cancels are joined to the queue", "sql/query/claim.sql",
     "AND (SELECT o.task FROM cancel o WHERE o.task = w.id) IS NULL",
     "AND NOT EXISTS (SELECT FROM cancel o WHERE o.task = w.id)",
     ["edge/store_plans"]),
    ("an order about what waits is forgotten", "sql/query/count.sql",
     "        AND NOT EXISTS (SELECT FROM waiting w WHERE w.id = o.task)\n", "",
     ["edge/store_orders"]),
    ("a fence begins anew at the claim", "sql/query/claim.sql",
     "$1::bigint, fence + 1, version + 1,", "$1::bigint, 1, version + 1,",
     ["edge/store_turn"]),
    ("what can't be read is claimed", "sql/query/claim.sql",
     "    FROM t WHERE readable\n", "    FROM t\n", ["edge/store_turn"]),
    ("what expires and can't be read becomes ours", "sql/query/expire.sql",
     "CASE WHEN readable THEN $1::bigint ELSE owner END", "$1::bigint",
     ["edge/store_turn"]),
    ("a final end needs no fence", "sql/query/end.sql",
     "WHERE t.fence = given.fence AND t.version", "WHERE t.version",
     ["edge/store_turn"]),
    ("a former owner tells a bare key away", "sql/query/told.sql",
     "WHERE t.fence = v.fence AND :bare", "WHERE :bare AND v.fence > 0",
     ["edge/store_turn"]),
    ("a bare key has no event", "sql/query/mine.sql",
     ":t.whole_columns", ":t.task_columns", ["edge/store_turn"]),
    ("a bare key's next fence is forgotten", "sql/query/adopt.sql",
     "UPDATE closed c SET fence = t.fence", "UPDATE closed c SET fence = c.fence",
     ["edge/store_turn"]),
    ("an id is written to a bare key", "sql/query/learn.sql",
     "\n    AND NOT :bare", "", ["edge/store_lease"]),
    ("what is not told is ordered again", "sql/query/ctl_retry.sql",
     "        AND NOT EXISTS (SELECT FROM task t WHERE t.id = c.id)\n", "",
     ["edge/store_turn"]),
    ("what is requeued stays a task, too", "sql/query/save.sql",
     "WHERE t.id = l.id AND l.state = :QUEUED",
     "WHERE t.id = l.id AND l.state = :QUEUED AND t.id < 0",
     ["edge/store_turn"]),
    ("what is mine is looked for among all", "sql/query/mine.sql",
     " AND t.owner <> 0", "", ["edge/store_plans"]),
    ("a claim waits for who counts", "sql/query/generations_lock.sql",
     "pg_try_advisory_xact_lock(7264930517)::text",
     "(pg_advisory_xact_lock(7264930517) IS NOT NULL)::text",
     ["edge/store_turn"]),
    ("a save rides with the count", "lib/edge/store/turn.c",
     "round->apart = turn->claims_max > 0 && turn->generations_max > 0;",
     "round->apart = turn->claims_max < 0;", ["edge/store_turn"]),
    ("another's count stops claims for a beat", "lib/flow/claims.c",
     "if (result->generations_busy) {",
     "if (result->generations_busy && asked < 0) {", ["sim/fleet"]),
    ("a constraint rejects a request", "lib/edge/pg/unit.c",
     'data[] = {"22", "54"};', 'data[] = {"22", "23", "54"};',
     ["edge/store_intake"]),
    ("a sequence at its end rejects a request", "lib/edge/pg/unit.c",
     'others[] = {"2200H", "22P05"};', 'others[] = {"22P05", "22P05"};',
     ["edge/store_intake"]),
    ("a constraint ends the connection", "lib/edge/pg/unit.c",
     "return pg_unit_is_constraint(unit) ||\n           strncmp",
     "return strncmp", ["edge/store_intake", "edge/store_turn"]),
    ("a constraint stops every row", "lib/edge/store/turn.c",
     "(data || pg_unit_is_constraint(unit)) &&", "data &&",
     ["edge/store_turn"]),
    ("a row that is kept out is forgotten", "lib/flow/saves.c",
     "        list_add_tail(&saves->put_back, &job->link);\n",
     "        job_enter(job, JOB_PARKED);\n", ["sim/fleet"]),
    ("an error that comes at once is asked for at once", "lib/flow/turn.c",
     "        turns->paused = true; /*", "        turns->paused = false; /*",
     ["sim/fleet"]),
    ("a row without a job was never sent", "lib/core/doubt.c",
     " && lost_claim_ms != 0 &&\n"
     "           row->last_sent_ms == lost_claim_ms",
     " && lost_claim_ms >= 0",
     ["sim/fleet"]),
    ("a lost claim makes all without a job never sent", "lib/core/doubt.c",
     " &&\n           row->last_sent_ms == lost_claim_ms", "",
     ["sim/fleet"]),
    ("a lost claim is in doubt", "lib/flow/claims.c",
     "        claims->lost_ms = now_ms;\n    }\n"
     "    claims->wanted", "        (void)now_ms;\n    }\n    claims->wanted",
     ["sim/fleet"]),
    ("a lease's number comes again", "sql/query/join.sql",
     "CASE WHEN next.id > last.id THEN", "CASE WHEN next.id > 0 THEN",
     ["edge/store_lease"]),
    ("what was put off runs with its id at once", "sql/query/learn_waiting.sql",
     "id, :SUBMITTING, -1,", "id, :RUNNING, -1,",
     ["edge/store_lease"]),
    ("what runs needs no deadline", "lib/core/step.c",
     "    if (!m->row->deadline_ms) {\n        m->row->deadline_ms = m->now_ms",
     "    if (m->now_ms < 0) {\n        m->row->deadline_ms = m->now_ms",
     ["unit/step"]),
    ("a full expiry waits for the beat", "lib/flow/claims.c",
     "claims->asked_expires) {\n        claims->expiry_wanted = true;",
     "claims->asked_expires) {\n        claims->expiry_wanted = false;",
     ["sim/orders"]),
    ("what is unreadable is counted in one part", "lib/flow/unreadable.c",
     "    pass->rows += part->count;", "    pass->rows = part->count;",
     ["sim/fleet"]),
    ("a video of another URL is asked for here", "lib/flow/owe.c",
     "    if (is_of_our_url(stage, row)) {\n        return effect(OWES_POLL); /*",
     "    if (now_ms > 0) {\n        return effect(OWES_POLL); /*",
     ["sim/submit"]),
    ("a malformed trace comes in", "lib/flow/batch.c",
     "            fits(message->headers[i].value)) {",
     "            fits) {", ["sim/intake"]),
    ("an id of an earlier submission is lost", "lib/edge/store/lease.c",
     '"learn_told", "learn_past"};', '"learn_told", "learn_told"};',
     ["edge/store_lease"]),
    ("a cancelled doubt is replayed", "lib/core/doubt.c",
     "now_ms >= until_ms || task->memo.cancel", "now_ms >= until_ms",
     ["unit/step", "sim/orders"]),
    ("a reply that is there is called late", "lib/edge/web/client.c",
     "    if (late && !call->overdue) {", "    if (late && call->waits) {",
     ["edge/http_ends"]),
    ("a cost below nothing is unpaid", "lib/core/json.c",
     "if (!(number >= 0) || isinf(number)) {", "if (isinf(number)) {",
     ["unit/json"]),
    ("who met a firewall goes first again", "lib/core/step.c",
     "    if (m->outcome->hold == HOLD_CHANNEL) {",
     "    if (m->outcome->hold == HOLD_NONE) {", ["sim/submit"]),
    ("a flat body in a 2xx refuses by any code", "lib/core/provider_error.c",
     "    if (error->flat) {\n        if (!is_status(outer, &status)) {",
     "    if (error->flat) {\n        status = 400;\n"
     "        if (outer.len > 99) {",
     ["unit/apimart_submit"]),
    ("a flat body's first word refuses in a 2xx", "lib/core/provider_error.c",
     "        return coded;\n    }\n",
     "        error->lead = scalar(json_object_get(root, \"message\"), 99,"
     " words->arena);\n        return coded;\n    }\n",
     ["unit/apimart_submit"]),
    ("an error passed on as text refuses", "lib/core/provider_error.c",
     "    const size_t before = words->text.len;\n    gather_names(words, json,"
     " DEPTH_MAX);",
     "    const size_t before = words->text.len;\n    gather_names(words, json,"
     " DEPTH_MAX);\n    error->lead = buf_str(&words->text);",
     ["unit/apimart_submit"]),
    ("an id of two is guessed", "lib/core/apimart_submit.c",
     "if (!ids->best.len || ids->several) {", "if (!ids->best.len) {",
     ["unit/apimart_submit"]),
    ("any id at the top is a task's", "lib/core/apimart_submit.c",
     "if (data || counts(object, id)) {", "if (data || counts(object, id) || id.len) {",
     ["unit/apimart_submit"]),
    ("a proxy denies an id", "lib/core/provider_words.c",
     "if (!error->told || speaks_of_path(error)) {",
     "if (speaks_of_path(error)) {", ["unit/apimart_poll"]),
    ("an unknown status with an error ends", "lib/core/apimart_poll.c",
     "if (ended.has_cost && error.told && error.worded) {",
     "if (error.told && error.worded) {", ["unit/apimart_poll"]),
    ("a firewall settles requests", "lib/core/provider_words.c",
     "if (!error->json || !error->told) {\n        return true;",
     "if (!error->json || !error->told) {\n        return false;",
     ["unit/apimart_submit"]),
    ("polls drift", "lib/core/move.c",
     "return retry_phase_ms(m->now_ms, m->policy->poll_interval_ms, m->row->id);",
     "return m->now_ms + retry_jitter_ms(m->policy->poll_interval_ms, m->policy->jitter);",
     ["unit/step"]),
    ("the scanner hears of another task", "lib/core/apimart_poll.c",
     "if (named && !str_eq(scan.id, provider_task_id) &&",
     "if (false && named && !str_eq(scan.id, provider_task_id) &&",
     ["unit/apimart_poll"]),
    ("the scanner takes the first of two", "lib/core/status_scan.c",
     "return !field->at && take_text(s, field);",
     "struct str other; return field->at ? take_text(s, &other) : take_text(s, field);",
     ["unit/status_scan"]),
    ("polls trust anybody", "lib/edge/poll/tls.c",
     "SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);",
     "SSL_CTX_set_verify(ctx, SSL_VERIFY_NONE, NULL);", ["edge/poll"]),
    ("a certificate's subject names the host", "lib/edge/poll/tls.c",
     "if (!is_named(tls)) {", "if (false && !is_named(tls)) {", ["edge/poll"]),
    ("what stands behind a reply is the next one's", "lib/edge/poll/h1.c",
     "conn->reply.keeps && !more && conn->out_at == conn->out.len;",
     "conn->reply.keeps && (more || true) && conn->out_at == conn->out.len;",
     ["edge/poll_ends"]),
    ("a poll is over before the last look", "lib/edge/poll/poll.c",
     "if (!call->looked) {", "if (false && !call->looked) {", ["edge/poll_ends"]),
    ("what GOAWAY leaves out is lost", "lib/edge/poll/h2.c",
     "return code == NGHTTP2_REFUSED_STREAM && call->head_bytes == 0 &&",
     "return false && code == NGHTTP2_REFUSED_STREAM && call->head_bytes == 0 &&",
     ["edge/poll_h2"]),
    ("an adopted submission is in no doubt", "sql/query/adopt.sql",
     "doubt = u.doubt OR u.state = :SUBMITTING", "doubt = u.doubt",
     ["edge/store_turn"]),
    ("the living are robbed", "sql/query/orphan.sql",
     "t.owner NOT IN (SELECT id FROM lease WHERE NOT dead)", "true",
     ["edge/store_turn"]),
    ("a learnt id is any submission's", "sql/query/learn.sql",
     "AND t.submission = $2::integer", "AND t.submission <= $2::integer",
     ["edge/store_lease"]),
    ("an id opens an end of another submission", "sql/query/learn_closed.sql",
     "AND c.submission = $2::integer", "AND c.submission <= $2::integer",
     ["edge/store_lease"]),
    ("what was sent before a restore is sent at any time", "sql/query/claim.sql",
     "w.first_sent_ms > $7::bigint AND EXISTS", "w.first_sent_ms < $7::bigint OR EXISTS",
     ["edge/store_turn"]),
    ("what was sent before a restore goes to any account", "sql/query/claim.sql",
     "AND a.since_ms <= m.rewound_ms", "AND a.since_ms >= 0 * m.rewound_ms",
     ["edge/store_turn"]),
    ("a key lives from the claim on after a restore", "sql/query/claim.sql",
     "deadline_ms, CASE WHEN doubt\n", "deadline_ms, CASE WHEN NOT doubt\n",
     ["edge/store_turn"]),
    ("what comes again after a restore is new", "sql/query/intake.sql",
     "WHERE v.produced_ms < meta.rewound_ms", "WHERE v.produced_ms < 0 * meta.rewound_ms",
     ["edge/store_turn"]),
    ("a refusal after a restore speaks for all", "lib/core/step.c",
     "    m->row->sends += 1;\n    /* In doubt already",
     "    m->row->sends += 1;\n    m->row->doubt = false;\n    /* In doubt already",
     ["sim/keys", "edge/store_turn"]),
    ("keys that nobody vouches for are trusted after a restore", "lib/core/doubt.c",
     ": INT64_MAX;", ": 0;", ["unit/doubt", "sim/keys"]),
    ("a group goes on where it is set back", "lib/core/offsets.c",
     "by_time < committed ? by_time : -1", "by_time != committed ? by_time : -1",
     ["unit/offsets"]),
    ("parts of a key run together", "lib/core/idempotency.c",
     "digest_add(digest, len, sizeof len);", "digest_add(digest, len, 0);",
     ["unit/idempotency"]),
    ("a retry is sent under the key of before", "lib/flow/submit.c",
     "        .submission = row->submission,\n    };",
     "        .submission = 0 * row->submission,\n    };", ["sim/orders"]),
    ("a request is sent under another one's content", "lib/edge/store/row.c",
     ".content = bytes_of(arena, pg_str(result, r, at[FACTS_CONTENT])),",
     ".content = bytes_of(arena, pg_str(result, 0, at[FACTS_CONTENT])),",
     ["edge/store_turn"]),
    ("a taken-over send is in no doubt", "lib/core/step.c",
     "    m->row->doubt = true;\n    m->memo->strange_until_ms",
     "    m->memo->strange_until_ms",
     ["unit/step"]),
    ("an intent to replay is not saved", "lib/core/step.c",
     "    m->row->last_sent_ms = m->now_ms;\n    m->step->save = true;\n",
     "    m->row->last_sent_ms = m->now_ms;\n", ["unit/step"]),
    ("a replay leaves before its intent is committed", "lib/flow/engine.c",
     "    if (step->save) {\n"
     "        turn_save(&engine->turns, job, step->due_ms, may_ride);",
     "    if (step->save && !job->send_next) {\n"
     "        turn_save(&engine->turns, job, step->due_ms, may_ride);",
     ["sim/submit", "sim/fleet", "sim/seeds"]),
    ("what is found early is a failure of the store", "lib/flow/transfer.c",
     "t->fetch && result->end == BUCKET_EXISTS",
     "t->fetch && result->end == BUCKET_CANCELLED", ["sim/end"]),
    ("a failure is written over a half-stored video", "lib/flow/tidy.c",
     "next == FAILED || next == CLOSED",
     "next == QUEUED", ["sim/end"]),
    ("what was half stored without a row stays", "lib/flow/tidy.c",
     "task->row.state == RUNNING &&", "task->row.state == QUEUED &&",
     ["sim/ready"]),
    ("a transfer that waits has no row", "lib/flow/stage.c",
     "gate_transfers_room(stage->gate) > 0", "true", ["sim/ready", "sim/fleet"]),
    ("a transfer that takes long has no row", "lib/flow/due.h",
     "#define TRANSFER_UNSAVED_MS 2000", "#define TRANSFER_UNSAVED_MS 2000000",
     ["sim/ready"]),
    ("a transfer that fails has no row", "lib/core/step.c",
     "step->save = step->save || task->memo.unsaved;", "", ["unit/step"]),
    ("a late video is ready in memory alone", "lib/core/step.c",
     "running && m->policy->transfer_free", "m->policy->transfer_free || running",
     ["unit/step"]),
    ("what ends while it is saved is done again", "lib/flow/engine.c",
     "if (effect && effect->has_outcome) {", "if (!effect) {", ["sim/ready"]),
    ("a taken-over task is timed out unasked", "lib/core/until.c",
     "now_ms >= row->deadline_ms && !task_is_strange(task, now_ms)",
     "now_ms >= row->deadline_ms", ["unit/step", "sim/ready"]),
    ("a taken-over task is asked for without end", "lib/core/until.c",
     "!memo->answered && now_ms < memo->strange_until_ms",
     "!memo->answered && now_ms < memo->strange_until_ms * 2", ["unit/step", "sim/ready"]),
    ("a taken-over task is polled without a pause", "lib/core/move.c",
     "until_ms = longer(until_ms, m->memo->strange_until_ms);", "",
     ["unit/step"]),
    ("a taken-over task is cancelled unasked", "lib/core/step.c",
     "    if (!move_is_strange(m)) {\n        cancel(m);",
     "    if (m->row->id) {\n        cancel(m);", ["unit/step", "sim/ready"]),
    ("what is fetched right now can't be extended", "lib/flow/batch.c",
     "return boot_ms < item->source_until_ms;",
     "return boot_ms > item->source_until_ms;", ["sim/intake"]),
    ("what runs is asked for without end", "lib/flow/batch.c",
     "if (!item->source_until_ms) {", "if (boot_ms > 0) {", ["sim/intake"]),
    ("a refusal clears the doubt", "lib/core/step.c",
     "    if (!m->row->doubt) {\n"
     "        move_fail(m, m->outcome->failure, m->outcome->message);",
     "    if (m->row->sends) {\n"
     "        move_fail(m, m->outcome->failure, m->outcome->message);",
     ["unit/step"]),
    ("what was not sent clears the doubt", "lib/core/step.c",
     "    if (!m->row->doubt) {\n        requeue(m, m->now_ms + wait_ms);",
     "    if (m->now_ms) {\n        requeue(m, m->now_ms + wait_ms);",
     ["unit/step"]),
    ("what is put off clears the doubt", "lib/core/step.c",
     "    if (!m->row->doubt) {\n"
     "        requeue(m, put_off_until_ms(",
     "    if (m->now_ms) {\n"
     "        requeue(m, put_off_until_ms(",
     ["unit/step"]),
    ("a second failure is told", "lib/core/move.c",
     "    if (m->row->late) {\n        move_close(m);\n        return;\n    }\n",
     "", ["unit/step"]),
    ("a replay under another account", "lib/core/doubt.c",
     "} else if (!ours) {", "} else if (!ours && !policy->account[0]) {",
     ["unit/step"]),
    ("replays without end", "lib/core/doubt.c",
     "} else if (row->sends > REPLAYS_MAX) {", "} else if (row->sends < 0) {",
     ["unit/step"]),
    ("replays beyond the life of the key", "lib/core/doubt.c",
     "now_ms >= until_ms || task->memo.cancel", "now_ms >= until_ms * 2",
     ["unit/step"]),
    ("unknown before the timeout is over", "lib/core/doubt.c",
     "row->last_sent_ms + policy->submit_timeout_ms", "row->last_sent_ms",
     ["unit/step"]),
    ("a frozen watcher declares deaths", "lib/core/lease.c",
     "    if (was_cut_off(watch, boot_ms)) {\n        watch->since_ms",
     "    if (was_cut_off(watch, boot_ms) && !watch->last_ms) {\n        watch->since_ms",
     ["unit/lease"]),
    ("who was cut off buries at once", "lib/core/lease.c",
     "watch->last_ms - watch->since_ms < 2 * watch->lease_ms",
     "watch->last_ms < watch->since_ms", ["unit/lease", "sim/fleet"]),
    ("who was only late is cut off", "lib/core/lease.c",
     "boot_ms - watch->last_ms > watch->lease_ms;",
     "boot_ms - watch->last_ms > watch->lease_ms / 2;", ["unit/lease", "sim/fleet"]),
    ("who was late counts on", "lib/core/lease.c",
     "boot_ms - watch->last_ms > watch->lease_ms / 2;",
     "boot_ms - watch->last_ms > watch->lease_ms;", ["unit/lease", "sim/fleet"]),
    ("a lease that moves is dead", "lib/core/lease.c",
     "before->counter == row->counter", "before->counter <= row->counter",
     ["unit/lease"]),
    ("a burial wherever the counter is", "sql/query/bury.sql",
     "counter = $2::bigint", "counter <> $2::bigint - 1000000",
     ["edge/store_takeover"]),
    ("one burial a beat", "lib/flow/bury.c",
     "        engine_want_adopts(bury->engine);\n    }\n    next(bury);",
     "        engine_want_adopts(bury->engine);\n        return;\n    }\n    next(bury);",
     ["sim/fleet"]),
    ("a doubt that was taken over settles at once", "lib/core/step.c",
     "    m->memo->strange_until_ms = m->now_ms + STRANGE_MS;\n", "",
     ["unit/step", "sim/fleet"]),
    ("a doubt that was taken over settles without a look", "lib/core/doubt.c",
     "memo->read_ms < memo->strange_until_ms", "memo->read_ms < 0",
     ["unit/step"]),
    ("a lost lease's claim ends the new one", "lib/flow/turn.c",
     "if (result->lease_dead && turns->owner == turns->flight.owner) {",
     "if (result->lease_dead) {", ["sim/fleet"]),
    ("what another lock holds was not seen", "sql/query/adopt.sql",
     "(SELECT count(*) FROM seen) AS seen", "(SELECT count(*) FROM pick) AS seen",
     ["edge/store_takeover"]),
    ("a lease that is long over may submit", "lib/core/lease.c",
     "boot_ms - bump_started_ms <= lease_ms / 4 * 3",
     "boot_ms + lease_ms > 0",
     ["unit/lease"]),
    ("leases go by the wall clock", "lib/edge/loop/loop.c",
     "clock_gettime(CLOCK_BOOTTIME, &now);",
     "clock_gettime(CLOCK_REALTIME, &now);", ["edge/loop"]),
    ("a POST is sent again by libcurl", "lib/edge/web/handle.c",
     "    if (call->policy->once && call->sends > 0) {\n        call->cut",
     "    if (call->policy->once && call->sends < 0) {\n        call->cut",
     ["edge/http_reuse"]),
    ("everything is committed at once", "lib/core/commits.c",
     "left >= BURST / 2 ||", "left >= 0 ||", ["unit/commits"]),
    ("a drain waits for company", "lib/core/commits.c",
     "if (wanted->hurry || ", "if (", ["unit/commits"]),
    ("who rides along waits without end", "lib/core/commits.c",
     "#define RIDE_MS 80 ", "#define RIDE_MS 80000 ", ["unit/commits"]),
    ("an id rides along whatever its row would become", "lib/flow/engine.c",
     "    return task_would_replay(before, &policy, clock_now_ms(&engine->clock));",
     "    return policy.account != NULL;", ["sim/commits"]),
    ("an id rides along when its replays are used up", "lib/core/doubt.c",
     "           row->sends <= REPLAYS_MAX && !task->memo.cancel;",
     "           !task->memo.cancel;", ["unit/doubt"]),
    ("a slot is free before the id is stored", "lib/flow/submit.c",
     "    if (job) {\n        gate_take_back(",
     "    if (job && job->takes != SLOT_NONE) {\n        gate_take_back(",
     ["sim/commits"]),
    ("a slot never comes back", "lib/flow/engine.c",
     "    job->unsure = false;\n    give_back_slot(engine, job);",
     "    job->unsure = false;", ["sim/commits", "sim/submit"]),
    ("what is closed already is sent into", "lib/edge/web/pool.c",
     "    if (once) {\n        web_multi_look_at_idle(",
     "    if (once && pool->active < 0) {\n        web_multi_look_at_idle(",
     ["edge/http_reuse"]),
    ("bytes that nobody asked for are the next answer", "lib/edge/web/multi.c",
     "        if (idle[i].revents) {",
     "        if (idle[i].revents & (POLLERR | POLLHUP)) {",
     ["edge/http_reuse"]),
    ("what was sent ends as if nothing was reached", "lib/edge/web/client.c",
     "call->sends > 0 && is_about_connecting(end)) {",
     "call->sends < 0 && is_about_connecting(end)) {", ["edge/http_reuse"]),
    ("a connection is used that was idle for long", "lib/edge/web/handle.c",
     "#define ONCE_UNUSED_S 1L", "#define ONCE_UNUSED_S 60L",
     ["edge/http_reuse"]),
    ("a connection lives through the machine's sleep", "lib/edge/web/client.c",
     "#define ONCE_UNUSED_MS 2000", "#define ONCE_UNUSED_MS 200000",
     ["edge/http_reuse"]),
    ("a server that closes early costs doubt after doubt",
     "lib/edge/web/client.c", "#define FRESH_MS 600000", "#define FRESH_MS 0",
     ["edge/http_reuse"]),
    ("who may not send sends", "lib/edge/web/handle.c",
     "!call->hooks->may_send(call->context, remote)) {",
     "!call->hooks->may_send(call->context, remote) &&\n        call->sends < 0) {",
     ["edge/http"]),
    ("a drain has all the time there is", "lib/flow/worker.c",
     "    loop_timer_set(w->give_up, drain_ms);\n", "", ["sim/fleet"]),
    ("an offset before its commit", "lib/flow/intake.c",
     "    list_add_tail(&intake->waiting, &item->link);\n"
     "    intake->waiting_len++;\n    if (",
     "    consumer_done(intake->consumer, item->message);\n"
     "    list_add_tail(&intake->waiting, &item->link);\n"
     "    intake->waiting_len++;\n    if (", ["sim/intake", "sim/seeds"]),
    ("a rejection passes before its acknowledgement", "lib/flow/reject.c",
     "    if (!err) {\n        CRASHPOINT(\"reject_acknowledged\");",
     "    if (!err || err->kind == ERR_TRANSIENT) {",
     ["sim/intake", "sim/seeds"]),
    ("an offset passes what is unfinished", "lib/core/offsets.c",
     "while (offsets->len > 0 && entry_at(offsets, 0)->finished) {",
     "while (offsets->len > 0) {", ["unit/offsets"]),
    ("closed before its acknowledgement", "lib/flow/announce.c",
     "outcome.kind = OUTCOME_UNANNOUNCED;", "outcome.kind = OUTCOME_ANNOUNCED;",
     ["sim/end", "sim/seeds"]),
    ("a cut video is whole", "lib/core/video.c",
     '        return "it ends in the middle of a box";', "        return NULL;",
     ["unit/video"]),
    ("what is no MP4 is taken", "lib/flow/transfer.c",
     "    if (verdict.fault) {", "    if (false) {", ["sim/end"]),
    ("another length than announced", "lib/edge/bucket/fs_put.c",
     "if (put->announced >= 0 && put->announced != put->written) {",
     "if (put->announced < -1) {", ["edge/bucket_fs"]),
    ("a name that is taken is replaced", "lib/edge/bucket/fs.c",
     "                       RENAME_NOREPLACE) == 0;",
     "                       0) == 0;", ["edge/bucket_fs"]),
    ("fsync that failed is tried again", "lib/edge/bucket/fs_put.c",
     "    if (fdatasync(put->fd) == 0) {",
     "    if (fdatasync(put->fd) == 0 || fdatasync(put->fd) == 0) {",
     ["edge/bucket_fs_calls"]),
    ("fsync that failed is ignored", "lib/edge/bucket/fs_put.c",
     "    if (fdatasync(put->fd) == 0) {",
     "    if (fdatasync(put->fd) <= 0) {", ["edge/bucket_fs_calls"]),
    ("a dead connection is asked for ever", "lib/edge/web/pool.c",
     "    if (pool == pools->current &&\n", "    if (pool != pools->current &&\n",
     ["edge/http_kept"]),
    ("a connection is kept for ever", "lib/edge/web/client.c",
     "web_handle_is_kept(policy) ? POOL_LIFE_MS : 0", "0 * POOL_LIFE_MS", ["edge/http_kept"]),
    ("what nobody acknowledges is waited for", "lib/edge/web/multi.c",
     "setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &wait_ms, sizeof wait_ms);",
     "(void)wait_ms;", ["edge/http_kept"]),
    ("packed nothing has no end", "lib/edge/web/fetch_reply.c",
     "fetch->packed > fetch->fetcher->options.bytes_max + PACKED_MORE",
     "fetch->packed < -PACKED_MORE", ["edge/fetch_odd"]),
    ("a host's second address has no time of its own", "lib/edge/pg/dial.c",
     "            socket = -1;", "            (void)socket;",
     ["edge/store_takeover"]),
    ("a client ends under its own event", "lib/edge/kafka/grave.c",
     "loop_timer_set(grave->timer, 0);", "begin(grave);", ["edge/kafka_calls"]),
    ("a send goes by the turn's time", "lib/flow/gate.c",
     "loop_boot_us(gate->clock->loop) / 1000", "loop_boot_ms(gate->clock->loop)",
     ["sim/fleet"]),
    ("a turn's claims need no slots", "lib/flow/claims.c",
     "size_t claimed = (size_t)turn->claims_max;", "size_t claimed = 0;",
     ["sim/fleet"]),
    ("keys live by our clock", "lib/edge/s3/credentials_own.c",
     "theirs_ms >= 0 ? theirs_ms : wall_ms()", "theirs_ms < -1 ? 0 : wall_ms()",
     ["edge/credentials"]),
    ("a label decides over the bytes", "lib/edge/web/decode.c",
     "if (head.len == 0 || is_json(head) || is_boxes(head)) {",
     "if (head.len == 0 || (is_json(head) && is_boxes(head))) {",
     ["edge/decode"]),
    ("a slow host keeps its slot from all", "lib/flow/owe.c",
     "+ fails * FAIL_RANK_MS", "+ fails", ["sim/end"]),
    ("a download from a private address", "lib/edge/web/fetch_rules.c",
     "    if (!allow_private && !address_is_public(family, bytes)) {",
     "    if (!allow_private && !address_is_public(family, bytes) && family == 0) {",
     ["edge/fetch_rules"]),
    ("a private URL in a request", "lib/core/request_fields.c",
     "    if (fault == URL_FINE) {", "    if (fault != URL_BAD) {",
     ["unit/request"]),
    ("a duration of 16", "lib/core/request_fields.c",
     '.name = "duration", .shape = SHAPE_INTEGER, .least = 1, .most = 15,',
     '.name = "duration", .shape = SHAPE_INTEGER, .least = 1, .most = 16,',
     ["unit/request"]),
    ("the sweep takes uploads of others", "lib/edge/s3/sweep.c",
     "return asset_key_fits(sweep->key_template, name) || s3_is_probe(name);",
     "return asset_key_fits(sweep->key_template, name) || name.len > 0;",
     ["edge/bucket_s3_forms"]),
    ("a death waits for the next whole beat", "lib/flow/fleet.c",
     "if (due_ms - boot_ms < wait_ms) {", "if (due_ms - boot_ms < 0 * wait_ms) {",
     ["sim/fleet"]),
    ("a profile that can't be read names no region", "lib/edge/s3/credentials.c",
     "    return trouble == 0;", "    return true;", ["edge/bucket_s3_memory"]),
    ("the sweep takes the objects of living probes", "lib/edge/s3/sweep.c",
     "        made_ms >= sweep->before_ms) {", "        false) {",
     ["edge/bucket_s3_forms"]),
    ("the sweep takes whatever looks like a probe's object", "lib/edge/s3/call.c",
     "if (i != fixed - 1 && !memchr(", "if (false && !memchr(",
     ["edge/bucket_s3_forms"]),
    ("a repeated placeholder may differ", "lib/core/asset.c",
     "if (known.at) {", "if (false) {", ["unit/asset"]),
    ("other bytes read back are fine", "lib/edge/s3/probe.c",
     "strcmp(hex, probe->sha256) != 0", "false", ["edge/bucket_s3_forms"]),
    ("no probe after a refused form", "lib/edge/s3/put.c",
     "put->form = end->form;", "put->form = false;",
     ["edge/bucket_s3_forms"]),
    ("an endpoint's path is dropped", "lib/core/s3_url.c",
     "sigv4_encode(&root, without_end(str_of(slash)), true);", "(void)slash;",
     ["unit/s3_url", "edge/bucket_s3_forms"]),
    ("tables that point behind the end are fine", "lib/core/video.c",
     "check->media_end > check->at", "false", ["unit/video"]),
    ("a body that nothing proves is taken at once", "lib/flow/transfer.c",
     "} else if (verdict.proven) {", "} else if (true) {", ["sim/end"]),
    ("two fetches that differ agree", "lib/flow/transfer.c",
     "if (end->bytes == t->first_bytes && strcmp(sha256, t->sha256) == 0) {",
     "if (end->bytes == t->first_bytes || sha256[0]) {", ["sim/end"]),
    ("the hour begins anew with each owner", "lib/core/ready.c",
     "write_unusable(m, &u);", "(void)write_unusable;", ["unit/step"]),
    ("what stands behind a film is a fault", "lib/core/video.c",
     "    if (has_film(check)) {\n        check->tail = true;\n        return;\n"
     "    }\n    check->fault = fault;", "    check->fault = fault;",
     ["unit/video"]),
]


def copy_tree():
    """Bring the copy up to date; files that are the same keep their times."""
    wanted = set()
    for folder in ("lib", "sql", "tests", "cmd"):
        for path in (ROOT / folder).rglob("*"):
            if path.is_file() and path.suffix in (".c", ".h", ".sql",
                                                  ".cmake", ".json",
                                                  ".jsonl"):
                wanted.add(path.relative_to(ROOT))
    wanted.add(Path("CMakeLists.txt"))
    wanted.add(Path("tests/CMakeLists.txt"))
    for name in wanted:
        source, target = ROOT / name, TREE / name
        text = source.read_bytes()
        if not target.is_file() or target.read_bytes() != text:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(text)
    for path in list(TREE.rglob("*")):
        if path.is_file() and path.relative_to(TREE) not in wanted:
            path.unlink()


def target_of(program):
    part, name = program.split("/")
    return f"{part}_test_{name}"


def build(programs):
    """None: all is built; else what the compiler said."""
    done = subprocess.run(
        ["ninja", "-C", BUILD, *map(target_of, programs)],
        capture_output=True, text=True, check=False)
    return None if done.returncode == 0 else done.stdout[-2000:]


def passes(program):
    part, name = program.split("/")
    where = Path(os.environ.get("TEST_TMP", HOME)) / "work"
    shutil.rmtree(where, ignore_errors=True)
    where.mkdir(parents=True)
    try:
        done = subprocess.run(
            [BUILD / "tests" / part / f"test_{name}"], cwd=TREE,
            env=os.environ | {"SEEDS": "100", "TEST_TMP": str(where)},
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, timeout=LIMIT_S, check=False)
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def try_mutant(name, file, before, after, programs):
    path = TREE / file
    text = path.read_text()
    if not tap.check(text.count(before) == 1, f"{name}: its place is there",
                     f"{text.count(before)} times in {file}: {before}"):
        return
    try:
        path.write_text(text.replace(before, after))
        said = build(programs)
        if said:
            tap.check(False, f"{name}: builds", said)
            return
        caught = next((one for one in programs if not passes(one)), None)
        tap.check(caught, f"{name}: is caught by {caught or programs}")
    finally:
        path.write_text(text)


def main():
    words = sys.argv[1:]
    mutants = [one for one in MUTANTS
               if not words or any(word in one[0] for word in words)]
    HOME.mkdir(parents=True, exist_ok=True)
    lock = open(HOME / "lock", "w", encoding="ascii")
    fcntl.flock(lock, fcntl.LOCK_EX)
    copy_tree()
    subprocess.run(
        ["cmake", "-S", TREE, "-B", BUILD, "-G", "Ninja", "-DTESTS=ON",
         "-DCMAKE_BUILD_TYPE=Debug"], check=True, stdout=subprocess.DEVNULL)
    programs = sorted({program for one in mutants for program in one[4]})
    said = build(programs)
    if not tap.check(not said, "the sources as they are build", said):
        return
    sound = [program for program in programs
             if tap.check(passes(program), f"unchanged, {program} passes")]
    if sound == programs:
        for one in mutants:
            try_mutant(*one)


tap.run(main)
