#include "core/address.h"
#include "lib/check.h"

#include <arpa/inet.h>
#include <string.h>

struct address_row {
    const char *text;
    bool public;
    bool link_local;
};

TEST_CASE(address_is_public__blocks__as_the_registry_says)
{
    static const struct address_row rows[] = {
        {"8.8.8.8", true, false},
        {"1.0.0.1", true, false},
        {"9.255.255.255", true, false},
        {"10.0.0.0", false, false},
        {"10.255.255.255", false, false},
        {"11.0.0.0", true, false},
        {"100.63.255.255", true, false},
        {"100.64.0.0", false, false},
        {"100.100.100.200", false, true},
        {"100.127.255.255", false, false},
        {"100.128.0.0", true, false},
        {"126.255.255.255", true, false},
        {"127.0.0.1", false, false},
        {"128.0.0.0", true, false},
        {"168.63.129.16", false, true},
        {"168.63.129.17", true, false},
        {"169.253.255.255", true, false},
        {"169.254.169.254", false, true},
        {"169.255.0.0", true, false},
        {"172.15.255.255", true, false},
        {"172.16.0.0", false, false},
        {"172.31.255.255", false, false},
        {"172.32.0.0", true, false},
        {"192.0.0.192", false, true},
        {"192.0.1.0", true, false},
        {"192.0.2.1", false, false},
        {"192.88.99.1", false, false},
        {"192.167.255.255", true, false},
        {"192.168.0.0", false, false},
        {"192.169.0.0", true, false},
        {"198.17.255.255", true, false},
        {"198.18.0.0", false, false},
        {"198.19.255.255", false, false},
        {"198.20.0.0", true, false},
        {"198.51.100.1", false, false},
        {"203.0.113.1", false, false},
        {"223.255.255.255", true, false},
        {"224.0.0.0", false, false},
        {"255.255.255.255", false, false},
        {"0.0.0.0", false, false},
        {"0.255.255.255", false, false},
        {"::", false, false},
        {"::1", false, false},
        {"::8.8.8.8", false, false},
        {"::ffff:8.8.8.8", true, false},
        {"::ffff:127.0.0.1", false, false},
        {"::ffff:169.254.169.254", false, true},
        {"::ffff:0:8.8.8.8", true, false},
        {"::ffff:0:10.0.0.1", false, false},
        {"64:ff9b::8.8.8.8", true, false},
        {"64:ff9b::10.0.0.1", false, false},
        {"64:ff9b::169.254.169.254", false, true},
        {"64:ff9b:1::8.8.8.8", false, false},
        {"100::1", false, false},
        {"1fff::1", false, false},
        {"2000::1", true, false},
        {"2001:0:4136:e378:8000:63bf:f7f7:f7f7", true, false},
        {"2001:0:4136:e378:8000:63bf:80ff:fffe", false, false},
        {"2001:10::1", false, false},
        {"2001:1ff::1", false, false},
        {"2001:200::1", true, false},
        {"2001:db8::1", false, false},
        {"2001:4860:4860::8888", true, false},
        {"2002:808:808::1", true, false},
        {"2002:7f00:1::1", false, false},
        {"2002:a9fe:a9fe::1", false, true},
        {"2606:4700:4700::1111", true, false},
        {"2606:4700::5efe:808:808", false, false},
        {"2606:4700::200:5efe:808:808", false, false},
        {"3fff::1", false, false},
        {"3fff:1000::1", true, false},
        {"4000::1", false, false},
        {"fc00::1", false, false},
        {"fd00:ec2::254", false, true},
        {"fd20:ce::254", false, true},
        {"fe80::1", false, true},
        {"febf::1", false, true},
        {"fec0::1", false, false},
        {"ff02::1", false, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        unsigned char ip[16];
        int family = strchr(rows[i].text, ':') ? 6 : 4;
        assert_int_equal(
            inet_pton(family == 6 ? AF_INET6 : AF_INET, rows[i].text, ip), 1);
        if (address_is_public(family, ip) != rows[i].public ||
            address_is_link_local(family, ip) != rows[i].link_local) {
            fail_msg("%s: public %d, link-local %d", rows[i].text,
                     address_is_public(family, ip),
                     address_is_link_local(family, ip));
        }
    }
}

TESTS_RUN(NULL, NULL)
