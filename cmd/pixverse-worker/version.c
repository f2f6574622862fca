#include "commands.h"

#include "edge/schema.h"

#include <curl/curl.h>
#include <jansson.h>
#include <libpq-fe.h>
#include <librdkafka/rdkafka.h>
#include <microhttpd.h>
#include <openssl/crypto.h>
#include <uv.h>

/** As loaded, not as compiled: what a report of a fault has to say. */
int command_version(void)
{
    int pq = PQlibVersion();
    printf("pixverse-worker %s (schema %d, program %d)\n", PROGRAM_VERSION,
           SCHEMA_NUMBER, PROGRAM_NUMBER);
    printf("librdkafka %s\n", rd_kafka_version_str());
    printf("libcurl %s\n", curl_version_info(CURLVERSION_NOW)->version);
    printf("libpq %d.%d\n", pq / 10000, pq % 10000);
    printf("libuv %s\n", uv_version_string());
    printf("libmicrohttpd %s\n", MHD_get_version());
    printf("jansson %s\n", jansson_version_str());
    printf("%s\n", OpenSSL_version(OPENSSL_VERSION));
    return EXIT_DONE;
}
