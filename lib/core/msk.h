#ifndef CORE_MSK_H
#define CORE_MSK_H

#include "base/buf.h"
#include "core/sigv4.h"

/**
 * Tokens for Amazon MSK's IAM access control: a presigned URL of the action
 * kafka-cluster:Connect, in base64url, sent as one of SASL OAUTHBEARER. Pure.
 *
 * Source: the signers that AWS publishes for it (aws-msk-iam-sasl-signer-*),
 * and "Authenticating Requests: Using Query Parameters" of the Amazon S3 API
 * reference for the signature.
 */

#define MSK_LIFE_S 900 /* of a token, from when it was signed */
#define MSK_REGION_BYTES 64

/**
 * The region that the brokers' names tell, as MSK makes them:
 * b-1.NAME.ID.c2.kafka.REGION.amazonaws.com, and serverless ones.
 *
 * @param brokers  host:port, several separated by commas.
 * @return         false: none of them is such a name.
 */
bool msk_region(struct str brokers, char region[static MSK_REGION_BYTES]);

/**
 * Append a token.
 *
 * @param region   Of the cluster: "eu-west-1".
 * @param time_ms  Unix time; the token is good for MSK_LIFE_S from it.
 * @return         false: no memory.
 */
MUST_CHECK bool msk_token(const char *region, const struct sigv4_key *key,
                          int64_t time_ms, struct buf *token);

#endif
