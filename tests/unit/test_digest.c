#include <string.h>

#include "lib/check.h"
#include "core/digest.h"

TEST_CASE(digest_end__pieces__equal_the_whole)
{
    unsigned char sum[DIGEST_BYTES];
    char hex[DIGEST_HEX_BYTES];
    struct digest *digest = digest_new();
    digest_add(digest, "a", 1);
    digest_add(digest, "bc", 2);
    digest_end(digest, sum);
    str_hex(sum, sizeof sum, hex);
    assert_string_equal(
        hex,
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    digest_end(digest, sum);
    str_hex(sum, sizeof sum, hex);
    assert_string_equal(
        hex,
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    digest_of((struct str){0}, sum);
    char again[DIGEST_HEX_BYTES];
    str_hex(sum, sizeof sum, again);
    assert_string_equal(hex, again);
    digest_free(digest);
    digest_free(NULL);
}

TEST_CASE(digest_uuid5_url__a_known_name__is_the_known_uuid)
{
    char uuid[37];
    /* Python: uuid.uuid5(uuid.NAMESPACE_URL, …) */
    digest_uuid5_url(STR("http://www.example.com/"), uuid);
    assert_string_equal(uuid, "fcde3c85-2270-590f-9e7c-ee003d65e0e2");
}

TESTS_RUN(NULL, NULL)
