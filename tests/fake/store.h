#ifndef FAKE_STORE_H
#define FAKE_STORE_H

#include "core/idempotency.h"
#include "core/spending.h"
#include "edge/store.h"
#include "fake/world.h"

/** The tables of the store in memory, and what may go wrong with it. */

/** A row of `reason`, or of `shared_reason`. */
struct reason_of {
    int64_t owner; /* shared ones */
    int32_t fence;
    enum task_state state;
    char word[32];
    int64_t since_ms;
    int32_t tries;
    char answer[300];
    int64_t next_ms;
};

#define SHARED_MAX 64
#define KEYS_MAX 16
#define PASTS_MAX 16

/** A row of `past`. */
struct past_of {
    int32_t submission;
    int32_t attempt;
    bool untold; /* an attempt that the provider had no room for */
    double cost;
    char provider_task_id[PROVIDER_TASK_ID_BYTES];
};

/** A request and its task; a row of `request`, and one of `waiting`, `task` or
 * `closed`. */
struct record_of {
    struct intake_row request;       /* texts owned by tables->arena */
    struct task_row row;             /* its texts are on the heap */
    char key[IDEMPOTENCY_KEY_BYTES]; /* of the submission, once looked for */
    int32_t key_submission;
    int32_t key_attempt;
    bool closed;
    bool waiting;
    bool counted; /* its day, while it was there */
    bool pruned;
    bool forgotten;
    int32_t learnt_sends; /* row.sends, when another's send brought its id */
    bool uninvited;       /* no claim put it where it is: an id that came did */
    bool bare; /* a final end: all but its key and owner is in closed already */
    bool owes_accepted; /* a row of `accepted` */
    int64_t accepted_owner;
    struct past_of past[PASTS_MAX];
    size_t past_len;
    bool cancel;  /* ordered, and it is not told yet */
    bool ordered; /* to be cancelled, at any time */
    bool early;   /* before it came: it is never sent */
    bool has_reason;
    struct reason_of reason;
    int64_t waits_until_ms;
    int64_t expires_ms;
    char *pinned;      /* the only account that may claim it, by its name */
    bool aside;        /* waiting.budget: its tenant's has no room */
    bool picked;       /* a claim looks at it at this moment */
    bool barred;       /* and has no room for it */
    int32_t claim_day; /* of the last claim; nothing that money is made of */
};

/** A row of `early_cancel`. */
struct early_of {
    char request_id[132];
    char tenant[68];
    int64_t kept_ms;
};

struct lease_of {
    int64_t id;
    int64_t counter;
    size_t tasks;
    bool shares;       /* TENANT_FAIRNESS */
    int places;        /* under the fleet's limit */
    int64_t bumped_ms; /* of the world's clock */
    bool dead;
    bool forgotten;
    struct loop *loop; /* whose it is */
    char accounts[KEYS_MAX][ACCOUNT_BYTES];
    size_t accounts_len;
};

/** A row of `account`, with what account_url has for its name. */
struct account_of_all {
    char account[ACCOUNT_BYTES];
    enum keys_answer keys_answer;
    int64_t key_retention_ms;
    int64_t since_ms;
    char url[200];
    struct limit limit; /* of all rows of its name */
};

/** A row of `tenant`. */
struct tenant_of {
    char name[68];
    int weight;
    int slots; /* 0: no cap */
};

#define USES_MAX 4096

/** A row of `lease_use`. */
struct use_of {
    int64_t lease;
    char account[ACCOUNT_NAME_BYTES];
    char tenant[68];
    int n;
};

/** A row of `budget`. */
struct budget_of {
    char tenant[68];
    enum budget_period period;
    money amount;
    money guess;    /* for what has no estimate */
    int64_t set_ms; /* of the boot clock */
};

/** A row of `money`. */
struct money_of {
    int64_t task;
    int32_t submission;
    char tenant[68];
    int32_t day;
    enum spending state;
    money estimate;
    money amount;
};

/** A row of `spent`. */
struct spent_of {
    char tenant[68];
    enum budget_period period;
    int32_t since;
    money amount;
    money estimate;
};

struct hold_of {
    enum hold_reason reason;
    char scope[200];
    int64_t since_ms;
    int64_t next_try_ms;
    char message[300];
};

#define HOLDS_MAX 64
#define BUDGETS_MAX 16
#define SPENTS_MAX 256

/** What a unit of work writes: for failing one kind of it. */
enum unit {
    UNIT_NONE,
    UNIT_INTAKE,
    UNIT_CLAIM,
    UNIT_SAVE, /* the next save of a row in fail_state */
    UNIT_ADOPT,
    UNIT_PLACES,
    UNIT_LEARN,
    UNIT_JOIN,
    UNIT_MINE,
    UNIT_KEYS,
    UNIT_ACCEPTED,
};

struct tables {
    struct world *world;
    struct arena arena;
    struct record_of **records; /* id - 1 */
    size_t len;
    struct lease_of *leases; /* id - 1 */
    size_t leases_len;
    struct tenant_of tenants[64];
    size_t tenants_len;
    struct use_of uses[USES_MAX];
    size_t uses_len;
    bool caps_hold; /* a scene without caps that were lowered, or sends that
                       no claim let in */
    int caps_busy;  /* so many claims find another under the lock of caps */
    struct budget_of budgets[BUDGETS_MAX];
    size_t budgets_len;
    struct money_of *moneys;
    size_t moneys_len;
    struct spent_of spents[SPENTS_MAX];
    size_t spents_len;
    bool estimates;  /* requests come with some, each with another */
    int budget_busy; /* in a thousand: another is under the lock of budgets */
    size_t asides;   /* so many were put aside for want of one, ever */
    struct early_of *earlies;
    size_t earlies_len;
    struct hold_of holds[HOLDS_MAX];
    size_t holds_len;
    struct reason_of shared[SHARED_MAX];
    size_t shared_len;
    int64_t reasons_written; /* rows of `reason`, each time */
    int64_t rewound_ms;      /* pixverse-ctl rewind; 0: never */
    int64_t known_from_ms;   /* ids not seen since are forgotten */
    int64_t known_moved_ms;
    int archives; /* passes under way: one at most */
    int passes;   /* ever */
    int64_t queued;
    int64_t in_flight;
    int64_t blocked;
    bool uncountable;     /* a count takes too long, and is cut off */
    bool accepted_events; /* ACCEPTED_EVENTS of every worker */
    int blind; /* in a thousand: another's row that is stored now isn't seen */
    int looks; /* at all that waits for another request */
    struct account_of_all accounts[KEYS_MAX];
    size_t accounts_len;
    enum keys_answer keys_answer; /* the last that any account gave */
    struct list stores;           /* every worker's edge */
    bool down;
    int chaos;      /* units in a thousand whose answer is lost */
    enum unit fail; /* the answer of the next such unit is lost */
    enum task_state fail_state;
    bool fail_done; /* …after it was committed */
    int refusals;   /* so many units end in an error, the connection stays */
    int unreadable; /* parts of the table, each with a row that is */
    int unreadable_waiting; /* the same, of what waits */
    int keep_out;           /* so many rows are saved later */
    size_t facts_read;      /* so many tasks' facts were asked for */
    int slow_ms;       /* so much longer takes each unit of the rows' lane */
    int taking_busy;   /* so many who want places find another taking some */
    int counting_busy; /* so many claims under slots find another one */
    int most;          /* GENERATIONS_MAX, as last heard */
    int uninvited;     /* places of rows that no claim let in, ever */
    int64_t limits_written; /* what accounts take at once, each time */
    int64_t runs;           /* units that were carried out */
    int64_t failed;
    int64_t fenced;
};

struct tables *tables_open(struct world *world);
void tables_close(struct tables *tables);

/** Away for so long. */
void tables_away(struct world *world, int64_t ms);

/** pixverse-ctl tenant set; slots: 0: no cap. */
void tables_tenant(struct world *world, const char *name, int weight,
                   int slots);

/** pixverse-ctl tenant unset. */
void tables_tenant_unset(struct world *world, const char *name);

/** pixverse-ctl budget set; tenant "*": all. */
void tables_budget(struct world *world, const char *tenant,
                   enum budget_period period, money amount, money guess);

/** pixverse-ctl budget unset, of each. */
void tables_budgets_unset(struct world *world);

/** spent + reserved + doubtful of the period in which that day lies: as the
 * rows of `money` say, and as those of the requests do, which is what they are
 * made of. */
money tables_used(const struct tables *tables, const struct budget_of *budget,
                  int32_t day);
money tables_owed(const struct tables *tables, const struct budget_of *budget,
                  int32_t day);

/** Nothing waits for a budget that has room for it. */
bool tables_budgets_full(void *world);
/** Nothing is reserved or doubtful. */
bool tables_budgets_settled(void *world);

/** SUBMITTING and RUNNING of a tenant, of whichever worker. */
int tables_occupied(const struct world *world, const char *tenant);

/** The answer of the next unit of that kind is lost. */
void tables_lose(struct world *world, enum unit unit, enum task_state state,
                 bool committed);

/** pixverse-ctl cancel; false: it is refused. */
bool tables_cancel(struct world *world, const char *request_id);

/** Whether an order to cancel that one is kept, whoever gave it. */
bool tables_keeps(const struct tables *tables, const char *request_id);

/** Whether it may be cancelled at this moment, and now is. */
bool cancel_record(struct record_of *record);

/** pixverse-ctl attach; false: it is refused. */
bool tables_attach(struct world *world, const char *request_id,
                   const char *provider_task_id);

/** pixverse-ctl retry; false: it is refused. */
bool tables_retry(struct world *world, const char *request_id);

const struct record_of *tables_find(const struct tables *tables,
                                    const char *request_id);

/** Every request was told its end; nothing of `accepted` is owed. */
bool tables_all_closed(void *world);

/* ---- store.c and store_turn.c only ---- */

bool lease_is_alive(const struct tables *tables, int64_t id);
struct record_of *record_named(const struct tables *tables, struct str id);
struct record_of *record_at(const struct tables *tables, int64_t id);
/** Whether it is the key of the record's present submission. */
bool key_is_of(struct record_of *record, struct str key);
/** Its row as it is goes into past, under that id. */
void keep_past(struct record_of *record, const char *provider_task_id);

/** Whether past has that id as an attempt which the provider had no room for.
 */
bool record_had(const struct record_of *record, const char *provider_task_id);
/** Its row is one of `task`: neither in the queue nor told. */
bool is_in_task(const struct record_of *record);

/** A row that waits gets its id (sql/query/learn_waiting.sql); owner: a dead
 * one. */
void learn_queued(struct record_of *record, int64_t owner);

/** Whether a hold stops the turn's claims. */
bool is_held(const struct tables *tables, const struct turn *turn);
/** Whether it waits for another request; and for too long. */
bool is_blocked(const struct record_of *record);
bool waited_for_long(const struct record_of *record, const struct turn *turn);
/** Whether it is only one of those accounts', by their names. */
bool is_pinned_to(const struct record_of *record, const struct str *names,
                  size_t len);
/** From now on only that account may claim it; absent: any. */
void pin(struct record_of *record, struct str name);
/** Whether nobody else can have sent what was sent before a rewind. */
bool is_certain(const struct tables *tables, const struct turn *turn);

/** One turn, as one transaction after the other. */
void run_turn(struct tables *tables, const struct turn *turn,
              struct turn_result *result, struct arena *arena);

/** Whether it waits for the request that it extends. */
bool is_blocked(const struct record_of *record);

/** What waits for that one (sql/query/unblock.sql); null: all that waits. */
void run_unblock(struct tables *tables, const struct record_of *source,
                 struct unblocked *out);
/** The same by its request id, if it is there. */
void run_unblock_named(struct tables *tables, struct str source);

/** Deep copies into the arena. */
struct str copy_str(struct arena *arena, struct str text);
void copy_row(struct arena *arena, struct task_row *to,
              const struct task_row *from);

#endif
