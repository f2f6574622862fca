#include "edge/web/ca.h"

#include <curl/curl.h>
#include <stddef.h>

const char *web_ca_file(void)
{
    const curl_version_info_data *info = curl_version_info(CURLVERSION_NOW);
    return info->age >= CURLVERSION_SEVENTH ? info->cainfo : NULL;
}

const char *web_ca_folder(void)
{
    const curl_version_info_data *info = curl_version_info(CURLVERSION_NOW);
    return info->age >= CURLVERSION_SEVENTH ? info->capath : NULL;
}
