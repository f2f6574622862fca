#include "strike.h"

#include <stdio.h>
#include <stdlib.h>

enum {
    SLOW_JOB_MS = 3 * 3600 * 1000,
};

/* ---- what a poll says ---- */

static void view_again(struct site *site)
{
    if (site->viewed) {
        reply_no_body(site->reply);
        sale_view_write(&site->view, &site->reply->body);
    }
}

void strike_unknown_status(const struct fault *fault, struct site *site)
{
    struct sale_view *view = &site->view;
    view->status = given_text(fault->text, "rendering_remix");
    view->with_result = false;
    view->failed = false;
    view->completed_s = 0;
    view_again(site);
}

void strike_backwards(const struct fault *fault, struct site *site)
{
    site->view.progress = given(fault->number, 1);
    strike_unknown_status(fault, site);
}

void strike_invalid_id(const struct fault *fault, struct site *site)
{
    (void)fault;
    world_error(site, 400, "invalid_request_error", "400", "无效的任务ID",
                NULL);
}

void strike_other_id(const struct fault *fault, struct site *site)
{
    site->view.id = given_text(fault->text, "task_01BBBBBBBBBBBBBBBBBBBBBBBB");
    view_again(site);
}

void strike_no_cost(const struct fault *fault, struct site *site)
{
    (void)fault;
    site->view.cost_micros = COST_ABSENT;
    view_again(site);
}

void strike_cost_text(const struct fault *fault, struct site *site)
{
    (void)fault;
    site->view.cost_as_text = true;
    view_again(site);
}

void strike_status_word(const struct fault *fault, struct site *site)
{
    site->view.status = given_text(fault->text, "finished");
    view_again(site);
}

void strike_without_result(const struct fault *fault, struct site *site)
{
    (void)fault;
    site->view.with_result = false;
    site->view.with_videos = false;
    view_again(site);
}

void strike_without_videos(const struct fault *fault, struct site *site)
{
    (void)fault;
    site->view.with_videos = false;
    view_again(site);
}

void strike_no_expires(const struct fault *fault, struct site *site)
{
    (void)fault;
    site->view.expires_s = 0;
    view_again(site);
}

void strike_url_expired(const struct fault *fault, struct site *site)
{
    (void)fault;
    site->view.url_expired = true;
    site->view.expires_s = site->world->now_us / 1000000 - 60;
    view_again(site);
}

void strike_bad_url(const struct fault *fault, struct site *site)
{
    site->view.url = given_text(fault->url, "http://169.254.169.254/latest/");
    view_again(site);
}

void strike_url_shape(const struct fault *fault, struct site *site)
{
    site->view.url_shape = (enum url_shape)fault->kind->status;
    view_again(site);
}

void strike_code_shape(const struct fault *fault, struct site *site)
{
    site->view.code_shape = (enum code_shape)fault->kind->status;
    view_again(site);
}

/* ---- what becomes of a sale ---- */

static char *copy_or_null(const char *text)
{
    return text ? strdup(text) : NULL;
}

void strike_fail(const struct fault *fault, struct site *site)
{
    struct sale *sale = site->sale;
    char message[600];
    sale->fate = FATE_FAIL;
    sale->fail_cost_micros = fault->cost_micros == -2 ? 0 : fault->cost_micros;
    free(sale->fail_message);
    sale->fail_message = NULL;
    if (fault->code || fault->text) {
        snprintf(message, sizeof(message), "pixverse error %s: %s",
                 given_text(fault->code, "99999"),
                 given_text(fault->text, "generation failed"));
        /* `body` is the whole message, for texts of another form. */
        sale->fail_message = strdup(message);
    }
    if (fault->body) {
        free(sale->fail_message);
        sale->fail_message = copy_or_null(fault->body);
    }
}

void strike_cancel(const struct fault *fault, struct site *site)
{
    site->sale->fate = FATE_CANCEL;
    site->sale->fail_cost_micros =
        fault->cost_micros == -2 ? 0 : fault->cost_micros;
}

void strike_slow_job(const struct fault *fault, struct site *site)
{
    site->sale->latency_ms = given(fault->delay_ms, SLOW_JOB_MS);
    world_run(site->world, site->sale);
}

static void set_files(struct sale *sale, uint32_t videos, uint32_t urls)
{
    if (videos < 1 || urls < 1 || videos * urls > SALE_FILES_MAX) {
        return;
    }
    free(sale->files);
    sale->files = NULL;
    sale->videos = videos;
    sale->urls = urls;
}

void strike_videos(const struct fault *fault, struct site *site)
{
    set_files(site->sale, (uint32_t)given(fault->number, 2), site->sale->urls);
}

void strike_urls(const struct fault *fault, struct site *site)
{
    set_files(site->sale, site->sale->videos,
              (uint32_t)given(fault->number, 2));
}

/* ---- another film than was ordered; its price stays ---- */

/** What was known of its files is none of the new ones. */
static void film_again(struct sale *sale)
{
    free(sale->files);
    sale->files = NULL;
}

void strike_other_resolution(const struct fault *fault, struct site *site)
{
    struct sale *sale = site->sale;
    const uint64_t width = sale->width;
    const uint64_t height = sale->height;
    const uint64_t side = width < height ? width : height;
    const uint64_t wanted =
        (uint64_t)given(fault->number, side == 360 ? 540 : 360);
    if (wanted >= 16 && wanted <= 2160) {
        sale->width = (uint32_t)(width * wanted / side) & ~1u;
        sale->height = (uint32_t)(height * wanted / side) & ~1u;
        film_again(sale);
    }
}

void strike_other_duration(const struct fault *fault, struct site *site)
{
    struct sale *sale = site->sale;
    const int64_t seconds =
        given(fault->number,
              sale->seconds > 2 ? sale->seconds - 2 : sale->seconds + 2);
    if (seconds >= 1 && seconds <= 60) {
        sale->seconds = (uint32_t)seconds;
        film_again(sale);
    }
}

/** A square becomes a wide one. */
void strike_other_aspect(const struct fault *fault, struct site *site)
{
    struct sale *sale = site->sale;
    const uint32_t width = sale->width;
    (void)fault;
    sale->width = width == sale->height ? width * 2 : sale->height;
    sale->height = width;
    film_again(sale);
}

void strike_other_audio(const struct fault *fault, struct site *site)
{
    (void)fault;
    site->sale->audio = !site->sale->audio;
    film_again(site->sale);
}
