#include "edge/web/end.h"

#include <curl/curl.h>

enum reply_end http_end_of(int code)
{
    switch (code) {
    case CURLE_OK:
        return REPLY_WHOLE;
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
        return REPLY_UNRESOLVED;
    case CURLE_COULDNT_CONNECT:
    case CURLE_SSL_CONNECT_ERROR:
        return REPLY_UNREACHED;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_INVALIDCERTSTATUS:
        return REPLY_UNTRUSTED;
    case CURLE_OPERATION_TIMEDOUT:
        return REPLY_TIMED_OUT;
    default:
        return REPLY_BROKEN;
    }
}
