#include "core/aws_chain.h"

#include "lib/check.h"

static struct aws_chain chain;

static void read(const char *keys, const char *config, const char *profile)
{
    aws_chain_read(str_of(keys), str_of(config), profile, &chain);
}

TEST_CASE(aws_chain_read__keys__come_from_either_file)
{
    read("[a]\naws_access_key_id=i\naws_secret_access_key=s\n", "", "a");
    assert_int_equal(chain.origin, AWS_KEYS);
    assert_true(str_eq(chain.id, STR("i")));
    assert_null(chain.token.at);
    read("", "[profile a]\naws_access_key_id=i\naws_secret_access_key=s\n",
         "a");
    assert_int_equal(chain.origin, AWS_KEYS);
    read("[a]\naws_access_key_id=i\n", "", "a");
    assert_int_equal(chain.origin, AWS_NOTHING);
    assert_null(chain.fault);
    read("", "", "a");
    assert_int_equal(chain.origin, AWS_NOTHING);
}

TEST_CASE(aws_chain_read__roles__the_last_is_assumed_first)
{
    read("[c]\naws_access_key_id=i\naws_secret_access_key=s\n",
         "[profile a]\nrole_arn=ra\nsource_profile=b\nexternal_id=e\n"
         "[profile b]\nrole_arn=rb\nsource_profile=c\n",
         "a");
    assert_null(chain.fault);
    assert_int_equal(chain.origin, AWS_KEYS);
    assert_int_equal(chain.roles_len, 2);
    assert_true(str_eq(chain.roles[0].arn, STR("ra")));
    assert_true(str_eq(chain.roles[0].external_id, STR("e")));
    assert_true(str_eq(chain.roles[1].arn, STR("rb")));
    assert_null(chain.roles[1].external_id.at);
}

TEST_CASE(aws_chain_read__ends__of_each_kind)
{
    read("", "[profile a]\ncredential_process=x y\n", "a");
    assert_int_equal(chain.origin, AWS_PROCESS);
    assert_true(str_eq(chain.command, STR("x y")));
    read("", "[profile a]\nrole_arn=r\nweb_identity_token_file=/t\n", "a");
    assert_int_equal(chain.origin, AWS_IDENTITY);
    assert_int_equal(chain.roles_len, 0);
    assert_true(str_eq(chain.role.arn, STR("r")));
    read("", "[profile a]\nrole_arn=r\ncredential_source=EcsContainer\n", "a");
    assert_int_equal(chain.origin, AWS_ELSEWHERE);
    assert_int_equal(chain.roles_len, 1);
    read("[a]\naws_access_key_id=i\naws_secret_access_key=s\n",
         "[profile a]\nrole_arn=r\nsource_profile=a\n", "a");
    assert_int_equal(chain.origin, AWS_KEYS);
    assert_int_equal(chain.roles_len, 1);
    assert_null(chain.fault);
}

TEST_CASE(aws_chain_read__five_roles__are_the_most)
{
    const char *five = "[profile a]\nrole_arn=r\nsource_profile=b\n"
                       "[profile b]\nrole_arn=r\nsource_profile=c\n"
                       "[profile c]\nrole_arn=r\nsource_profile=d\n"
                       "[profile d]\nrole_arn=r\nsource_profile=e\n"
                       "[profile e]\nrole_arn=r\nsource_profile=f\n";
    char six[400];
    snprintf(six, sizeof six, "%s[profile f]\nrole_arn=r\nsource_profile=g\n",
             five);
    const char *keys = "[f]\naws_access_key_id=i\naws_secret_access_key=s\n"
                       "[g]\naws_access_key_id=i\naws_secret_access_key=s\n";
    read(keys, five, "a");
    assert_null(chain.fault);
    assert_int_equal(chain.roles_len, 5);
    read(keys, six, "a");
    assert_non_null(chain.fault);
    read("", "[profile a]\nrole_arn=r\nsource_profile=a\n", "a");
    assert_non_null(chain.fault);
    read("", "[profile a]\nrole_arn=r\nsource_profile=b\ncredential_source=x\n",
         "a");
    assert_non_null(chain.fault);
}

static void splits(const char *text, const char *words)
{
    char line[200];
    char out[200] = "";
    char *argv[AWS_ARGUMENTS_MAX + 1];
    snprintf(line, sizeof line, "%s", text);
    if (!aws_words_of(line, argv)) {
        assert_null(words);
        return;
    }
    for (int i = 0; argv[i]; i++) {
        strcat(strcat(out, argv[i]), "|");
    }
    assert_non_null(words);
    assert_string_equal(out, words);
}

TEST_CASE(aws_words_of__lines__as_a_shell_has_them)
{
    splits("a", "a|");
    splits("  a\t b  ", "a|b|");
    splits("'a b' \"c d\"", "a b|c d|");
    splits("a'b'\"c\"d", "abcd|");
    splits("a\\ b", "a b|");
    splits("\"a\\\"b\\c\"", "a\"b\\c|");
    splits("'a\\b'", "a\\b|");
    splits("'' x", "|x|");
    splits("a\\", "a\\|");
    splits("'a", NULL);
    splits("\"a\\\"", NULL);
    splits("   ", NULL);
    splits("$HOME *;", "$HOME|*;|");
}

TEST_CASE(aws_words_of__too_many__are_none)
{
    char line[2 * AWS_ARGUMENTS_MAX + 3] = "";
    char *argv[AWS_ARGUMENTS_MAX + 1];
    for (int i = 0; i < AWS_ARGUMENTS_MAX; i++) {
        strcat(line, "a ");
    }
    char more[sizeof line + 1];
    snprintf(more, sizeof more, "%sa", line);
    assert_true(aws_words_of(line, argv));
    assert_null(argv[AWS_ARGUMENTS_MAX]);
    assert_false(aws_words_of(more, argv));
}

TESTS_RUN(NULL, NULL)
